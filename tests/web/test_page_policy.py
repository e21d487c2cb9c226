"""Every page says what a browser may load for it, and works with that."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from chats.api.handlers import PAGE_POLICY
from chats.api.webpages import PERMISSIONS, STRICT, STYLED, written
from tests.support.admin import PAGES, one_row_of_each, pages_of, pages_of_the_site
from tests.support.browser import PASSWORD, Restartable, browsing, serving

BROWSABLE = [
    "/api/",
    "/api/docs/",
    "/api/users/",
    "/api/users/me/",
    "/api/conversations/",
    "/api/messages/",
    "/api/events/",
    "/api/auth/tokens/",
    "/api-auth/login/",
]
ELSEWHERE = ["/", "/no-such-page", "/admin/no-such-page/", "/admin/login/"]


@pytest.fixture
def as_boss(boss) -> Client:
    client = Client(headers={"Accept": "text/html"})
    client.force_login(boss)
    return client


def policy_of(client: Client, url: str) -> dict[str, str]:
    """Return the policy of the page at an address, or {} for what is no page."""
    answer = client.get(url)
    if not answer.headers.get("Content-Type", "").startswith("text/html"):
        return {}
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    return read(answer.headers["Content-Security-Policy"])


def read(policy: str) -> dict[str, str]:
    return dict(part.split(" ", 1) for part in policy.split("; "))


OF_ERRORS = read(PAGE_POLICY)  # of a page that has no files at all


@pytest.mark.parametrize("label", PAGES)
def test_admin_pages_have_the_strict_policy(label, as_boss):
    key = one_row_of_each()[label].pk
    found = [policy_of(as_boss, url) for url in pages_of(label, key)]

    assert STRICT in found
    assert [policy for policy in found if policy not in ({}, STRICT, OF_ERRORS)] == []


def test_admin_site_pages_have_the_strict_policy(as_boss):
    found = [policy_of(as_boss, url) for url in pages_of_the_site()]

    assert STRICT in found
    assert [policy for policy in found if policy not in ({}, STRICT, OF_ERRORS)] == []


@pytest.mark.parametrize("url", BROWSABLE)
def test_pages_of_the_api_may_have_styles_and_no_script(url, as_boss):
    assert policy_of(as_boss, url) == STYLED
    assert "unsafe" not in STYLED["script-src"]


@pytest.mark.parametrize("url", ELSEWHERE)
def test_other_pages_have_a_policy_without_inline_code(url, db):
    policy = policy_of(Client(headers={"Accept": "text/html"}), url)

    assert policy["default-src"] == "'none'"
    assert "unsafe" not in " ".join(policy.values())


def test_page_asks_the_browser_for_no_device(as_boss):
    page = as_boss.get(reverse("admin:index"))

    assert page.headers["Permissions-Policy"] == PERMISSIONS


def test_json_has_no_policy(as_boss):
    answer = as_boss.get("/api/users/me/", headers={"Accept": "application/json"})

    assert "Content-Security-Policy" not in answer.headers


def test_debugging_pages_of_django_have_no_policy(as_boss, settings):
    settings.DEBUG = True

    page = as_boss.get("/no-such-page")

    assert (page.status_code, "Content-Security-Policy" in page.headers) == (404, False)


def test_policy_is_written_as_the_standard_has_it():
    assert written({"a": "'self'", "b": "'none'"}) == "a 'self'; b 'none'"


# --- In a browser -----------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Restartable]:
    with serving(tmp_path_factory.mktemp("policy")) as server:
        server.manage("seed_demo", "--password", PASSWORD)
        yield server


@pytest.fixture
def page(server) -> Iterator[Any]:
    with browsing(server.url) as page:
        page.complaints = []
        page.on("console", lambda line: complain(page, line.type, line.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        yield page


def complain(page: Any, kind: str, text: str) -> None:
    """Note an error, but for answers of 4xx: an icon that is not there, signing out."""
    if kind == "error" and "Failed to load resource" not in text:
        page.complaints.append(text)


def sign_in(page: Any, url: str) -> None:
    page.goto(url)
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", PASSWORD)
    page.click("input[type=submit]")
    page.wait_for_load_state()


def test_browser_shows_the_admin_within_its_policy(server, page):
    sign_in(page, f"{server.url}/admin/login/?next=/admin/")
    chart = page.locator("#activity svg .bar").first
    assert chart.evaluate("bar => getComputedStyle(bar).fill") != "rgb(0, 0, 0)"
    page.goto(f"{server.url}/admin/chats/user/")
    page.click("#action-toggle")
    assert "12 of 12 selected" in page.inner_text(".action-counter")
    page.goto(f"{server.url}/admin/chats/conversation/add/")
    page.click(".select2-selection >> nth=0")
    page.fill(".select2-search__field >> nth=-1", "alice")
    page.click(".select2-results__option:has-text('alice')")
    assert "alice" in page.inner_text(".select2-selection__rendered >> nth=0")
    page.goto(f"{server.url}/admin/chats/user/")
    page.click("#result_list tbody th a")
    page.wait_for_selector("#user_form")
    page.click(".theme-toggle")

    assert page.complaints == []


def test_browser_tries_a_call_out_on_the_docs_page(server, page):
    sign_in(page, f"{server.url}/api-auth/login/?next=/api/docs/")
    row = page.locator("#operations-users-users_me_retrieve")
    row.click()
    row.locator("button.try-out__btn").click()
    row.locator("button.execute").click()
    status = row.locator(".live-responses-table td.response-col_status >> nth=1")
    status.wait_for()

    assert "200" in status.inner_text()
    assert page.complaints == []


def test_browser_shows_the_browsable_api_within_its_policy(server, page):
    sign_in(page, f"{server.url}/api-auth/login/?next=/api/users/me/")
    assert "admin@demo.example" in page.inner_text(".response-info")
    page.goto(f"{server.url}/api/conversations/")
    page.click("button:has-text('OPTIONS')")
    page.wait_for_selector(".request-info:has-text('OPTIONS /api/conversations/')")
    page.click("button:has-text('Log out')")
    page.wait_for_selector("text=Log in")

    assert page.complaints == []
