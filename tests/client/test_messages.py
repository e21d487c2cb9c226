"""What the web client offers for a message, and the lines between messages."""

import re
from collections.abc import Iterator

import pytest

from tests.support.stage import Stage, named, staged, talking

CLIPBOARD = {"permissions": ["clipboard-read", "clipboard-write"]}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("messages")) as stage:
        yield stage


def test_menu_opens_by_right_click_and_menu_key_and_copies(stage):
    with talking(stage, "**mine**", "theirs", **CLIPBOARD) as (_nina, omar, there):
        page = omar.page  # he owns nothing here
        item = page.get_by_role("menuitem")
        copied = "navigator.clipboard.readText()"
        nina_line = page.get_by_role("listitem").filter(has_text="mine").last

        nina_line.click(button="right")
        names = ["Copy text", "Copy link", "Message info"]
        assert [named(choice) for choice in item.all()] == names
        item.get_by_text("Copy text").click()
        page.get_by_role("alert").get_by_text("Copied.").wait_for()
        assert page.evaluate(copied) == "**mine**"

        nina_line.focus()
        page.keyboard.press("Shift+F10")
        item.get_by_text("Copy link").click()
        page.wait_for_function(f"{copied}.then((text) => text.includes('#/c/'))")
        assert page.evaluate(copied) == f"{omar.url}#/c/{there}/1"

        # What one edits is marked, until it is over.
        line = page.get_by_role("listitem").filter(has_text="theirs").last
        line.click(button="right")
        item.get_by_text("Edit message").click()
        line.get_by_text("Being edited").wait_for()
        page.keyboard.press("Escape")
        line.get_by_text("Being edited").wait_for(state="detached")


def test_times_and_readers_of_a_message_are_told(stage):
    with talking(stage, "first", "second", **PHONE) as (nina, omar, there):
        [pia_id] = stage.server.sign_up(f"pia-{nina.name}")
        add = f"conversations/{there}/add_participant/"
        stage.server.call("POST", add, {"user_id": pia_id}, nina.token)
        nina.page.get_by_text("3 people").wait_for()
        stage.server.send(nina.token, there, "third")
        body = {"conversation_id": there}
        read = "messages/mark_conversation_as_read/"
        stage.server.call("POST", read, body, omar.token)

        page = nina.page
        page.get_by_role("button", name="Read by Some").tap()
        dialog = page.get_by_role("dialog", name="Message info")
        readers = dialog.get_by_role("list", name="Read by")
        assert readers.get_by_text(f"@{omar.name}").count() == 1
        rest = dialog.get_by_role("list", name="Not read yet")
        assert rest.get_by_text(f"@pia-{nina.name}").count() == 1
        time = dialog.get_by_role("time").first.text_content()
        assert re.search(r"\d:\d\d:\d\d", time)
        page.keyboard.press("Escape")
        note = page.get_by_role("button", name="Read by Some")
        note.and_(page.locator(":focus")).wait_for()

        page.get_by_role("button", name="Message actions").first.tap()
        page.get_by_role("menuitem", name="Message info").tap()
        dialog.wait_for()


def test_what_happened_stands_between_the_messages_by_its_time(stage):
    with talking(stage, "first") as (nina, omar, there):
        pia, server = f"pia-{nina.name}", stage.server
        [pia_id] = server.sign_up(pia)
        path, body = f"conversations/{there}/", {"user_id": pia_id}
        server.call("POST", f"{path}add_participant/", body, nina.token)
        server.call("PATCH", path, {"title": "Plans for tea"}, omar.token)
        server.send(omar.token, there, "second")
        omar.page.get_by_text("You renamed").wait_for()
        server.call("POST", f"{path}remove_participant/", body, nina.token)
        nina_id = server.call("GET", "users/me/", token=nina.token)["user_id"]
        leave = {"user_id": nina_id}
        server.call("POST", f"{path}remove_participant/", leave, nina.token)

        page = omar.page
        page.get_by_text("You are now the owner").wait_for()
        page.reload()
        page.get_by_text("You are now the owner").wait_for()
        lines = page.get_by_role("list", name="Messages").get_by_role("listitem")
        texts = [re.sub(r"\s+", " ", text) for text in lines.all_text_contents()]
        happened = [text for text in texts if "Some Body" in text or "You" in text]
        assert [text for text in happened if "AM" not in text and "PM" not in text] == [
            "Some Body added Some Body",
            "You renamed the conversation to “Plans for tea”",
            "Some Body removed Some Body",
            "Some Body left",
            "You are now the owner",
        ]
        at = next(n for n, text in enumerate(texts) if "second" in text)
        assert "You renamed" in texts[at - 1]
        assert "removed" in texts[at + 1]
