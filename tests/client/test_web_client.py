"""The web client in a real browser, against a server and a database of its own.

Two people have a browser context each. Every page must end without an error and
without anything its Content-Security-Policy had to stop. Nothing sleeps: each step
waits for what it is about.
"""

import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.browser import PASSWORD
from tests.support.stage import (
    TITLE,
    Stage,
    named,
    settle,
    sign_out,
    staged,
    talking,
)

REFUSED = {"status": 503, "json": {"detail": "Not now."}}


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("client")) as stage:
        yield stage


# --- Talking ------------------------------------------------------------------


def test_two_people_talk_over_a_restart_of_the_server(stage):
    with talking(stage) as (nina, omar, _there):
        nina.write("Saturday at noon?")
        omar.message("Saturday at noon?").wait_for()
        nina.page.get_by_text("Read", exact=True).wait_for()  # omar looks at it
        omar.page.get_by_role("textbox", name="Message").press_sequentially("Ye")
        nina.page.get_by_text("Some Body is typing…").wait_for()

        stage.server.stop(signal.SIGKILL)
        omar.page.get_by_text("No connection").wait_for()
        omar.write("Yes!")
        omar.message("Waiting for a connection").wait_for()
        stage.server.start()

        nina.message("Yes!").wait_for()
        omar.page.get_by_text("No connection").wait_for(state="hidden")
        expected = ["Saturday at noon?", "Yes!"]
        assert nina.bodies() == omar.bodies() == expected

        nina.choose("Saturday", "Edit message")
        nina.write("Sunday at noon?")
        omar.message("Sunday at noon?").get_by_text("edited").wait_for()
        omar.choose("Yes!", "Delete message")
        omar.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        nina.message("Message deleted").wait_for()
        omar.page.locator(".message:focus", has_text="Message deleted").wait_for()
        assert nina.bodies() == ["Sunday at noon?", "Message deleted"]


def test_message_whose_answer_was_lost_is_stored_once(stage):
    with talking(stage) as (nina, omar, _there):
        answers = []

        def lose_the_first(route: Any) -> None:
            response = route.fetch()  # it arrives, and is stored
            answers.append(response.status)
            if len(answers) == 1:
                route.abort()
            else:
                route.fulfill(response=response)

        def is_of_messages(request: Any) -> bool:
            return request.url.endswith("/api/messages/")

        def is_repeated(answer: Any) -> bool:
            return is_of_messages(answer) and answer.status == 200

        # Nor does the stream tell that it was stored.
        nina.page.route("**/api/events/**", lambda route: route.abort())
        nina.page.clock.install()
        nina.page.reload()
        nina.page.clock.fast_forward(2_000)  # until it does without
        nina.page.locator("h2", has_text=TITLE).wait_for()
        nina.page.route("**/api/messages/", lose_the_first)
        with nina.page.expect_response(is_repeated):
            with nina.page.expect_event("requestfailed", is_of_messages):
                nina.write("once")
            nina.page.clock.fast_forward(2_000)
        assert answers == [201, 200]
        omar.message("once").wait_for()
        nina.page.unroute_all()

        nina.message("once").get_by_text("Read").wait_for()
        assert omar.bodies() == nina.bodies() == ["once"]


def test_message_written_before_a_reload_is_sent_after_it(stage):
    with talking(stage) as (nina, omar, _there):
        nina.page.route("**/api/messages/", lambda route: route.abort())
        nina.write("patience")
        nina.message("patience").get_by_text("Sending").wait_for()
        nina.page.unroute_all()
        nina.page.reload()
        omar.message("patience").wait_for()
        nina.message("patience").get_by_text("Read").wait_for()
        assert omar.bodies() == nina.bodies() == ["patience"]


def test_tabs_share_one_stream_and_survive_the_one_that_holds_it(stage):
    with talking(stage) as (nina, omar, there):
        streams = []
        second = nina.new_page()
        second.on("request", lambda call: streams.append(call.url))
        nina.open(second, there)

        omar.write("to both")
        for page in (nina.page, second):
            page.locator(".message", has_text="to both").wait_for()
        assert [url for url in streams if "/api/events/" in url] == []

        nina.page.close()
        omar.write("to the one left")
        second.locator(".message", has_text="to the one left").wait_for()
        assert len([url for url in streams if "/api/events/?after=" in url]) == 1


AGE_THE_LOG = """
from datetime import timedelta
from django.db.models import F
from chats.models import Event
Event.objects.update(created_at=F("created_at") - timedelta(days=2))
"""


def test_page_loads_anew_when_what_it_missed_is_not_kept(stage):
    with talking(stage, "before") as (nina, omar, there):
        nina.page.route("**/api/events/**", lambda route: route.abort())
        stage.server.stop(signal.SIGTERM)
        stage.server.start()
        stage.server.send(omar.token, there, "after")
        omar.message("after").wait_for()
        stage.server.manage("shell", "-c", AGE_THE_LOG)
        stage.server.manage("prune_events", "--days", "1")
        assert nina.bodies() == ["before"]

        nina.page.unroute_all()
        nina.message("after").wait_for()
        assert nina.bodies() == ["before", "after"]


# --- What people write --------------------------------------------------------

HOSTILE = [
    "<img src=x onerror=alert(1)><script>alert(2)</script><b>bold</b>",
    "javascript:alert(1) data:text/html,x file:///etc/passwd vbscript:x",
    "see https://example.org/a?b=<i>&c=1). and http://exa\u202emple.org/x",
    "\u202eright to left\u202c \u2066isolated\u2069 שלום مرحبا",
    "W" * 3000,
    "long " * 2000,
    "a\n\n  b\tc &amp; &lt;",
]


