"""Redirects are for reads: most clients repeat a write that is redirected as a GET."""

import shutil
import subprocess
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import httpx
import pytest
from rest_framework.test import APIClient

from chats.models import Message
from tests.support.factories import UserFactory
from tests.support.routes import NOBODY, api_calls
from tests.support.servers import PATIENCE, serving_in_thread, token_of

WRITES = ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def where_to(path: str) -> dict[str, str]:
    detail = f"Not found. The path must end with a slash: {path}"
    return {"detail": detail, "code": "not_found"}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_read_without_the_last_slash_is_redirected(client, db, method):
    response = client.generic(method, "/api/users?role=host")
    assert response.status_code == 301
    assert response.headers["Location"] == "/api/users/?role=host"


def test_write_without_the_last_slash_is_404_and_names_the_path(client, db):
    calls = {url for _, url in api_calls()}
    answers = {
        (method, url): client.generic(method, url.removesuffix("/"))
        for url in calls
        for method in WRITES
    }
    assert len(answers) > 100
    assert {
        call: (answer.status_code, answer.json()) for call, answer in answers.items()
    } == {(method, url): (404, where_to(url)) for method, url in answers}


def test_unknown_path_names_no_other(client, db):
    response = client.post(f"/api/nothing/{NOBODY}")
    assert response.json() == {"detail": "Not found.", "code": "not_found"}


def test_write_without_the_last_slash_is_404_with_debug_too(client, db, settings):
    settings.DEBUG = True
    assert client.post("/api/messages").status_code == 404


@pytest.mark.parametrize("path", ["/admin/login", "/admin/chats/user/add"])
def test_form_of_the_admin_is_not_sent_again_as_a_read(as_boss, path):
    assert as_boss.get(path).status_code == 301
    assert as_boss.post(path, {"username": "boss"}).status_code == 404


def test_form_elsewhere_is_not_sent_again_as_a_read(client, db):
    assert client.post("/api-auth/login", {"username": "x"}).status_code == 404


def test_page_of_another_origin_may_read_which_path_was_meant(client, db, settings):
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    asked = {"HTTP_ORIGIN": "https://app.example"}
    preflight = client.options(
        "/api/messages", HTTP_ACCESS_CONTROL_REQUEST_METHOD="POST", **asked
    )
    refused = client.post("/api/messages", **asked)

    assert preflight.status_code == 200
    assert refused.json() == where_to("/api/messages/")
    for answer in (preflight, refused):
        allowed = answer.headers["Access-Control-Allow-Origin"]
        assert allowed == "https://app.example"


# --- To HTTPS -------------------------------------------------------------------


@pytest.fixture
def _https(settings):
    settings.SECURE_SSL_REDIRECT = True


@pytest.mark.usefixtures("_https")
def test_read_over_plain_http_is_redirected(client, db):
    response = client.get("/api/users/")
    assert response.status_code == 301
    assert response.headers["Location"] == "https://testserver/api/users/"


@pytest.mark.usefixtures("_https")
@pytest.mark.parametrize("method", WRITES)
def test_write_over_plain_http_is_refused(db, method):
    response = APIClient().generic(method, "/api/messages/")
    assert response.status_code == 403
    assert response.json() == {"detail": "HTTPS is required.", "code": "https_required"}
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.usefixtures("_https")
def test_form_over_plain_http_is_refused(client, db):
    assert client.post("/admin/login/").status_code == 403


# --- Clients --------------------------------------------------------------------


def by_urllib(url: str, body: dict, headers: dict) -> int:
    """Send as urllib does, which follows a 301 with GET; so does `requests`."""
    asked = Request(url, str(body).encode(), headers)  # noqa: S310  (our own server)
    try:
        return urlopen(asked, timeout=PATIENCE).status  # noqa: S310
    except HTTPError as error:
        with error:
            return error.status


def by_httpx(url: str, body: dict, headers: dict) -> int:
    return httpx.post(
        url, json=body, headers=headers, follow_redirects=True
    ).status_code


def by_curl(url: str, body: dict, headers: dict) -> int:
    """Say as curl's exit code whether a script notices: 22 is an answer of 400 on."""
    options = [f"-H{name}: {value}" for name, value in headers.items()]
    command = ["curl", "-sfL", "--json", str(body), *options, url]
    return subprocess.run(command, capture_output=True, check=False).returncode


def by_fetch(url: str, body: dict, headers: dict) -> int:
    """Go by what Node's fetch does, as browsers' and axios' adapters."""
    options = {"method": "POST", "headers": headers, "body": "{}"}
    script = f"fetch({url!r}, {options}).then((a) => console.log(a.status))"
    command = ["node", "-e", script]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return int(done.stdout)


CLIENTS = {
    by_urllib: (404, ""),
    by_httpx: (404, ""),
    by_curl: (22, "curl"),
    by_fetch: (404, "node"),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("send", CLIENTS, ids=lambda send: send.__name__)
def test_client_that_forgets_the_slash_notices(send, transactional_db):
    noticed, program = CLIENTS[send]
    if program and not shutil.which(program):
        pytest.skip(f"needs {program}")
    headers = token_of(UserFactory())
    with serving_in_thread() as server:
        assert send(f"{server.url}/api/messages", {}, headers) == noticed
    assert not Message.objects.exists()
