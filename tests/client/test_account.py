"""The web client: a forgotten password, the settings, the way past what comes first."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import PASSWORD
from tests.support.stage import Person, Stage, settle, staged, talking

DESKTOP = {"viewport": {"width": 1440, "height": 900}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
NEW_PASSWORD = "another-Meadow-43"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("account")


@pytest.fixture(scope="module")
def stage(directory) -> Iterator[Stage]:
    with staged(directory) as stage:
        yield stage


def open_settings(page: Any, section: str) -> Any:
    """Open the settings by the menu, and one of their sections; return the dialog."""
    page.get_by_role("button", name="Account menu").click()
    page.get_by_role("menuitem", name="Settings").click()
    dialog = page.get_by_role("dialog", name="Settings")
    if section != "Profile":
        dialog.get_by_role("heading", name=section, exact=True).click()
    return dialog


def close(page: Any) -> None:
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")


def finish(person: Person) -> None:
    assert person.errors == []
    assert person.page.evaluate("violations") == []
    person.context.close()


def sign_in(page: Any, name: str, password: str) -> None:
    page.get_by_label("Username or e-mail").fill(name)
    page.get_by_role("textbox", name="Password").fill(password)
    page.keyboard.press("Enter")


# As the e-mail has it, of the person with this username.
LINK = """
from pathlib import Path
from django.contrib.auth.tokens import default_token_generator
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
user = User.objects.get(username="{}")
uid = urlsafe_base64_encode(force_bytes(user.pk))
Path("{}").write_text(f"#/reset/{{uid}}/{{default_token_generator.make_token(user)}}")
"""


def reset_link(stage: Stage, directory: Path, name: str) -> str:
    file = directory / "link"
    stage.server.manage("shell", "--command", LINK.format(name, file))
    return file.read_text()


# --- A forgotten password ---------------------------------------------------------


def test_forgotten_password_is_asked_for_whoever_has_the_address(stage):
    stage.server.sign_up("rosa")
    person = stage.person("rosa", **PHONE)
    page = person.page
    page.goto(person.url)
    page.get_by_role("link", name="Forgot password?").click()
    page.get_by_role("heading", name="Forgot password?").wait_for()
    assert page.get_by_role("textbox").count() == 1
    for email in ("rosa@example.org", "no-one@example.org"):
        page.get_by_role("textbox", name="E-mail").fill(email)
        assert page.get_by_text("is on its way").count() == 0
        page.get_by_role("button", name="Send link").click()
        page.get_by_text(f"If {email} belongs to an account").wait_for()
    page.get_by_role("link", name="Back to sign-in").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    finish(person)


def test_link_of_the_email_leads_to_a_new_password_once(stage, directory):
    stage.server.sign_up("sina")
    link = reset_link(stage, directory, "sina")
    person = stage.person("sina", **PHONE)
    page = person.page
    page.goto(f"{person.url}{link}")
    field = page.get_by_role("textbox", name="New password")
    assert field.evaluate("e => e === document.activeElement")
    assert page.get_by_role("textbox").count() == 1
    field.fill("12345")
    page.keyboard.press("Enter")
    page.get_by_text("This password is too short").wait_for()
    assert field.get_attribute("aria-invalid") == "true"
    field.fill(NEW_PASSWORD)
    page.get_by_role("button", name="Save password").click()
    page.get_by_text("Your password has been changed. Sign in").wait_for()
    assert page.evaluate("location.hash") == "#/"
    sign_in(page, "sina", NEW_PASSWORD)
    page.get_by_text("No conversations yet.").wait_for()

    page.goto(f"{person.url}{link}")  # in the page that is open
    field.fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_text("This link has expired").wait_for()
    page.get_by_role("link", name="Send a new link").press("Enter")
    page.get_by_role("textbox", name="E-mail").wait_for()
    assert (
        page.get_by_role("heading", level=2)
        .all_text_contents()
        .count("Forgot password?")
    )
    finish(person)


def test_password_is_shown_on_demand_and_hidden_when_it_is_sent(stage):
    person = stage.person("nobody", **PHONE)
    page = person.page
    page.goto(person.url)
    field = page.get_by_role("textbox", name="Password")
    button = page.get_by_role("button", name="Show password")
    field.fill("wrong")
    page.get_by_label("Username or e-mail").fill("nobody")
    assert min(button.bounding_box()[side] for side in ("width", "height")) >= 44
    seen = [(field.get_attribute("type"), button.get_attribute("aria-pressed"))]
    button.tap()
    seen.append((field.get_attribute("type"), button.get_attribute("aria-pressed")))
    page.get_by_role("button", name="Sign in").tap()
    page.get_by_text("Wrong username, e-mail or password.").wait_for()
    seen.append((field.get_attribute("type"), button.get_attribute("aria-pressed")))
    assert seen == [("password", "false"), ("text", "true"), ("password", "false")]

    page.get_by_role("link", name="Create account").click()
    field = page.get_by_role("textbox", name="Password")
    described = field.evaluate(
        "e => document.getElementById(e.getAttribute('aria-describedby')).textContent"
    )
    assert "At least 8 characters" in described
    assert field.get_attribute("autocomplete") == "new-password"
    finish(person)


# --- The settings -----------------------------------------------------------------


def test_profile_is_changed_and_what_is_refused_names_its_field(stage):
    with talking(stage, "hello") as (nina, _omar, _there):
        page = nina.page
        dialog = open_settings(page, "Profile")
        assert dialog.get_by_label("First name").input_value() == "Some"
        proof = dialog.get_by_role("textbox", name="Current password")
        assert proof.count() == 0
        dialog.get_by_label("First name").fill("Nina ")
        dialog.get_by_label("Last name").fill("نينا 👩‍🚀")
        dialog.get_by_label("Phone").fill("call me")
        dialog.get_by_role("button", name="Save").click()
        dialog.get_by_text("Phone number (optional): Enter a phone number.").wait_for()
        assert dialog.get_by_label("Phone").get_attribute("aria-invalid") == "true"

        dialog.get_by_label("Phone").fill("+49 30 1234")
        dialog.get_by_label("E-mail").fill(f"new-{nina.name}@example.org")
        proof.fill("wrong")
        dialog.get_by_role("button", name="Save").click()
        dialog.get_by_text("Current password: ").wait_for()
        proof.fill(PASSWORD)
        dialog.get_by_role("button", name="Save").click()
        page.get_by_text("Your profile has been saved.").wait_for()
        assert proof.count() == 0
        close(page)
        page.get_by_role("button", name="Nina نينا 👩‍🚀 Account menu").wait_for()
        assert page.evaluate("document.activeElement.id") == "me"
        mine = stage.server.call("GET", "users/me/", token=nina.token)
        assert mine["email"] == f"new-{nina.name}@example.org"
        assert (mine["first_name"], mine["phone_number"]) == ("Nina", "+49 30 1234")


def test_devices_and_tokens_are_listed_and_ended(stage):
    with talking(stage, "hello") as (nina, _omar, _there):
        page = nina.page
        other = stage.person(nina.name, user_agent=FIREFOX, **PHONE)
        other.page.goto(other.url)
        sign_in(other.page, nina.name, PASSWORD)
        other.page.get_by_role("link", name="Plans").wait_for()

        dialog = open_settings(page, "Devices")
        devices = dialog.get_by_role("list", name="Devices").get_by_role("listitem")
        dialog.get_by_role("button", name="Sign out Firefox on Linux").wait_for()
        assert devices.count() == 2
        assert "this device" in devices.first.inner_text()
        assert devices.first.get_by_role("button").count() == 0
        assert "127.0.0.1" in devices.last.inner_text()
        dialog.get_by_role("button", name="Sign out Firefox on Linux").click()
        question = page.get_by_role("dialog", name="Sign out Firefox on Linux?")
        question.get_by_role("button", name="Sign out").click()
        other.page.get_by_role("heading", name="Sign in").wait_for()
        devices.nth(1).wait_for(state="detached")

        dialog.get_by_role("heading", name="Access tokens", exact=True).click()
        tokens = dialog.get_by_role("list", name="Access tokens")
        dialog.get_by_label("Name", exact=True).fill("backup script")
        dialog.get_by_label("Last day").fill("2001-01-01")
        password = dialog.get_by_role("textbox", name="Current password")
        password.fill(PASSWORD)
        dialog.get_by_role("button", name="Create token").click()
        dialog.get_by_text("Last day (optional): Must be in the future.").wait_for()
        dialog.get_by_label("Last day").fill("")
        dialog.get_by_role("button", name="Create token").click()
        secret = dialog.get_by_role("textbox", name="Access token")
        secret.wait_for()
        tokens.get_by_text("backup script").wait_for()
        token = secret.input_value()
        who = stage.server.call("GET", "users/me/", token=token)
        assert who["username"] == nina.name
        close(page)
        values = page.evaluate(
            "[...document.querySelectorAll('input')].map(e => e.value)"
        )
        assert token not in values

        dialog = open_settings(page, "Devices")
        dialog.get_by_role("button", name="Sign out everywhere else").click()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        dialog.get_by_role("heading", name="Access tokens", exact=True).click()
        dialog.get_by_text("You have no access tokens.").wait_for()
        other.context.close()


def test_password_is_changed_and_this_page_stays(stage):
    with talking(stage, "hello") as (nina, omar, _there):
        page = nina.page
        dialog = open_settings(page, "Password")
        dialog.get_by_role("textbox", name="Current password").fill("wrong")
        dialog.get_by_role("textbox", name="New password").fill(NEW_PASSWORD)
        dialog.get_by_role("button", name="Change password").click()
        dialog.get_by_text("Current password: ").wait_for()
        dialog.get_by_role("textbox", name="Current password").fill(PASSWORD)
        dialog.get_by_role("button", name="Change password").click()
        dialog.get_by_text("Your other devices are signed out.").wait_for()
        close(page)
        omar.write("still here?")
        nina.message("still here?").wait_for()
        body = {"username": nina.name, "password": NEW_PASSWORD, "name": "test"}
        stage.server.call("POST", "auth/tokens/", body)


def test_theme_and_language_are_kept(stage):
    with talking(stage, "hello", **DESKTOP) as (nina, _omar, _there):
        page = nina.page
        page.emulate_media(color_scheme="light")
        ground = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(ground)
        dialog = open_settings(page, "Theme and language")
        dialog.get_by_label("Theme").select_option(label="Dark")
        dark = page.evaluate(ground)
        assert dark != light
        # Before the first paint: each one would be noted.
        page.add_init_script(
            """window.grounds = new Set(); (function note() {
                if (document.body) grounds.add(getComputedStyle(document.body)
                    .backgroundColor);
                requestAnimationFrame(note);
            })()"""
        )
        page.reload()
        nina.message("hello").wait_for()
        assert page.evaluate("[...grounds]") == [dark]

        dialog = open_settings(page, "Theme and language")
        assert dialog.get_by_label("Theme").input_value() == "dark"
        dialog.get_by_label("Theme").select_option(label="Same as the system")
        assert page.evaluate(ground) == light
        with page.expect_navigation():
            dialog.get_by_label("Language").select_option(label="English")
        nina.message("hello").wait_for()
        cookies = {c["name"]: c for c in page.context.cookies()}
        assert (cookies["language"]["value"], cookies["language"]["path"]) == (
            "en",
            "/",
        )
        dialog = open_settings(page, "Theme and language")
        assert dialog.get_by_label("Language").input_value() == "en"
        with page.expect_navigation():
            dialog.get_by_label("Language").select_option(label="Same as the browser")
        assert "language=" not in page.evaluate("document.cookie")
        nina.message("hello").wait_for()


def test_data_is_downloaded_whole_or_not_at_all(stage):
    with talking(stage, "a word of mine") as (nina, _omar, _there):
        page = nina.page
        dialog = open_settings(page, "Your data")
        with page.expect_download() as download:
            dialog.get_by_role("button", name="Download my data").click()
        lines = Path(download.value.path()).read_text().splitlines()
        assert json.loads(lines[-1])["type"] == "end"
        assert "a word of mine" in "".join(lines)
        assert download.value.suggested_filename.endswith(".ndjson")

        page.route(
            "**/users/me/export/",
            lambda route: route.fulfill(body="\n".join(lines[:-1])),
        )
        dialog.get_by_role("button", name="Download my data").click()
        dialog.get_by_text("The download broke off.").wait_for()
        page.unroute_all()


def test_account_is_deleted_with_the_password_only(stage):
    with talking(stage, "hello") as (nina, omar, _there):
        page = nina.page
        dialog = open_settings(page, "Delete account")
        dialog.get_by_text("This cannot be undone.").wait_for()
        button = dialog.get_by_role("button", name="Delete my account")
        dialog.get_by_role("textbox", name="Current password").fill("wrong")
        button.click()
        dialog.get_by_text("Current password: ").wait_for()
        dialog.get_by_role("textbox", name="Current password").fill(PASSWORD)
        button.click()
        page.get_by_role("heading", name="Sign in").wait_for()
        omar.page.get_by_text("Only you").first.wait_for()


# --- The keyboard -----------------------------------------------------------------


def test_skip_links_and_focus_after_sign_in(stage):
    with talking(stage, "hello", "last one") as (nina, _omar, there):
        visitor = stage.person(nina.name, **DESKTOP)
        page = visitor.page
        page.goto(visitor.url)
        sign_in(page, nina.name, PASSWORD)
        entry = page.get_by_role("link", name="Plans")
        entry.wait_for()
        page.wait_for_function("document.activeElement.matches('a[href^=\"#/c/\"]')")
        page.keyboard.press("Enter")
        visitor.message("last one").wait_for()

        page.reload()
        visitor.message("last one").wait_for()
        page.locator("body").evaluate("() => document.activeElement.blur()")
        skip = page.get_by_role("link", name="Skip to the messages")
        skip.focus()
        assert skip.bounding_box()["height"] >= 40
        page.keyboard.press("Enter")
        assert "last one" in page.evaluate("document.activeElement.textContent")
        assert page.evaluate("location.hash") == f"#/c/{there}"
        page.get_by_role("link", name="Skip to the conversations").press("Enter")
        assert "Plans" in page.evaluate("document.activeElement.textContent")
        finish(visitor)


def test_phone_has_one_main_part_and_one_heading_of_the_page(stage):
    with talking(stage, "hello", **PHONE) as (nina, _omar, _there):
        page = nina.page
        for _ in range(2):
            assert page.get_by_role("main").count() == 1
            assert page.get_by_role("heading", level=1).count() == 1
            if page.get_by_role("link", name="Back to all conversations").count():
                page.get_by_role("link", name="Back to all conversations").tap()
                page.get_by_role("link", name="Plans").wait_for()
        dialog = open_settings(page, "Access tokens")
        dialog.get_by_role("button", name="Revoke test").wait_for()
        wide = "document.querySelector('dialog[open]').scrollWidth"
        assert page.evaluate(wide) <= 390
        small = page.evaluate(
            """[...document.querySelectorAll("#settings button, #settings summary")]
                .filter((e) => e.checkVisibility())
                .filter((e) => e.getBoundingClientRect().height < 40).length"""
        )
        assert small == 0
        settle(page)