def test_bodies_are_text_and_only_web_addresses_are_links(stage):
    with talking(stage) as (nina, omar, there):
        stage.server.send(omar.token, there, *HOSTILE)
        nina.message("&amp;").wait_for()

        assert nina.bodies() == HOSTILE
        assert nina.page.locator(".body *").count() == 2
        links = nina.page.locator(".body a").evaluate_all(
            "links => links.map(({href, rel, target}) => [href, rel, target])"
        )
        rel = "noopener noreferrer nofollow"
        assert links == [
            ["https://example.org/a?b=", rel, "_blank"],
            ["http://exa/", rel, "_blank"],
        ]
        # Nothing is wider than its place, and nothing turns what is beside it.
        assert nina.page.evaluate(WIDER) == []
        isolation = "e => [getComputedStyle(e).unicodeBidi, e.dir]"
        body = nina.message("right to left").locator(".body")
        assert body.evaluate(isolation) == ["isolate", "auto"]


WIDER = """
[...document.querySelectorAll(".messages, .message, .bubble, .body, .entry")]
    .filter((e) => e.getBoundingClientRect().right > innerWidth
        || e.scrollWidth > e.clientWidth + 1)
    .map((e) => e.className)
"""


def test_messages_too_long_or_blank_are_not_sent(stage):
    with talking(stage) as (nina, omar, _there):
        send = nina.page.get_by_role("button", name="Send")
        field = nina.page.get_by_role("textbox", name="Message")
        for text, note in [("  \n", ""), ("🙂" * 10_001, "1 character too many")]:
            field.fill(text)
            assert send.is_disabled()
            assert nina.page.locator("#left").text_content() == note
        field.fill("🙂" * 10_000)
        send.click()
        assert len(omar.page.locator(".body").text_content()) == 10_000


def test_what_one_writes_stays_when_an_edit_is_saved_late(stage):
    with talking(stage, "first", "reply", "second") as (nina, _omar, _there):
        page, held = nina.page, []
        field = page.get_by_role("textbox", name="Message")
        page.route("**/api/messages/*/", lambda route: held.append(route))

        def begin(text: str) -> None:
            nina.choose(text, "Edit message")

        def save(text: str) -> None:
            field.fill(text)
            with page.expect_request("**/api/messages/*/"):
                page.keyboard.press("Enter")

        def answer() -> None:
            with page.expect_response("**/api/messages/*/"):
                held.pop().continue_()
            settle(page)

        begin("first")
        save("first, anew")
        page.keyboard.press("Escape")
        begin("second")
        field.fill("second, half")
        answer()
        assert field.input_value() == "second, half"

        save("second, anew")
        field.fill("second, anew, and more")
        answer()
        assert field.input_value() == "second, anew, and more"

        search = page.get_by_role("searchbox")
        save("second, at last")
        search.focus()
        answer()
        assert field.input_value() == ""
        assert search.evaluate(IS_FOCUSED)

        begin("first")
        save("first, at last")
        page.evaluate("location.hash = '#/'")
        page.get_by_text("Choose a conversation").wait_for()
        search.focus()
        answer()
        assert search.evaluate(IS_FOCUSED)
        page.go_back()
        nina.message("first, at last").wait_for()
        assert field.input_value() == ""


IS_FOCUSED = "element => element === document.activeElement"


# --- A long history -----------------------------------------------------------

# Scrolls a way as fast as the page lets one. Returns whether it got there, the most
# messages in the page at once and built in one turn, and how far the message looked at
# ever jumped.
SCROLL = """
async ([up, done]) => {
    const scroller = document.getElementById("scroller");
    const frame = () => new Promise(requestAnimationFrame);
    const messages = () => [...scroller.querySelectorAll(".message")];
    const isDone = () => messages()
        .some((message) => message.querySelector(".body").textContent === done);
    let added = 0, most = 0, built = 0, jumped = 0;
    new MutationObserver((records) => {
        for (const {addedNodes} of records) added += addedNodes.length;
    }).observe(document.getElementById("messages"), {childList: true});
    for (let turn = 0; turn < 2000 && !isDone(); turn++) {
        const middle = messages().find((m) => m.getBoundingClientRect().top > 200);
        scroller.scrollTop += up ? -700 : 700;
        const before = middle?.getBoundingClientRect().top;
        await frame();
        built = Math.max(built, added);
        added = 0;
        most = Math.max(most, messages().length);
        if (middle?.isConnected) {
            const now = middle.getBoundingClientRect().top;
            jumped = Math.max(jumped, Math.abs(now - before));
        }
    }
    return [isDone(), most, built, Math.round(jumped)];
}
"""


def scroll(page: Any, done: str, *, up: bool) -> None:
    """Scroll to a message: the page is bounded, and so is what a turn costs."""
    found, most, built, jumped = page.evaluate(SCROLL, [up, done])
    assert found
    assert most <= 200
    assert 0 < built <= 100
    assert jumped <= 2


def test_ten_thousand_messages_are_scrolled_through_by_a_bounded_page(stage):
    with talking(stage, history=10_000) as (nina, omar, there):
        nina.message("number 10000").wait_for()
        scroll(nina.page, "number 9400", up=True)
        scroll(nina.page, "number 10000", up=False)
        for middle, up in ((5000, True), (300, True), (7000, False)):
            nina.page.goto(f"{nina.url}#/c/{there}/{middle}")
            nina.page.locator(f".message:focus[data-key='{middle}']").wait_for()
            end = middle - 299 if up else middle + 300
            scroll(nina.page, f"number {end}", up=up)
            if end == 1:
                nina.page.get_by_text("This is the beginning").wait_for()

        # Somebody who reads history is not moved by what comes; one at the end is.
        omar.write("new")
        jump = nina.page.get_by_role("button", name="newest messages 1 new")
        jump.click()
        nina.message("new").wait_for()
        omar.page.get_by_text("Read", exact=True).wait_for()


