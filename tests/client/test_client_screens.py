"""The web client on a desktop and on a phone: where things are, and what stays.

Elements are found by what they are called, and judged by where they are on the screen.
"""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, NamedTuple

import pytest

from tests.support.browser import PASSWORD
from tests.support.servers import wait_until
from tests.support.stage import (
    HISTORY,
    TITLE,
    Person,
    Stage,
    named,
    settle,
    sign_out,
    staged,
    talking,
)

DESKTOP = {"viewport": {"width": 1440, "height": 900}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
SCREENS = [pytest.param(DESKTOP, id="desktop"), pytest.param(PHONE, id="phone")]
LONG = "long words " * 60
BACK = "Back to all conversations"


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("screens")) as stage:
        yield stage


class Crowd(NamedTuple):
    """Lena, who has 60 conversations with Mona, on a phone or not."""

    lena: Person
    ids: dict[str, str]  # of the conversations, by title
    mona_token: str


WIDE_TITLE = "T" * 200
UNREAD = "Many unread"
NUMBER_OF_UNREAD = 260


@pytest.fixture(scope="module")
def crowd(stage) -> tuple[str, dict[str, str], str]:
    """Return lena's username, the conversations' ids by title, mona's token."""
    lena_id, _ = stage.server.sign_up("lena", "mona")
    token = stage.server.token_of("mona")
    ids = {}
    for title in [*(f"Plan {n}" for n in range(58)), WIDE_TITLE, UNREAD]:
        body = {"participant_ids": [lena_id], "title": title}
        made = stage.server.call("POST", "conversations/", body, token)
        ids[title] = made["conversation_id"]
    stage.server.send(token, ids[WIDE_TITLE], "hello")
    history = HISTORY.format(ids[UNREAD], NUMBER_OF_UNREAD)
    stage.server.manage("shell", "--command", history)
    return "lena", ids, token


@contextmanager
def crowded(stage: Stage, crowd: tuple, **screen: Any) -> Iterator[Crowd]:
    name, ids, token = crowd
    lena = stage.person(name, **screen)
    who = {"username": name, "password": PASSWORD}
    lena.context.request.post(f"{lena.url}api/auth/login/", data=who)
    lena.page.goto(lena.url)
    lena.page.get_by_role("link", name=WIDE_TITLE).wait_for()
    yield Crowd(lena, ids, token)
    assert lena.errors == []
    assert lena.page.evaluate("violations") == []
    lena.context.close()


def box(locator: Any) -> dict[str, float]:
    """Return where an element is, with its right and lower edges."""
    there = locator.bounding_box()
    there["right"] = there["x"] + there["width"]
    there["bottom"] = there["y"] + there["height"]
    return there


def bubble(page: Any, text: str) -> Any:
    """Return the ground on which a message is written."""
    return page.get_by_text(text, exact=True).last.locator("xpath=..")


def actions(page: Any) -> Any:
    return page.get_by_role("button", name="Message actions")


def field(page: Any) -> Any:
    return page.get_by_role("textbox", name="Message")


# --- The window -----------------------------------------------------------------

# How far the page can be scrolled, by whatever scrolls it, and how large its layout is:
# a phone lets one pinch out as far as that is larger than the screen.
EXCESS = """
() => {
    const all = [document.scrollingElement, document.body, ...document.body.children];
    for (const element of all) {
        element.scrollTop = 9999;
        element.scrollLeft = 9999;
    }
    const {scrollHeight, scrollWidth} = document.scrollingElement;
    return [
        ...all.filter((element) => element.scrollTop || element.scrollLeft)
            .map((element) => `${element.tagName} ${element.scrollTop}`),
        scrollHeight - innerHeight, scrollWidth - innerWidth, visualViewport.scale,
    ];
}
"""


