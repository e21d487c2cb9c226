"""Error pages: what a person sees in the browser, the API's errors being JSON."""

import re

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client
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


def test_browser_applies_the_pages_style(tmp_path):
    playwright_and_chromium()
    with serving(tmp_path) as server, browsing(server.url) as page:
        page.goto(f"{server.url}/nothing/")
        margin = "getComputedStyle(document.body).marginTop"
        assert page.locator("h1").text_content() == "Page not found"
        assert page.evaluate(margin) != "8px"  # the browser's own