def test_what_is_read_stays_when_older_messages_come_late(stage):
    with talking(stage, history=400) as (nina, _omar, _there):
        page = nina.page
        nina.message("number 400").wait_for()
        scroll(page, "number 210", up=True)  # by now the page lets go what is newest

        def scroll_away(route: Any) -> None:
            page.evaluate("scroller.scrollTop = scroller.scrollHeight")
            page.evaluate("window.read = messages.lastElementChild")
            route.continue_()

        page.route(re.compile("before_seq"), scroll_away)
        page.evaluate("scroller.scrollTop = 0")
        nina.message("number 400").wait_for()
        assert page.evaluate("read.isConnected")


def test_who_writes_while_reading_history_is_led_to_the_end(stage):
    with talking(stage, history=500) as (nina, omar, there):
        nina.page.goto(f"{nina.url}#/c/{there}/100")
        nina.page.locator(".message:focus[data-key='100']").wait_for()
        nina.write("at the end")
        omar.message("at the end").wait_for()
        nina.message("at the end").get_by_text("Read").wait_for()
        assert nina.bodies()[-2:] == ["number 500", "at the end"]
        assert named(nina.page.locator(":focus")) == "Message"


def test_history_is_scrolled_by_keyboard(stage):
    with talking(stage, history=200) as (nina, _omar, _there):
        nina.message("number 200").wait_for()
        nina.page.keyboard.press("Shift+Tab")
        assert "number 200" in named(nina.page.locator(":focus"))
        for _ in range(200):
            if nina.message("number 100").count():
                return
            nina.page.keyboard.press("ArrowUp")
        raise AssertionError("arrow keys do not lead back")


def test_search_leads_to_a_message_far_back(stage):
    with talking(stage, "needle", history=250) as (nina, omar, there):
        nina.message("needle").wait_for()
        stage.server.send(omar.token, there, "the last")
        nina.page.get_by_role("searchbox").fill("number 99")
        for _ in range(2):
            nina.page.locator(".entry", has_text="number 99").last.click()
            nina.page.locator(".message:focus[data-key='99']").wait_for()
            nina.page.get_by_role("button", name="newest messages").click()
            nina.page.locator("textarea:focus").wait_for()


def test_search_leads_back_to_a_message_one_has_scrolled_away_from(stage):
    with talking(stage, history=500) as (nina, _omar, _there):
        nina.message("number 500").wait_for()
        nina.page.get_by_role("searchbox").fill("number 99")
        entry = nina.page.locator("#hits .entry", has_text="number 99")
        found = nina.page.locator(".message:focus[data-key='99']")
        entry.click()
        found.wait_for()
        nina.page.evaluate("scroller.scrollTop += 1000")  # it is in the page yet
        assert not found.evaluate(IS_IN_VIEW)
        entry.click()
        found.wait_for()
        assert found.evaluate(IS_IN_VIEW)
        scroll(nina.page, "number 300", up=False)  # and now no longer
        assert nina.page.locator(".message[data-key='99']").count() == 0
        entry.click()
        found.wait_for()
        assert found.evaluate(IS_IN_VIEW)


IS_IN_VIEW = """
(element) => {
    const {top, bottom} = element.getBoundingClientRect();
    return top >= 0 && bottom <= innerHeight;
}
"""


@pytest.mark.parametrize("place", ["messages", "users"])
def test_search_goes_on_after_pages_with_nothing(stage, place):
    """As the first page of a search is, where there is much to look through."""

    def nothing_yet(route):
        further = route.request.url.replace("page_size=20", "page_size=19")
        route.fulfill(json={"results": [], "next": further, "previous": None})

    with talking(stage, "needle") as (nina, _omar, _there):
        nina.message("needle").wait_for()
        nina.page.route(f"**/api/{place}/?search=*&page_size=20", nothing_yet)
        if place == "messages":
            nina.page.get_by_role("searchbox").fill("needle")
            nina.page.locator("#hits .entry", has_text="needle").wait_for()
        else:
            nina.page.get_by_role("button", name="New conversation").click()
            nina.page.get_by_role("searchbox", name="Search people").fill("omar")
            nina.page.locator("#chooser .people li").first.wait_for()


def test_search_that_takes_long_holds_nothing_up(stage):
    with talking(stage, "needle") as (nina, omar, _there):
        held: list[Any] = []
        nina.page.route("**/api/messages/?search=*", lambda route: held.append(route))
        with nina.page.expect_request("**/api/messages/?search=*"):
            nina.page.get_by_role("searchbox").fill("needle")
        omar.write("meanwhile")
        nina.message("meanwhile").wait_for()

        held[0].continue_()
        nina.page.locator("#hits .entry", has_text="needle").wait_for()


def test_search_for_what_is_no_longer_wanted_ends(stage):
    with talking(stage, "needle", "thread") as (nina, _omar, _there):
        held: list[Any] = []
        needle = "**/api/messages/?search=needle*"
        nina.page.route(needle, lambda route: held.append(route))
        field = nina.page.get_by_role("searchbox")
        with nina.page.expect_request(needle):
            field.fill("needle")
        field.fill("thread")
        nina.page.locator("#hits .entry", has_text="thread").wait_for()
        with nina.page.expect_response(needle):
            further = held[0].request.url
            held[0].fulfill(json={"results": [], "next": further, "previous": None})
        nina.page.locator("#hits .entry", has_text="thread").click()
        nina.page.locator(".message:focus", has_text="thread").wait_for()
        assert len(held) == 1