@pytest.mark.parametrize("screen", SCREENS)
def test_page_stays_in_its_window(stage, crowd, screen):
    with crowded(stage, crowd, **screen) as (lena, ids, _token):
        page = lena.page
        assert page.evaluate(EXCESS) == [0, 0, 1]
        page.get_by_role("link", name=UNREAD).click()
        page.get_by_text("New messages", exact=True).wait_for()
        assert page.evaluate(EXCESS) == [0, 0, 1]
        for seq in (250, 3):
            page.goto(f"{lena.url}#/c/{ids[UNREAD]}/{seq}")
            page.get_by_role("listitem").and_(page.locator(":focus")).wait_for()
            page.get_by_text(f"number {seq}", exact=True).wait_for()
            assert page.evaluate(EXCESS) == [0, 0, 1]
            top = page.get_by_role("button", name="People and settings")
            assert 0 <= box(top)["y"] < 20
        page.goto(f"{lena.url}#/c/{ids[WIDE_TITLE]}")
        page.get_by_text("hello", exact=True).last.wait_for()
        page.get_by_role("button", name="People and settings").click()
        page.get_by_role("dialog").wait_for()
        assert box(page.get_by_role("dialog"))["right"] <= screen["viewport"]["width"]
        assert page.evaluate(EXCESS) == [0, 0, 1]


@pytest.mark.parametrize("screen", SCREENS)
def test_own_messages_end_at_one_edge(stage, screen):
    with talking(stage, LONG, "reply", "short", **screen) as (nina, _omar, _there):
        edges = {box(bubble(nina.page, text))["right"] for text in (LONG, "short")}
        assert len(edges) == 1
        bubble(nina.page, LONG).hover()
        button = box(actions(nina.page).first)
        assert 0 <= box(bubble(nina.page, LONG))["x"] - button["right"] <= 12


def test_marks_paint_over_no_other_message(stage):
    marks = "Z" + "\u0301" * 250 + " Z" + "\u0323" * 250  # up, and down
    texts = ["first", "between", marks, "between", "second"]
    with talking(stage, *texts) as (nina, _omar, there):
        page = nina.page
        nina.message("first").wait_for()

        def looks() -> list[bytes]:
            return [bubble(page, text).screenshot() for text in ("first", "second")]

        marked = looks()
        path = f"messages/?conversation_id={there}"
        messages = stage.server.call("GET", path, token=nina.token)["results"]
        [mine] = [m["message_id"] for m in messages if m["message_body"] == marks]
        body = {"message_body": "plain"}
        stage.server.call("PATCH", f"messages/{mine}/", body, nina.token)
        nina.message("plain").get_by_text("edited").wait_for()
        assert marked == looks()


@pytest.mark.parametrize("screen", SCREENS)
def test_bubbles_and_the_open_conversation_have_lines_in_forced_colours(stage, screen):
    with talking(stage, "mine", "theirs", **screen) as (nina, _omar, _there):
        page = nina.page
        line = "(element, name) => parseFloat(getComputedStyle(element)[name])"
        page.emulate_media(forced_colors="active")
        for text in ("mine", "theirs"):
            assert bubble(page, text).evaluate(line, "borderTopWidth") >= 1
        if screen is PHONE:
            return  # it shows no list beside
        current = page.get_by_role("link", name=TITLE).and_(
            page.locator("[aria-current=page]:not(:focus)")
        )
        assert current.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
        assert current.evaluate(line, "outlineWidth") >= 2


@pytest.mark.parametrize("screen", SCREENS)
def test_long_name_ends_before_the_button_beside_it(stage, screen):
    with talking(stage, "hello", **screen) as (nina, omar, _there):
        path, names = "users/me/", {"first_name": "W" * 140}
        stage.server.call("PATCH", path, names, omar.token)
        nina.page.reload()
        nina.page.get_by_role("button", name="People and settings").click()
        people = nina.page.get_by_role("dialog").get_by_role("listitem")
        theirs = people.filter(has_text="WWW")
        remove = theirs.get_by_role("button", name="Remove")
        assert box(theirs.get_by_text("WWW"))["right"] <= box(remove)["x"]


@pytest.mark.parametrize("width", [390, 820, 1440])
def test_jump_button_covers_no_message(stage, width):
    screen = {"viewport": {"width": width, "height": 700}}
    texts = ["a", "b", "c", "d", "e", "f"]
    with talking(stage, LONG * 3, *texts, LONG, **screen) as (nina, omar, _there):
        for page in (nina.page, omar.page):
            page.get_by_text(LONG.strip()).last.wait_for()
            page.mouse.move(width - 60, 400)
            page.mouse.wheel(0, -60)
            jump = page.get_by_role("button", name="newest messages")
            jump.wait_for()
            messages = page.get_by_role("list", name="Messages").locator("..")
            assert box(messages)["bottom"] <= box(jump)["y"]


# --- Without a connection -------------------------------------------------------


