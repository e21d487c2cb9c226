"""The keyboard leads through the page, and new messages are notified of."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.servers import wait_until
from tests.support.stage import TITLE, Person, Stage, settle, staged, talking

PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("list")) as stage:
        yield stage


def search(person: Person) -> Any:
    return person.page.get_by_role("searchbox", name="Search conversations")


def message_field(person: Person) -> Any:
    return person.page.get_by_role("textbox", name="Message")


def entry(person: Person, title: str) -> Any:
    """Return the item of a conversation in the list."""
    items = person.page.get_by_role("navigation").get_by_role("listitem")
    return items.filter(has=person.page.get_by_role("link", name=title)).first


def start(stage: Stage, owner: Person, other: Person, title: str) -> str:
    """Let them have one more conversation, and return its id."""
    me = stage.server.call("GET", "users/me/", token=other.token)["user_id"]
    body = {"participant_ids": [me], "title": title}
    made = stage.server.call("POST", "conversations/", body, owner.token)
    return made["conversation_id"]


def box(locator: Any) -> dict[str, float]:
    return locator.bounding_box()


# --- Search ---------------------------------------------------------------------


def test_keys_lead_through_conversations_and_search(stage):
    with talking(stage, "hello") as (nina, omar, _there):
        page, focused = nina.page, nina.page.locator(":focus")
        start(stage, omar, nina, "Upper")
        entry(nina, "Upper").wait_for()
        page.keyboard.press("Alt+ArrowUp")
        page.get_by_role("heading", name="Upper").wait_for()
        page.keyboard.press("Alt+ArrowUp")  # there is none above
        page.keyboard.press("Alt+ArrowDown")
        page.get_by_role("heading", name=TITLE).wait_for()
        page.keyboard.press("Control+k")
        assert search(nina).and_(focused).count() == 1
        page.keyboard.type("hello?")
        assert search(nina).input_value() == "hello?"
        assert page.get_by_role("dialog").count() == 0
        page.keyboard.press("Escape")
        assert search(nina).input_value() == ""
        assert message_field(nina).and_(focused).count() == 1
        nina.message("hello").focus()
        page.keyboard.press("?")
        keys = page.get_by_role("dialog", name="Keyboard shortcuts")
        keys.get_by_text("Previous or next conversation").wait_for()
        page.keyboard.press("Escape")
        keys.wait_for(state="hidden")
        assert nina.message("hello").and_(focused).count() == 1


def test_search_key_leads_to_the_list_that_a_conversation_covers(stage):
    screen = {"viewport": {"width": 390, "height": 844}}
    with talking(stage, "hello", **screen) as (nina, _omar, _there):
        nina.message("hello").wait_for()
        nina.page.keyboard.press("Control+k")
        nina.page.wait_for_url("**/#/")
        settle(nina.page)
        assert search(nina).and_(nina.page.locator(":focus")).is_visible()


def test_keys_lead_through_messages(stage):
    with talking(stage, "hello", "last of all", history=60) as (nina, _omar, _there):
        page, focused = nina.page, nina.page.locator(":focus")
        nina.message("last of all").focus()
        page.keyboard.press("PageUp")
        seqs = [int(focused.get_attribute("data-key"))]
        page.keyboard.press("PageUp")
        seqs.append(int(focused.get_attribute("data-key")))
        page.keyboard.press("PageDown")
        seqs.append(int(focused.get_attribute("data-key")))
        assert 62 > seqs[0] == seqs[2] > seqs[1] + 3
        page.keyboard.press("End")
        assert nina.message("last of all").and_(focused).count() == 1
        page.keyboard.press("Home")
        assert focused.evaluate("e => !e.previousElementSibling")


def test_arrow_up_in_the_empty_field_edits_my_last_message(stage):
    with talking(stage, "mine", "theirs") as (nina, _omar, _there):
        nina.message("theirs").wait_for()
        field = message_field(nina)
        field.fill("a draft")
        field.press("ArrowUp")
        assert field.input_value() == "a draft"
        field.fill("")
        field.press("ArrowUp")
        assert field.input_value() == "mine"
        nina.page.get_by_text("Editing a message").wait_for()
        field.fill("mine, edited")
        field.press("Enter")
        nina.message("mine, edited").wait_for()


# --- Notifications ------------------------------------------------------------------

# What the desktop would show, and whether somebody looks at the page.
DESKTOP = """
(() => {
    window.notified = [];
    window.isLookedAt = true;
    document.hasFocus = () => window.isLookedAt;
    window.look = (isLooking) => {
        window.isLookedAt = isLooking;
        dispatchEvent(new Event(isLooking ? "focus" : "blur"));
    };
    window.Notification = class {
        static permission = localStorage.getItem("permission") ?? "default";
        static async requestPermission() {
            localStorage.setItem("permission", "granted");
            this.permission = "granted";
        }
        constructor(title, { body, tag }) {
            Object.assign(this, { title, body, tag, isClosed: false });
            notified.push(this);
        }
        close() { this.isClosed = true; }
    };
})();
"""
SAID = "notified.map(({title, body}) => [title, body])"
ICON = "document.querySelector('link[rel=icon]').href"


def test_notifications_are_offered_once_somebody_writes(stage):
    with talking(stage, "hello") as (nina, omar, there):
        page = nina.page
        offer = page.get_by_role("region", name="Notifications")
        nina.context.add_init_script(DESKTOP)
        page.reload()
        nina.message("hello").wait_for()
        assert offer.count() == 0
        stage.server.send(omar.token, there, "now")
        offer.get_by_role("button", name="No, thanks").click()
        offer.wait_for(state="hidden")
        page.reload()
        stage.server.send(omar.token, there, "then")
        nina.message("then").wait_for()
        assert offer.count() == 0


def test_one_of_all_tabs_notifies_while_nobody_looks(stage):
    with talking(stage, "hello") as (nina, omar, there):
        page = nina.page
        elsewhere = start(stage, omar, nina, "Elsewhere")
        nina.context.add_init_script(DESKTOP)
        page.reload()
        nina.message("hello").wait_for()
        stage.server.send(omar.token, there, "first")
        page.get_by_role("button", name="Turn on notifications").click()
        other = nina.new_page()
        nina.open(other, there)
        pages = [page, other]

        def notified() -> list[list[str]]:
            return [said for each in pages for said in each.evaluate(SAID)]

        page.evaluate("look(false)")  # the other is looked at
        stage.server.send(omar.token, there, "second")
        for each in pages:
            each.get_by_text("second", exact=True).last.wait_for()
        other.evaluate("look(false)")
        plain = page.evaluate(ICON)
        stage.server.send(omar.token, elsewhere, "third")
        wait_until(lambda: page.evaluate("notified.length"))
        other.get_by_text("third", exact=True).first.wait_for()
        settle(other)
        assert notified() == [["Elsewhere", "third"]]
        assert page.evaluate("notified[0].tag") == elsewhere
        assert page.evaluate(ICON) != plain
        page.evaluate("look(true)")
        page.evaluate("notified[0].onclick()")
        page.get_by_role("heading", name="Elsewhere").wait_for()
        wait_until(lambda: page.evaluate(ICON) == plain)
        assert page.evaluate("notified[0].isClosed")