def test_conversations_past_the_first_page_are_shown_on_demand(stage):
    with talking(stage) as (nina, omar, _there):
        me = stage.server.call("GET", "users/me/", token=nina.token)["user_id"]
        for number in range(60):
            body = {"participant_ids": [me], "title": f"{TITLE} {number}"}
            stage.server.call("POST", "conversations/", body, omar.token)
        nina.page.reload()
        entries = nina.page.locator(".entry")
        nina.page.get_by_text(f"{TITLE} 59").wait_for()
        assert entries.count() < 61
        entries.last.focus()  # as the keyboard does; it is scrolled to
        entries.nth(60).wait_for()
        expected = [f"{TITLE} {number}" for number in reversed(range(60))] + [TITLE]
        assert entries.locator(".title bdi").all_text_contents() == expected


# --- Coming and going ---------------------------------------------------------


def test_people_are_found_added_and_removed(stage):
    with talking(stage, "hello") as (nina, omar, _there):
        pia = omar.name.replace("omar", "pia")
        stage.server.sign_up(pia)
        omar.page.get_by_role("button", name="People and settings").click()
        dialog = omar.page.get_by_role("dialog")
        dialog.get_by_role("button", name="Add people").click()
        dialog.get_by_label("Search people").fill(pia)
        dialog.get_by_text(f"@{pia}").wait_for()
        dialog.get_by_label(f"@{pia}").check()
        dialog.get_by_role("button", name="Add", exact=True).click()
        dialog.get_by_role("heading", name="3 people").wait_for()
        nina.page.get_by_text("3 people").wait_for()

        nina.page.get_by_role("button", name="People and settings").click()
        omars = nina.page.get_by_role("listitem").filter(has_text=f"@{omar.name}")
        omars.get_by_role("button", name="Remove").click()
        question = nina.page.get_by_role("dialog", name=re.compile("Remove .*from"))
        question.get_by_role("button", name="Remove").click()

        omar.page.get_by_text("You are no longer in “Plans”.").wait_for()
        assert dialog.count() == 0
        assert omar.page.locator(".entry").count() == 0
        assert omar.page.locator(".message").count() == 0
        nina.page.get_by_role("heading", name="2 people").wait_for()


def test_people_chosen_in_a_dialog_opened_anew_are_asked_once(stage):
    with talking(stage) as (nina, omar, _there):
        page, held, starts = nina.page, [], []
        page.route("**/api/users/?*", lambda route: held.append(route), times=1)
        with page.expect_request("**/api/users/?*"):
            page.get_by_role("button", name="New conversation").dblclick()
        page.keyboard.press("Escape")
        page.get_by_role("button", name="New conversation").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("searchbox").fill(omar.name)  # others may come before
        dialog.get_by_text(f"@{omar.name}").wait_for()
        with page.expect_response("**/api/users/?*"):
            held[0].continue_()  # what was searched before comes late

        dialog.get_by_label(f"@{omar.name}").check()
        dialog.get_by_label("Title").fill(f"{TITLE} anew")
        page.on("request", lambda call: starts.append(call.method))
        dialog.get_by_role("button", name="Start").dblclick()
        page.get_by_role("heading", name=f"{TITLE} anew").wait_for()
        assert starts.count("POST") == 1


def test_people_are_added_where_they_were_chosen_wherever_one_goes(stage):
    with talking(stage) as (nina, omar, there):
        page, held = nina.page, []
        names = [omar.name.replace("omar", name) for name in ("pia", "quin")]
        _, last_id = stage.server.sign_up(*names)
        omars = stage.server.call("GET", "users/me/", token=omar.token)["user_id"]
        body = {"participant_ids": [omars], "title": "Secret"}
        secret = stage.server.call("POST", "conversations/", body, nina.token)
        secret_id = secret["conversation_id"]
        for place in (secret_id, there):
            page.evaluate("id => location.hash = `#/c/${id}`", place)
            page.locator(f"[href='#/c/{place}'][aria-current=page]").wait_for()
        page.locator("h2", has_text=TITLE).wait_for()

        page.get_by_role("button", name="People and settings").click()
        page.get_by_role("button", name="Add people").click()
        dialog = page.get_by_role("dialog", name="Add people")
        for name in names:
            dialog.get_by_role("searchbox").fill(name)
            dialog.get_by_label(f"@{name}").check()
        add = "**/add_participant/"
        page.route(add, lambda route: held.append(route), times=1)
        with page.expect_request(add):
            dialog.get_by_role("button", name="Add", exact=True).click()
        page.go_back()
        page.locator("h2", has_text="Secret").wait_for()

        def is_of_the_last(answer: Any) -> bool:
            return last_id in (answer.request.post_data or "")

        with page.expect_response(is_of_the_last):
            held[0].continue_()

        def count_of(place: str) -> int:
            path = f"conversations/{place}/"
            return stage.server.call("GET", path, token=nina.token)["participant_count"]

        assert [count_of(there), count_of(secret_id)] == [4, 2]