@pytest.mark.parametrize("screen", SCREENS)
def test_banner_covers_nothing(stage, screen):
    with talking(stage, "hello", **screen) as (nina, _omar, _there):
        page = nina.page
        stage.server.stop(signal.SIGKILL)
        try:
            banner = page.get_by_text("No connection.")
            banner.wait_for()
            head = page.get_by_role("button", name="People and settings")
            assert box(banner)["y"] == 0
            assert box(banner)["bottom"] <= box(head)["y"]
            assert page.evaluate(EXCESS) == [0, 0, 1]
            assert box(field(page))["bottom"] <= screen["viewport"]["height"]
        finally:
            stage.server.start()
        banner.wait_for(state="hidden")


def test_conversation_just_visited_is_there_without_a_connection(stage):
    with talking(stage, "hello") as (nina, omar, _there):
        page = nina.page
        me = stage.server.call("GET", "users/me/", token=nina.token)["user_id"]
        body = {"participant_ids": [me], "title": "Other"}
        other = stage.server.call("POST", "conversations/", body, omar.token)
        page.get_by_role("link", name="Other").click()
        page.get_by_text("This is the beginning").wait_for()
        stage.server.send(omar.token, other["conversation_id"], "seen")
        page.get_by_text("seen", exact=True).last.wait_for()
        page.get_by_role("link", name=TITLE).click()
        nina.message("hello").wait_for()
        # What happens where one is not looking is there, too.
        stage.server.send(omar.token, other["conversation_id"], "meanwhile")
        page.get_by_role("link", name=re.compile("Other.*meanwhile")).wait_for()

        nina.context.set_offline(True)
        page.get_by_role("link", name="Other").click()
        nina.message("seen").wait_for()
        nina.message("meanwhile").wait_for()
        page.get_by_text("New messages", exact=True).wait_for()
        nina.write("later")
        nina.message("later").wait_for()
        nina.context.set_offline(False)
        nina.message("later").get_by_text("Sent").wait_for()


def test_server_that_is_frozen_is_noticed(stage):
    with talking(stage, "hello") as (nina, omar, there):
        page = nina.page
        page.clock.install()
        page.reload()
        nina.message("hello").wait_for()
        with stage.server.frozen():
            page.clock.fast_forward(41_000)
            page.clock.fast_forward(5_000)  # it looks every few seconds
            page.clock.fast_forward(3_000)
            page.get_by_text("No connection.").wait_for()
        page.get_by_text("No connection.").wait_for(state="hidden")
        stage.server.send(omar.token, there, "back again")
        nina.message("back again").wait_for()


# A stream that never breaks and says only what a test has it say.
SILENT = """
window.streams = [];
const answered = window.fetch;
window.fetch = (address, options) => {
    if (!String(address).startsWith("api/events/")) return answered(address, options);
    const body = new ReadableStream({ start: (stream) => streams.push(stream) });
    const headers = { "Content-Type": "text/event-stream" };
    return Promise.resolve(new Response(body, { headers }));
};
window.ping = () => streams.at(-1).enqueue(
    new TextEncoder().encode("event: ping\\ndata: {}\\n\\n"));
"""


def test_ping_shows_that_the_stream_lives(stage):
    with talking(stage, "hello") as (nina, _omar, _there):
        page = nina.page
        page.add_init_script(SILENT)
        page.clock.install()
        page.reload()
        # Not by wait_for_function, whose text the page's policy does not run.
        wait_until(lambda: page.evaluate("streams.length") == 1)
        for _ in range(4):
            page.clock.fast_forward(15_000)
            page.evaluate("ping()")
        assert page.evaluate("streams.length") == 1
        page.clock.fast_forward(41_000)
        page.clock.fast_forward(5_000)
        assert page.evaluate("streams.length") == 2


# --- The menu of a message ------------------------------------------------------


def test_tap_beside_an_own_message_opens_nothing(stage):
    with talking(stage, "mine", **PHONE) as (nina, _omar, _there):
        page = nina.page
        mine, button = box(bubble(page, "mine")), box(actions(page))
        assert button["right"] <= mine["x"]
        middle = mine["y"] + mine["height"] / 2
        for x in range(4, 390, 8):
            page.touchscreen.tap(x, middle)
            assert page.get_by_role("dialog").count() == 0
            # A finger that comes close to the button may mean it.
            is_beside = not button["x"] - 24 < x < button["right"] + 24
            assert page.get_by_role("menu").count() == 0 or not is_beside


