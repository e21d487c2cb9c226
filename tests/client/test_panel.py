"""The panel of a conversation: what each may do, and questions within it."""

from collections.abc import Iterator

import pytest

from tests.support.stage import TITLE, Stage, staged, talking

DESKTOP = {"viewport": {"width": 1440, "height": 900}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("panel")) as stage:
        yield stage


def test_owner_deletes_the_conversation_after_a_question_in_the_panel(stage):
    with talking(stage, "hello", **DESKTOP) as (nina, omar, _there):
        page = nina.page
        page.get_by_role("button", name="People and settings").click()
        panel = page.get_by_role("dialog")
        place = panel.bounding_box()
        assert place["x"] + place["width"] == 1440
        assert place["height"] == 900

        panel.get_by_role("button", name="Delete conversation").click()
        question = page.get_by_role("dialog", name=f"Delete “{TITLE}” for everyone?")
        question.get_by_role("button", name="Cancel").and_(
            page.locator(":focus")
        ).wait_for()
        page.keyboard.press("Escape")
        delete = panel.get_by_role("button", name="Delete conversation")
        delete.and_(page.locator(":focus")).wait_for()
        assert page.get_by_role("dialog").count() == 1

        delete.click()
        question.get_by_role("button", name="Delete for everyone").click()
        for person in (nina, omar):
            person.page.get_by_text(f"You are no longer in “{TITLE}”.").wait_for()


def test_panel_is_a_page_on_a_phone_and_offers_what_one_can_do(stage):
    with talking(stage, "hello", **PHONE) as (nina, omar, _there):
        for person in (nina, omar):
            person.page.get_by_role("button", name="People and settings").tap()
        panel = omar.page.get_by_role("dialog")
        box = panel.bounding_box()
        assert [box[side] for side in ("x", "y", "width", "height")] == [0, 0, 390, 844]
        delete = panel.get_by_role("button", name="Delete conversation")
        remove = panel.get_by_role("button", name="Remove")
        assert [delete.count(), remove.count()] == [0, 0]

        owners = nina.page.get_by_role("dialog")
        owners.get_by_role("button", name="Leave").tap()
        owners.get_by_text("The participant who has been in it longest").wait_for()
        owners.get_by_role("button", name="Leave").tap()
        nina.page.get_by_text("You are no longer in").wait_for()
        delete.wait_for()  # he owns it now