def test_start_whose_answer_was_lost_starts_one_when_submitted_again(stage):
    with talking(stage) as (nina, omar, _there):
        page = nina.page
        dialog = page.locator("#chooser")
        page.get_by_role("button", name="New conversation").click()
        dialog.get_by_role("searchbox").fill(omar.name)
        dialog.get_by_label(f"@{omar.name}").check()
        dialog.get_by_label("Title").fill(f"{TITLE} once")

        def lose_the_answer(route) -> None:
            route.fetch()
            route.abort()

        starts = "**/api/conversations/"
        page.route(starts, lose_the_answer, times=1)
        start = dialog.get_by_role("button", name="Start")
        with page.expect_event("requestfailed"):
            start.click()
        with page.expect_response(starts) as answer:
            start.click()
        dialog.wait_for(state="hidden")

        assert answer.value.status == 200
        found = stage.server.call("GET", "conversations/", token=nina.token)["results"]
        titles = [conversation["title"] for conversation in found]
        assert titles.count(f"{TITLE} once") == 1


def test_what_an_earlier_opening_of_a_dialog_began_leaves_the_next_alone(stage):
    with talking(stage) as (nina, omar, _there):
        page, held = nina.page, []
        omars = stage.server.call("GET", "users/me/", token=omar.token)
        users, starts = "**/api/users/?*", "**/api/conversations/"
        dialog = page.locator("#chooser")

        # Whom a search of another dialog found may take part already.
        page.route(users, lambda route: held.append(route), times=1)
        with page.expect_request(users):
            page.get_by_role("button", name="New conversation").click()
        page.keyboard.press("Escape")
        page.get_by_role("button", name="People and settings").click()
        with page.expect_response(users):
            page.get_by_role("button", name="Add people").click()
        settle(page)
        held.pop().fulfill(json={"results": [omars], "next": None, "previous": None})
        settle(page)
        assert dialog.get_by_label(f"@{omar.name}").count() == 0
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")

        page.route(starts, lambda route: held.append(route))

        def choose(title: str) -> None:
            page.get_by_role("button", name="New conversation").click()
            dialog.get_by_role("searchbox").fill(omar.name)
            dialog.get_by_label(f"@{omar.name}").check()
            dialog.get_by_label("Title").fill(title)

        def start() -> None:
            with page.expect_request(starts):
                dialog.get_by_role("button", name="Start").click()

        choose(f"{TITLE} anew")
        start()
        page.keyboard.press("Escape")
        choose("Never")
        held.pop().continue_()
        page.locator(".entry", has_text=f"{TITLE} anew").wait_for()
        settle(page)
        assert dialog.get_by_role("checkbox", checked=True).count() == 1
        assert page.locator("#title").text_content() == TITLE

        start()
        page.keyboard.press("Escape")
        choose("Never")
        start()  # though the one before is not answered yet
        held.pop(0).fulfill(**REFUSED)
        dialog.locator("#toast", has_text="Not now.").wait_for()
        assert dialog.locator(".error").text_content() == ""
        assert dialog.locator("[aria-busy]").count() == 1
        page.evaluate("toast.textContent = ''")
        page.keyboard.press("Escape")
        held.pop().fulfill(**REFUSED)
        page.locator("#toast", has_text="Not now.").wait_for(state="attached")


def test_what_fails_in_a_dialog_is_said_in_it(stage):
    with talking(stage) as (nina, _omar, there):
        nina.page.route(f"**/conversations/{there}/", lambda r: r.fulfill(**REFUSED))
        nina.page.get_by_role("button", name="People and settings").click()
        dialog = nina.page.get_by_role("dialog")
        dialog.get_by_role("button", name="Rename").click()
        dialog.get_by_role("alert").get_by_text("Not now.").wait_for()
        nina.page.unroute_all()
        dialog.get_by_label("Title").fill(f"{TITLE} anew")
        dialog.get_by_role("button", name="Rename").click()
        nina.page.get_by_role("link", name=f"{TITLE} anew").wait_for()


def test_people_chosen_stay_chosen_while_others_are_searched(stage):
    with talking(stage) as (nina, omar, _there):
        pia = omar.name.replace("omar", "pia")
        stage.server.sign_up(pia)
        nina.page.get_by_role("button", name="New conversation").click()
        dialog = nina.page.get_by_role("dialog")
        with nina.page.expect_response(f"**/api/users/?search={omar.name}&*"):
            dialog.get_by_role("searchbox").fill(omar.name)
        dialog.get_by_text(f"@{pia}").wait_for(state="hidden")
        dialog.get_by_label(f"@{omar.name}").check()
        dialog.get_by_role("searchbox").fill(pia)
        dialog.get_by_label(f"@{pia}").check()
        assert dialog.get_by_role("checkbox", checked=True).count() == 2
        with nina.page.expect_response(f"**/api/users/?search={pia}&*"):
            dialog.get_by_role("searchbox").fill(f"{pia} ")
        settle(nina.page)
        assert dialog.get_by_role("status").text_content() == ""  # she is found
        dialog.get_by_role("button", name="Start").click()
        nina.page.locator("#head").get_by_text("3 people").wait_for()


LONG_TITLE = "x" * 201  # the browser would not let one write it
FREE = "title => title.removeAttribute('maxlength')"
TOO_LONG = "Ensure this field has no more than 200 characters."


def faults_of(form: Any) -> tuple[list[str], list[str]]:
    """Return what a form says is wrong, by line, and the names of the fields marked."""
    error = form.locator(".error:not(:empty)")
    error.wait_for()
    marked = form.locator("[aria-invalid=true]")
    names = [field.get_attribute("name") for field in marked.all()]
    return error.text_content().split("\n"), names


