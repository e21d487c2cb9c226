"""Error pages: what a person sees in the browser, the API's errors being JSON."""

import re

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.test.utils import override_script_prefix
from django.urls import include, path

from tests.support.browser import browsing, playwright_and_chromium, serving


def fail(request, kind: str):
    raise {"denied": PermissionDenied, "broken": RuntimeError}[kind]("a private word")


urlpatterns = [
    path("", include("messaging_app.urls")),
    path("fail/<kind>/", fail),
    path("api/fail/<kind>/", fail),
]
handler403 = "chats.api.handlers.forbidden"
handler404 = "chats.api.handlers.not_found"
handler500 = "chats.api.handlers.server_error"


def assert_helps(response, status: int, title: str, word: str) -> None:
    page = response.content.decode()
    assert response.status_code == status
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert re.findall("<h1>(.*)</h1>", page) == [title]
    assert f"<title>{title}</title>" in page
    assert word in page
    assert f"Error {status}. The administrator" in page
    assert response.headers["X-Request-ID"] in page
    assert "private" not in page
    assert re.findall(r"""(?:src|href)=["'](.*?)["']""", page) == ["/"]
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none';")


@pytest.mark.urls("tests.web.test_error_pages")
@pytest.mark.parametrize(
    ("url", "status", "title", "word"),
    [
        ("/nothing/", 404, "Page not found", "address"),
        ("/fail/denied/", 403, "Access denied", "Sign in with another account"),
        ("/fail/broken/", 500, "Something went wrong", "Try again later"),
    ],
)
def test_errors_outside_the_api_help_a_person(db, url, status, title, word):
    response = Client(raise_request_exception=False).get(url)
    assert_helps(response, status, title, word)


def test_foreign_host_is_told_what_to_allow(client):
    response = client.get("/", HTTP_HOST="foreign.example")
    assert_helps(response, 400, "The request was not understood", "ALLOWED_HOSTS")


def test_form_without_its_csrf_token_says_what_to_do(db):
    response = Client(enforce_csrf_checks=True).post("/api-auth/login/")
    assert_helps(response, 403, "Please send the form again", "reload the page")


@pytest.mark.urls("tests.web.test_error_pages")
@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [("denied", 403, "permission_denied"), ("broken", 500, "error")],
)
def test_errors_below_the_api_are_json(db, kind, status, code):
    response = Client(raise_request_exception=False).get(f"/api/fail/{kind}/")
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert "private" not in response.json()["detail"]


def test_page_leads_to_the_start_below_the_sites_path(client):
    with override_script_prefix("/chat/"):
        page = client.get("/nothing/").content.decode()
    assert re.findall(r'href="(.*?)"', page) == ["/chat/"]


# How different the text is from its ground, as WCAG 2 counts it.
CONTRASTS = """
() => {
    const light = (color) => color.match(/[\\d.]+/g).slice(0, 3).map((n) => n / 255)
        .map((n) => n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4)
        .reduce((sum, n, i) => sum + n * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = getComputedStyle(document.querySelector("main")).backgroundColor;
    return ["h1", "p", "small", "a"].map((name) => {
        const style = getComputedStyle(document.querySelector(name));
        const own = style.backgroundColor;
        const below = own === "rgba(0, 0, 0, 0)" ? ground : own;
        const [a, b] = [light(style.color), light(below)];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    });
}
"""


def test_browser_shows_the_page_in_the_systems_theme(tmp_path):
    playwright_and_chromium()
    with serving(tmp_path) as server, browsing(server.url) as page:
        page.set_viewport_size({"width": 320, "height": 600})
        grounds = set()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.goto(f"{server.url}/nothing/")
            assert page.locator("h1").text_content() == "Page not found"
            assert min(page.evaluate(CONTRASTS)) >= 4.5
            assert page.evaluate("document.documentElement.scrollWidth") == 320
            ground = "getComputedStyle(document.body).backgroundColor"
            grounds.add(page.evaluate(ground))
        assert len(grounds) == 2
        page.get_by_role("link", name="Go to the start page").click()
        page.get_by_role("heading", name="Sign in").wait_for()