def test_message_is_deleted_and_edited_by_touch(stage):
    with talking(stage, "first", "reply", "second", **PHONE) as (nina, omar, _there):
        page = nina.page
        assert actions(page).count() == 3  # nina owns the conversation
        assert min(box(actions(page).first)[side] for side in ("width", "height")) >= 24
        actions(page).nth(1).tap()
        items = page.get_by_role("menuitem")
        assert [named(item) for item in items.all()] == [
            *("Copy text", "Copy link", "Message info", "Delete message")
        ]
        page.touchscreen.tap(200, 300)  # beside it
        page.get_by_role("menu").wait_for(state="hidden")

        actions(page).last.tap()
        items.first.and_(page.locator(":focus")).wait_for()
        menu = box(page.get_by_role("menu"))
        assert 0 <= menu["x"] < menu["right"] <= 390
        assert 0 <= menu["y"] < menu["bottom"] <= 844
        assert all(box(item)["height"] >= 44 for item in items.all())
        items.get_by_text("Edit message").tap()
        field(page).and_(page.locator(":focus")).fill("second, anew")
        page.get_by_role("button", name="Send").tap()
        omar.message("second, anew").wait_for()

        actions(page).first.tap()
        items.get_by_text("Delete message").tap()
        page.get_by_role("dialog").get_by_role("button", name="Delete").tap()
        omar.message("Message deleted").wait_for()
        assert omar.bodies() == ["Message deleted", "reply", "second, anew"]


def test_menu_is_used_by_keyboard(stage):
    with talking(stage, "mine") as (nina, _omar, _there):
        page = nina.page
        focused = page.locator(":focus")
        press = page.keyboard.press
        bubble(page, "mine").wait_for()
        field(page).focus()
        press("Shift+Tab")  # to the message
        press("Tab")
        assert named(focused) == "Message actions"
        assert focused.get_attribute("aria-haspopup") == "menu"
        press("Enter")
        page.get_by_role("menu", name="Message actions").wait_for()
        for key, name in [
            ("", "Copy text"),
            ("ArrowDown", "Copy link"),
            ("ArrowUp", "Copy text"),
            ("ArrowUp", "Delete message"),
            ("ArrowDown", "Copy text"),
            ("End", "Delete message"),
            ("Home", "Copy text"),
        ]:
            if key:
                press(key)
            page.get_by_role("menuitem", name=name).and_(focused).wait_for()
        assert actions(page).get_attribute("aria-expanded") == "true"
        press("Escape")
        page.get_by_role("menu").wait_for(state="hidden")
        closed = page.locator("[aria-expanded=false]")
        actions(page).and_(focused).and_(closed).wait_for()
        press("Enter")
        page.get_by_role("menuitem", name="Copy text").and_(focused).wait_for()
        press("End")
        press("ArrowUp")
        page.get_by_role("menuitem", name="Edit message").and_(focused).wait_for()
        press("Enter")
        field(page).and_(focused).wait_for()
        assert field(page).input_value() == "mine"


# --- What is written ------------------------------------------------------------

HTTP = "https://example.org"
LINKS = [  # a text; the texts of its links, and where they lead if that is elsewhere
    (f"({HTTP}/Foo_(bar))", {f"{HTTP}/Foo_(bar)": ""}),
    (f"(see {HTTP}/a)", {f"{HTTP}/a": ""}),
    (f"[{HTTP}/a[1](2)], {{{HTTP}/b}}.", {f"{HTTP}/a[1](2)": "", f"{HTTP}/b": ""}),
    (f"{HTTP}/a?b=(c). And", {f"{HTTP}/a?b=(c)": ""}),
    (f"看{HTTP}/a。再见", {f"{HTTP}/a": ""}),
    (f"\uff08{HTTP}/b\uff09、「{HTTP}/c」", {f"{HTTP}/b": "", f"{HTTP}/c": ""}),
    (
        f"“{HTTP}/a” «{HTTP}/b» \u2018{HTTP}/c\u2019…",
        {f"{HTTP}/{x}": "" for x in "abc"},
    ),
    ("www.example.org/a, awww.no", {"www.example.org/a": "https://www.example.org/a"}),
    ("WWW.Example.org!", {"WWW.Example.org": "https://www.example.org/"}),
    ("bob.b+c@mail.example.org.", {"bob.b+c@mail.example.org": "mailto:"}),
    ("to www.bob@example.org", {"www.bob@example.org": "mailto:"}),
    (f"at {HTTP}/@bob@example.org", {f"{HTTP}/@bob@example.org": ""}),
    ("a@b @bob bob@localhost http:// https://( www. www...", {}),
]