def test_what_is_refused_names_its_field(stage):
    with talking(stage) as (nina, omar, _there):
        page = stage.person("nobody").page
        page.goto(nina.url)
        page.get_by_role("link", name="Create account").click()
        form = page.locator("#sign-up")
        for name in ("First name", "Last name"):
            form.get_by_label(name).fill("Pia")
        form.get_by_label("Username").fill("pia@home")
        form.get_by_label("E-mail").fill("pia@example")
        form.get_by_label("Password").fill(PASSWORD)
        form.get_by_role("button", name="Create account").click()
        lines, names = faults_of(form)
        assert names == ["username", "email"]
        assert [line.split(": ")[0] for line in lines] == ["Username", "E-mail"]
        assert named(page.locator(":focus")) == "Username"
        page.context.close()

        nina.page.get_by_role("button", name="New conversation").click()
        dialog = nina.page.get_by_role("dialog")
        dialog.get_by_role("searchbox").fill(omar.name)
        dialog.get_by_label(f"@{omar.name}").check()
        dialog.get_by_label("Title").evaluate(FREE)
        dialog.get_by_label("Title").fill(LONG_TITLE)
        dialog.get_by_role("button", name="Start").click()
        expected = [f"Title (optional): {TOO_LONG}"], ["title"]
        assert faults_of(dialog) == expected
        nina.page.keyboard.press("Escape")
        nina.page.get_by_role("button", name="New conversation").click()
        assert dialog.locator(".error").text_content() == ""

        nina.page.keyboard.press("Escape")
        nina.page.get_by_role("button", name="People and settings").click()
        dialog.get_by_label("Title").evaluate(FREE)
        dialog.get_by_label("Title").fill(LONG_TITLE)
        dialog.get_by_role("button", name="Rename").click()
        assert faults_of(dialog) == ([f"Title: {TOO_LONG}"], ["title"])
        dialog.get_by_label("Title").fill(f"{TITLE} anew")
        dialog.get_by_role("button", name="Rename").click()
        dialog.locator(".error:empty").wait_for(state="attached")
        assert dialog.locator("[aria-invalid=true]").count() == 0
        assert dialog.get_by_label("Title").input_value() == f"{TITLE} anew"


def test_sign_out_ends_every_tab_and_leaves_nothing(stage):
    with talking(stage, "secret") as (nina, _omar, there):
        second = nina.new_page()
        nina.open(second, there)
        second.locator(".message", has_text="secret").wait_for()

        for page in (nina.page, second):
            page.route("**/api/messages/", lambda route: route.abort())
            page.get_by_role("textbox", name="Message").fill("secret, too")
            page.get_by_role("button", name="Send").click()
            page.locator(".waiting", has_text="secret, too").wait_for()
        sign_out(nina.page)
        for page in (nina.page, second):
            page.get_by_role("heading", name="Sign in").wait_for()
            assert "secret" not in page.content()
            assert page.evaluate("sessionStorage.length") == 0

        form = second.locator("#sign-in")
        form.get_by_label("Username or e-mail").fill(nina.name)
        form.get_by_label("Password").fill(PASSWORD)
        form.get_by_role("button", name="Sign in").click()
        second.locator(".entry", has_text=TITLE).click()
        second.locator(".message", has_text="secret").wait_for()


def test_session_that_ends_elsewhere_closes_the_page(stage):
    with talking(stage, "secret") as (nina, _omar, _there):
        change = {"old_password": PASSWORD, "new_password": "another-Meadow-43"}
        stage.server.call("POST", "auth/password/change/", change, nina.token)
        nina.page.get_by_role("heading", name="Sign in").wait_for()
        assert "secret" not in nina.page.content()


def test_page_of_somebody_who_signs_in_twice_at_once_is_the_sessions(stage):
    with talking(stage) as (nina, _omar, _there):
        visitor, held = stage.person(nina.name.replace("nina", "pia")), []
        page = visitor.page
        page.goto(visitor.url)
        form = page.locator("#sign-in")
        form.get_by_label("Username or e-mail").fill(nina.name)
        form.get_by_label("Password").fill(PASSWORD)
        page.route("**/auth/login/", lambda route: held.append(route), times=1)
        with page.expect_request("**/auth/login/"):
            form.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="Create account").click()
        form = page.locator("#sign-up")
        for label in ("First name", "Last name", "Username"):
            form.get_by_label(label).fill(visitor.name)
        form.get_by_label("E-mail").fill(f"{visitor.name}@example.org")
        form.get_by_label("Password").fill(PASSWORD)
        form.get_by_role("button", name="Create account").click()
        page.get_by_text("No conversations yet.").wait_for()

        held[0].continue_()
        page.locator(".entry", has_text=TITLE).wait_for()
        assert page.locator("#me bdi").text_content() == "Some Body"
        assert visitor.errors == []
        page.context.close()


def test_message_that_waits_is_sent_when_its_sender_is_back(stage):
    with talking(stage) as (nina, omar, _there):
        nina.page.route("**/api/messages/", lambda route: route.abort())
        nina.write("patience")
        nina.message("patience").get_by_text("Sending").wait_for()
        change = {"old_password": PASSWORD, "new_password": "another-Meadow-43"}
        stage.server.call("POST", "auth/password/change/", change, nina.token)
        form = nina.page.locator("#sign-in")
        form.get_by_label("Username or e-mail").fill(nina.name)
        form.get_by_label("Password").fill("another-Meadow-43")
        nina.page.unroute_all()
        form.get_by_role("button", name="Sign in").click()
        omar.message("patience").wait_for()
        assert omar.bodies() == ["patience"]


