"""The list of conversations and its search, in a browser."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.stage import TITLE, Stage, staged, talking

PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("list")) as stage:
        yield stage


def test_search_shows_where_who_and_what_and_starts_a_conversation(stage):
    with talking(stage, "The (quiet) Needle is here") as (nina, omar, _there):
        page = nina.page
        page.keyboard.press("Control+k")
        page.locator("input:focus").fill("(QUIET) needle")
        hit = page.get_by_role("link", name=TITLE).filter(has_text="The (quiet)")
        hit.locator("mark").wait_for()
        assert hit.locator("mark").all_text_contents() == ["(quiet) Needle"]

        page.get_by_role("searchbox").fill(omar.name)
        person = page.get_by_role("button", name=f"@{omar.name}")
        assert person.locator("mark").text_content() == omar.name
        person.click()
        page.locator("textarea:focus").wait_for()
        page.get_by_role("heading", name="Some Body").wait_for()
        address = page.url
        page.get_by_role("link", name=TITLE).first.click()
        page.get_by_role("heading", name=TITLE).wait_for()
        person.click()  # it is there now
        page.wait_for_url(address)


def test_conversation_is_marked_as_read_in_the_list(stage):
    with talking(stage) as (nina, omar, there):
        page = nina.page
        page.evaluate("location.hash = '#/'")
        page.get_by_text("Choose a conversation").wait_for()
        entry = page.get_by_role("listitem").filter(has_text=TITLE)
        unread = entry.get_by_text("unread")

        def mark(open_menu: Any, text: str) -> None:
            stage.server.send(omar.token, there, text)
            unread.wait_for()
            open_menu()
            item = page.locator("[role=menuitem]:focus")
            item.get_by_text("Mark as read").wait_for()
            page.keyboard.press("Enter")
            unread.wait_for(state="hidden")

        mark(lambda: entry.click(button="right"), "one")

        def by_button() -> None:
            entry.hover()
            entry.get_by_role("button", name="Conversation actions").click()

        mark(by_button, "two")
        entry.get_by_role("link").focus()
        mark(lambda: page.keyboard.press("ContextMenu"), "three")


def test_long_press_opens_the_menu_and_nothing_more(stage):
    with talking(stage, **PHONE) as (nina, omar, there):
        page = nina.page
        page.get_by_role("link", name="Back to all").first.tap()
        stage.server.send(omar.token, there, "new")
        entry = page.get_by_role("listitem").filter(has_text=TITLE)
        entry.get_by_text("unread").wait_for()
        place = entry.bounding_box()
        touch = page.context.new_cdp_session(page)
        point = {"x": place["x"] + 80, "y": place["y"] + 20}
        begin = {"type": "touchStart", "touchPoints": [point]}
        touch.send("Input.dispatchTouchEvent", begin)
        page.get_by_role("menu").wait_for()
        end = {"type": "touchEnd", "touchPoints": []}
        touch.send("Input.dispatchTouchEvent", end)
        page.get_by_role("menuitem", name="Mark as read").tap()
        entry.get_by_text("unread").wait_for(state="hidden")
        assert page.url.endswith("#/")