def test_addresses_are_links_as_far_as_they_go(stage):
    with talking(stage) as (nina, omar, there):
        stage.server.send(omar.token, there, *(text for text, _ in LINKS), "last")
        nina.message("last").wait_for()
        for text, expected in LINKS:
            links = nina.page.get_by_text(text, exact=True).last.get_by_role("link")
            assert links.all_text_contents() == list(expected)
            for link, href in zip(links.all(), expected.values(), strict=True):
                shown = link.text_content()
                wanted = f"mailto:{shown}" if href == "mailto:" else href or shown
                assert link.evaluate("link => link.href") == wanted
        assert nina.bodies() == [*(text for text, _ in LINKS), "last"]


LONGEST_TASK = """
window.longest = 0;
new PerformanceObserver((list) => {
    for (const {duration} of list.getEntries()) longest = Math.max(longest, duration);
}).observe({type: "longtask", buffered: true});
"""


def test_no_text_takes_long_to_search_for_addresses(stage):
    """Each would take a quarter of a second if its length counted twice."""
    with talking(stage) as (nina, omar, there):
        texts = ["a" * 10_000] * 20 + [".a" * 5_000] * 20 + ["(" * 10_000, "a@" * 5_000]
        stage.server.send(omar.token, there, *texts, "last")
        nina.page.add_init_script(LONGEST_TASK)
        nina.page.reload()
        bubble(nina.page, "last").wait_for()
        settle(nina.page)
        assert nina.page.evaluate("longest") < 4_000


def test_receipts_count_only_those_who_were_there(stage):
    with talking(stage, "before") as (nina, _omar, there):
        page = nina.page
        late = nina.name.replace("nina", "late")
        [late_id] = stage.server.sign_up(late)
        body = {"user_id": late_id}
        path = f"conversations/{there}/add_participant/"
        stage.server.call("POST", path, body, nina.token)

        def with_joined_seq(route: Any) -> None:
            """As the API answers: somebody who came when there was one message."""
            if route.request.method != "GET":
                route.fallback()
                return
            response = route.fetch()
            answer = response.json()
            for conversation in answer.get("results", [answer]):
                for person in conversation["participants"]:
                    came_later = person["user_id"] == late_id
                    person["joined_seq"] = 1 if came_later else 0
            route.fulfill(response=response, json=answer)

        page.route(re.compile(r"/api/conversations/"), with_joined_seq)
        page.reload()
        page.get_by_text("Read by Some", exact=True).wait_for()

        nina.write("after")
        nina.message("after").get_by_text("Read by Some", exact=True).wait_for()
        body = {"conversation_id": there}
        path = "messages/mark_conversation_as_read/"
        stage.server.call("POST", path, body, stage.server.token_of(late))
        nina.message("after").get_by_text("Read by Some, Some", exact=True).wait_for()


def other_conversation(stage: Stage, owner: Person, with_: Person) -> str:
    other = stage.server.call("GET", "users/me/", token=with_.token)["user_id"]
    body = {"participant_ids": [other], "title": "Other"}
    made = stage.server.call("POST", "conversations/", body, owner.token)
    return made["conversation_id"]


def sign_in(page: Any, name: str, password: str = PASSWORD) -> None:
    form = page.locator("form").filter(has_text="Username or e-mail")
    form.get_by_label("Username or e-mail").fill(name)
    form.get_by_label("Password").fill(password)
    form.get_by_role("button", name="Sign in").click()


def test_drafts_outlive_a_reload_until_they_are_sent(stage):
    with talking(stage, "hello") as (nina, omar, _there):
        page = nina.page
        other_conversation(stage, omar, nina)
        field(page).fill("half a message")
        page.get_by_role("link", name="Other").click()
        page.get_by_text("This is the beginning").wait_for()
        field(page).fill("another")
        page.reload()
        page.get_by_text("This is the beginning").wait_for()
        assert field(page).input_value() == "another"
        page.get_by_role("link", name=TITLE).click()
        nina.message("hello").wait_for()
        assert field(page).input_value() == "half a message"
        page.keyboard.press("Enter")
        omar.message("half a message").wait_for()
        page.reload()
        nina.message("half a message").wait_for()
        assert field(page).input_value() == ""