def test_newcomer_signs_up_and_starts_a_conversation_by_keyboard_alone(stage):
    with talking(stage) as (nina, omar, _there):
        pia = stage.person(nina.name.replace("nina", "pia"))
        pia.page.goto(pia.url)
        press, type_ = pia.page.keyboard.press, pia.page.keyboard.type
        focused = pia.page.locator(":focus")

        def tab_to(name: str) -> None:
            for _ in range(30):
                if focused.count() and name in named(focused):
                    return
                press("Tab")
            raise AssertionError(f"Tab does not lead to {name}")

        tab_to("Create account")
        press("Enter")
        tab_to("First name")
        for text in ("Pia", "Example", pia.name, f"{pia.name}@example.org", "short"):
            type_(text)
            press("Tab")
        tab_to("Create account")
        press("Enter")
        pia.page.get_by_text("This password is too short").wait_for()
        assert named(focused) == "Password"
        assert focused.get_attribute("aria-invalid") == "true"
        press("Control+a")
        type_(PASSWORD)
        press("Enter")
        pia.page.get_by_text("No conversations yet.").wait_for()

        tab_to("New conversation")
        press("Enter")
        type_(nina.name)
        pia.page.get_by_text(f"@{omar.name}").wait_for(state="hidden")
        tab_to(f"@{nina.name}")
        press("Space")
        tab_to("Start")
        press("Enter")
        pia.page.get_by_text("This is the beginning").wait_for()
        pia.page.locator("textarea:focus").wait_for()
        type_("Hello Nina")
        press("Enter")
        pia.message("Hello Nina").get_by_text("Sent").wait_for()
        announcer = nina.page.locator("#announcer", has_text="Hello Nina")
        announcer.wait_for(state="attached")
        press("Shift+Tab")
        assert "Hello Nina" in named(focused)
        press("Tab")
        assert named(focused) == "Message actions"
        press("Enter")
        pia.page.locator("[role=menuitem]:focus", has_text="Copy text").wait_for()
        press("End")
        press("ArrowUp")
        pia.page.locator("[role=menuitem]:focus", has_text="Edit message").wait_for()
        press("Enter")
        press("End")
        type_("!")
        press("Enter")
        pia.message("Hello Nina!").get_by_text("edited").wait_for()
        assert pia.errors == []


# --- For everybody ------------------------------------------------------------

# What a checker of accessibility would find: an element one can use without a name, an
# id given twice, text too pale for its ground (WCAG 2.2, 1.4.3), a missing landmark.
FAULTS = """
() => {
    const seen = (e) => e.checkVisibility({visibilityProperty: true})
        && !e.closest(".unseen");
    const all = [...document.querySelectorAll("body *")].filter(seen);
    const says = (e) => `${e.tagName} ${e.className} ${e.textContent.slice(0, 20)}`;
    const name = (e) => (e.getAttribute("aria-label") || e.labels?.[0]?.textContent
        || e.textContent).trim();
    const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
    const ground = (e) => {
        for (; e; e = e.parentElement) {
            const rgba = numbers(getComputedStyle(e).backgroundColor);
            if (rgba[3] !== 0) return rgba;
        }
        return [255, 255, 255];
    };
    const light = (rgb) => rgb.slice(0, 3).map((n) => n / 255)
        .map((n) => n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4)
        .reduce((sum, n, i) => sum + n * [0.2126, 0.7152, 0.0722][i], 0);
    const contrast = (e) => {
        const [a, b] = [light(numbers(getComputedStyle(e).color)), light(ground(e))];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    };
    const hasText = (e) => [...e.childNodes]
        .some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
    const ids = all.map((e) => e.id).filter(Boolean);
    return [
        ...all.filter((e) => e.matches("a, button, input, textarea, dialog"))
            .filter((e) => !name(e)).map((e) => `no name: ${says(e)}`),
        ...ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => `twice: ${id}`),
        ...all.filter((e) => hasText(e) && !e.closest(":disabled") && contrast(e) < 4.5)
            .map((e) => `pale: ${contrast(e).toFixed(2)} ${says(e)}`),
        ...(all.filter((e) => e.matches("main")).length === 1 ? [] : ["not one main"]),
        ...([...document.querySelectorAll("h1")].filter((e) => e.checkVisibility())
            .length === 1 ? [] : ["not one h1"]),
    ];
}
"""
FOCUS_SHOWS = """
() => {
    const {outlineStyle, outlineWidth} = getComputedStyle(document.activeElement);
    return document.activeElement !== document.body
        && outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_accessible_in_both_themes(stage, scheme):
    with talking(stage, "hello", "https://example.org/x") as (nina, omar, _there):
        page = nina.page
        page.emulate_media(color_scheme=scheme)
        omar.write("one more")
        nina.message("one more").hover()
        assert page.evaluate(FAULTS) == []
        page.get_by_role("button", name="New conversation").focus()
        for _ in range(6):
            page.keyboard.press("Tab")
            assert page.evaluate(FOCUS_SHOWS)

        page.get_by_role("button", name="New conversation").click()
        page.get_by_role("checkbox").first.wait_for()
        assert page.evaluate(FAULTS) == []
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Account menu").click()
        page.get_by_role("menuitem", name="Settings").click()
        for section in ("Devices", "Access tokens"):
            page.get_by_role("heading", name=section, exact=True).click()
            page.get_by_role("list", name=section).get_by_role("listitem").wait_for()
            assert page.evaluate(FAULTS) == []
        page.keyboard.press("Escape")
        sign_out(page)
        form = page.locator("#sign-in")
        form.get_by_label("Username or e-mail").fill(nina.name)
        form.get_by_label("Password").fill("wrong")
        form.get_by_role("button", name="Sign in").click()
        form.locator(".error:not(:empty)").wait_for()
        assert named(page.locator(":focus")) == "Password"
        assert page.evaluate(FAULTS) == []


def test_faults_are_found(stage):
    with talking(stage) as (nina, _omar, _there):
        nina.page.evaluate(
            """() => {
                const add = (tag, id) => document.querySelector("main:not([hidden])")
                    .appendChild(Object.assign(document.createElement(tag), {id}));
                add("button", "twin");
                add("p", "twin").textContent = "pale";
                document.getElementById("twin").nextSibling.style.color = "#aaa";
                add("h1", "second").textContent = "Again";
            }"""
        )
        faults = nina.page.evaluate(FAULTS)
        kinds = sorted({fault.split(":")[0] for fault in faults})
        assert kinds == ["no name", "not one h1", "pale", "twice"]


def test_phone_shows_the_list_or_a_conversation(stage):
    with talking(stage, "hello") as (nina, _omar, _there):
        page = nina.page
        page.set_viewport_size({"width": 360, "height": 640})
        assert not page.locator("#sidebar").is_visible()
        assert page.evaluate(FAULTS) == []
        page.get_by_role("link", name="Back to all conversations").click()
        page.locator(".entry").wait_for()
        assert not page.locator("#conversation").is_visible()
        page.locator(".entry").click()
        nina.message("hello").wait_for()
        field = page.get_by_role("textbox", name="Message")
        assert field.bounding_box()["height"] >= 44
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_conversation_that_could_not_be_opened_is_opened_later(stage):
    with talking(stage, "hello") as (nina, _omar, there):
        page = nina.page
        page.set_viewport_size({"width": 360, "height": 640})
        page.get_by_role("link", name="Back to all conversations").click()
        page.locator(".entry:focus", has_text=TITLE).wait_for()
        page.reload()  # it forgets the messages
        page.locator(".entry").wait_for()
        page.clock.install()
        address = f"**/conversations/{there}/"
        page.route(address, lambda route: route.fulfill(**REFUSED), times=1)
        page.locator(".entry").click()
        page.get_by_role("alert").get_by_text("Not now.").wait_for()
        assert page.locator("#hint").text_content() == "Loading…"
        assert page.locator("#hint").is_visible()
        page.clock.fast_forward(5_000)
        nina.message("hello").wait_for()


COUNT_TOASTS = """
window.toasts = 0;
new MutationObserver(() => toasts += 1)
    .observe(document.getElementById("toast"), {childList: true});
