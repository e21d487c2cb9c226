"""Emoji in the web client: the picker, and names completed while one types."""

from collections.abc import Iterator

import pytest

from tests.support.stage import Stage, named, staged, talking


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("emoji")) as stage:
        yield stage


def test_emoji_is_searched_chosen_by_keyboard_and_put_at_the_caret(stage):
    with talking(stage, "hello") as (nina, omar, _there):
        page, press = nina.page, nina.page.keyboard.press
        field = page.get_by_role("textbox", name="Message")
        focused = page.locator(":focus")
        field.fill("ab")
        press("ArrowLeft")
        page.get_by_role("button", name="Insert emoji").click()
        page.get_by_role("button", name="grinning", exact=True).wait_for()

        page.get_by_role("searchbox", name="Search emoji").fill("cat")
        page.get_by_role("button", name="grinning", exact=True).wait_for(state="hidden")
        press("ArrowDown")
        first = named(focused)
        press("ArrowRight")
        assert named(focused) != first
        press("ArrowLeft")
        assert named(focused) == first
        press("ArrowUp")
        page.get_by_role("searchbox", name="Search emoji").and_(focused).wait_for()
        focused.fill("zzzz")
        page.get_by_role("status").get_by_text("No emoji found.").wait_for()
        focused.fill("pizza")
        page.get_by_role("button", name="pizza", exact=True).click()
        field.and_(focused).wait_for()
        assert field.input_value() == "a🍕b"
        press("Enter")
        omar.message("a🍕b").wait_for()


def test_name_is_completed_while_one_types(stage):
    with talking(stage, "hello") as (nina, omar, _there):
        page, press = nina.page, nina.page.keyboard.press
        field = page.get_by_role("textbox", name="Message")
        options = page.get_by_role("listbox", name="Emoji").get_by_role("option")
        field.press_sequentially("well :thumbs")
        options.get_by_text(":thumbsup:").wait_for()
        press("ArrowDown")
        options.and_(page.get_by_role("option", selected=True)).get_by_text(
            ":thumbsdown:"
        ).wait_for()
        press("ArrowUp")
        press("Enter")
        assert field.input_value() == "well 👍"

        field.press_sequentially(" :smi")
        options.first.wait_for()
        press("Escape")
        options.first.wait_for(state="hidden")
        field.press_sequentially("le:")
        page.wait_for_function("text.value === 'well 👍 😄'")
        field.press_sequentially(" 12:30")
        press("Enter")
        omar.message("well 👍 😄 12:30").wait_for()