def test_draft_outlives_the_session_but_not_signing_out(stage):
    with talking(stage, "hello") as (nina, omar, _there):
        page = nina.page
        field(page).fill("half a message")
        change = {"old_password": PASSWORD, "new_password": "another-Meadow-43"}
        stage.server.call("POST", "auth/password/change/", change, nina.token)
        page.get_by_role("heading", name="Sign in").wait_for()
        sign_in(page, omar.name)
        page.get_by_role("link", name=TITLE).click()
        nina.message("hello").wait_for()
        assert field(page).input_value() == ""

        nina.context.clear_cookies()  # omar's session ends as well
        page.goto(nina.url)
        page.reload()
        sign_in(page, nina.name, "another-Meadow-43")
        page.get_by_role("link", name=TITLE).click()
        nina.message("hello").wait_for()
        assert field(page).input_value() == "half a message"
        sign_out(page)
        assert page.evaluate("sessionStorage.length + localStorage.length") == 0


def test_drafts_kept_are_bounded(stage, crowd):
    with crowded(stage, crowd, **DESKTOP) as (lena, ids, _token):
        page = lena.page
        for title in list(ids)[:25]:
            page.goto(f"{lena.url}#/c/{ids[title]}")
            page.get_by_role("heading", name=title, exact=True).wait_for()
            field(page).fill("x" * 100_000)
        kept = page.evaluate("JSON.stringify(sessionStorage).length")
        assert 20 * 10_000 < kept < 1_000_000


def test_edit_in_progress_stays_while_one_looks_elsewhere(stage):
    with talking(stage, "first") as (nina, omar, _there):
        page = nina.page
        other_conversation(stage, omar, nina)
        field(page).fill("half a message")
        nina.choose("first", "Edit message")
        field(page).fill("first, an")
        page.get_by_role("link", name="Other").click()
        page.get_by_text("This is the beginning").wait_for()
        assert field(page).input_value() == ""
        assert not page.get_by_text("Editing a message").is_visible()
        page.get_by_role("link", name=TITLE).click()
        page.get_by_text("Editing a message").wait_for()
        assert field(page).input_value() == "first, an"
        nina.write("first, anew")
        omar.message("first, anew").wait_for()
        page.get_by_text("Editing a message").wait_for(state="hidden")
        assert field(page).input_value() == "half a message"
        assert omar.bodies() == ["first, anew"]


# --- What is read ---------------------------------------------------------------


def unread_of(stage: Stage, conversation_id: str, token: str) -> int:
    path = f"conversations/{conversation_id}/"
    return stage.server.call("GET", path, token=token)["unread_count"]


@contextmanager
def behind(stage: Stage, **screen: Any) -> Iterator[tuple[Person, Person, str]]:
    """Yield nina and omar, and a conversation with 260 messages nina has not read."""
    with talking(stage, **screen) as (nina, omar, _there):
        there = other_conversation(stage, omar, nina)
        history = HISTORY.format(there, NUMBER_OF_UNREAD)
        stage.server.manage("shell", "--command", history)
        nina.page.reload()
        yield nina, omar, there


LAST_SEEN = """
list => {
    const {bottom} = list.parentElement.getBoundingClientRect();
    const seen = [...list.children].filter((li) => /number/.test(li.textContent))
        .findLast((li) => li.getBoundingClientRect().bottom <= bottom);
    return Number(seen.textContent.match(/number (\\d+)/)[1]);
}
"""