"""


def test_conversation_that_cannot_be_opened_is_tried_at_the_servers_pace(stage):
    with talking(stage, "hello") as (nina, _omar, there):
        page, calls = nina.page, []
        address = f"**/conversations/{there}/"
        later = REFUSED | {"status": 429, "headers": {"Retry-After": "60"}}

        def refuse(route: Any) -> None:
            calls.append(route.request.url)
            route.fulfill(**later)

        page.evaluate("location.hash = '#/'")
        page.reload()  # it forgets the messages
        page.get_by_text("Choose a conversation").wait_for()
        page.clock.install()
        page.evaluate(COUNT_TOASTS)
        page.route(address, refuse)
        for _ in range(3):
            with page.expect_response(address):
                page.locator(".entry").click()
            settle(page)
        page.clock.fast_forward(5_000)
        settle(page)
        assert len(calls) == 3
        with page.expect_response(address):
            page.clock.fast_forward(60_000)
        settle(page)
        assert len(calls) == 4
        assert page.evaluate("toasts") == 3  # one for each click

        page.unroute_all()
        stage.server.stop(signal.SIGKILL)
        page.locator("#offline", has_text="No connection").wait_for()
        stage.server.start()
        nina.message("hello").wait_for()  # at once, not a minute later


def test_open_conversation_that_cannot_be_loaded_anew_is_left_alone(stage):
    with talking(stage, history=300) as (nina, _omar, there):
        page, calls = nina.page, []
        nina.message("number 300").wait_for()
        page.clock.install()
        address = f"**/conversations/{there}/"
        page.route(address, lambda route: route.fulfill(**REFUSED))
        page.evaluate(f"location.hash = '#/c/{there}/5'")  # far back
        page.locator("#toast", has_text="Not now.").wait_for(state="attached")
        settle(page)
        page.unroute_all()
        page.on("request", lambda call: calls.append(call.url))
        page.clock.fast_forward(5_000)  # it might be tried again, and take the focus
        settle(page)
        page.evaluate("addEventListener('click', (event) => event.preventDefault())")
        page.locator(".entry").click(modifiers=["Control"])  # would open a tab
        settle(page)
        assert [url for url in calls if there in url] == []


SENT = """
performance.getEntriesByType("navigation").concat(performance.getEntriesByType("resource"))
    .reduce((sum, {encodedBodySize}) => sum + encodedBodySize, 0)
"""


def test_first_load_is_small(stage):
    """In bytes as they are sent, the calls of the API included."""
    with talking(stage) as (nina, _omar, _there):
        loaded: list[str] = []
        nina.page.on("request", lambda request: loaded.append(request.url))

        def load(selector: str) -> tuple[int, int]:
            loaded.clear()
            nina.page.goto("about:blank")
            nina.page.goto(nina.url)
            nina.page.locator(selector).wait_for()
            return len(loaded), nina.page.evaluate(SENT)

        number, size = load(".entry")
        assert f"{nina.url}api/events/" in loaded
        assert number < 10
        assert 20_000 < size < 60_000

        nina.context.clear_cookies()
        number, size = load("h2 >> text=Sign in")
        assert number < 10
        assert 20_000 < size < 60_000