@pytest.mark.parametrize("screen", SCREENS)
def test_reading_a_part_counts(stage, screen):
    with behind(stage, **screen) as (nina, _omar, there):
        page, calls = nina.page, []
        page.on("request", lambda call: calls.append(call.url))
        began = monotonic()
        page.goto(f"{nina.url}#/c/{there}")
        page.get_by_text("New messages", exact=True).wait_for()
        listed = page.get_by_role("list", name="Messages")
        for _ in range(65):
            listed.evaluate("list => { list.parentElement.scrollTop += 60; }")
        last = listed.evaluate(LAST_SEEN)
        assert last > 60
        rest = NUMBER_OF_UNREAD - last
        jump = page.get_by_role("button", name=f"newest messages {rest} new")
        jump.wait_for()
        assert unread_of(stage, there, nina.token) == rest
        told = len([url for url in calls if "mark_as_read" in url])
        assert told <= monotonic() - began + 1  # once a second

        page.reload()
        line = page.get_by_text("New messages", exact=True)
        line.wait_for()
        before, after = (
            bubble(page, f"number {last}"),
            bubble(page, f"number {last + 1}"),
        )
        assert box(before)["bottom"] < box(line)["y"] < box(after)["y"]


def test_what_was_jumped_over_is_not_read(stage):
    with behind(stage) as (nina, _omar, there):
        page = nina.page
        page.goto(f"{nina.url}#/c/{there}/200")
        bubble(page, "number 200").wait_for()
        settle(page)
        assert unread_of(stage, there, nina.token) == NUMBER_OF_UNREAD


def test_messages_that_come_while_one_reads_above_have_a_line(stage):
    with talking(stage, history=80) as (nina, omar, there):
        page = nina.page
        bubble(page, "number 80").wait_for()
        page.mouse.move(900, 400)
        page.mouse.wheel(0, -500)
        page.get_by_role("button", name="newest messages").wait_for()
        stage.server.send(omar.token, there, *"abcde")
        page.get_by_role("button", name="newest messages 5 new").wait_for()
        line = page.get_by_text("New messages", exact=True)
        above, first = bubble(page, "number 80"), bubble(page, "a")
        assert box(above)["bottom"] < box(line)["y"] < box(first)["y"]
        page.get_by_role("button", name="newest messages").click()
        bubble(page, "e").wait_for()
        omar.page.get_by_text("Read", exact=True).wait_for()
        # After all is read, the next that comes unseen has the line.
        page.mouse.move(900, 400)
        page.mouse.wheel(0, -500)
        page.get_by_role("button", name="newest messages").wait_for()
        stage.server.send(omar.token, there, "later")
        bubble(page, "later").wait_for()
        assert box(bubble(page, "e"))["bottom"] < box(line)["y"]


# --- The way back ---------------------------------------------------------------


def test_back_on_a_phone_goes_back(stage):
    with talking(stage, "hello", **PHONE) as (nina, _omar, there):
        page = nina.page
        page.goto("about:blank")
        page.goto(nina.url)
        page.get_by_role("link", name=TITLE).tap()
        nina.message("hello").wait_for()
        page.get_by_role("link", name=BACK).first.tap()
        page.get_by_role("link", name=TITLE).wait_for()
        page.go_back()
        assert page.url == "about:blank"

        page.goto(f"{nina.url}#/c/{there}")  # a link somebody was given
        nina.message("hello").wait_for()
        page.reload()
        nina.message("hello").wait_for()
        page.get_by_role("link", name=BACK).first.tap()
        page.get_by_role("link", name=TITLE).wait_for()
        page.go_back()
        assert page.url == "about:blank"


def test_browsers_own_back_leads_to_the_list(stage):
    with talking(stage, "hello", **PHONE) as (nina, _omar, _there):
        page = nina.page
        page.goto("about:blank")
        page.goto(nina.url)
        page.get_by_role("link", name=TITLE).tap()
        nina.message("hello").wait_for()
        page.go_back()
        page.get_by_role("link", name=TITLE).wait_for()
        page.go_forward()
        nina.message("hello").wait_for()
        page.get_by_role("link", name=BACK).first.tap()
        page.get_by_role("link", name=TITLE).wait_for()
        page.go_back()
        assert page.url == "about:blank"


def test_nothing_is_asked_with_an_empty_filter(stage):
    with talking(stage, "hello") as (nina, _omar, _there):
        page, asked = nina.page, []
        page.on("request", lambda call: asked.append(call.url))
        page.get_by_role("button", name="New conversation").click()
        people = page.get_by_role("searchbox", name="Search people")
        page.get_by_role("checkbox").first.wait_for()
        people.fill("   ")
        page.keyboard.press("Escape")
        settle(page)
        lists = [url for url in asked if "?" in url]
        assert lists
        assert [url for url in lists if re.search(r"=(&|$)|=(\+|%20)+(&|$)", url)] == []
