"""Errors: one shape for all, and 503 while the database is locked, full or gone."""

import logging
from io import StringIO

import pytest
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import SuspiciousOperation
from django.db import (
    DataError,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
)
from django.db.models import Model
from django.http import Http404
from django.test import Client
from django.urls import include, path
from rest_framework import exceptions
from rest_framework.test import APIClient

from chats.api.handlers import exception_handler
from chats.models import AccessToken, Conversation, Message, SignInAttempts, User
from chats.services.messages import send_message
from chats.web.exceptions import (
    ChatError,
    Conflict,
    Gone,
    NotAllowed,
    NotFound,
    TooManyAttempts,
)
from tests.support.databases import committed, on_postgresql
from tests.support.factories import PASSWORD
from tests.support.routes import api_calls

UNAVAILABLE = {
    "detail": "The database is busy or not answering. Try again.",
    "code": "unavailable",
}
MALFORMED = {"detail": "The request is malformed.", "code": "parse_error"}
NOT_FOUND = {"detail": "Not found.", "code": "not_found"}

on_sqlite = pytest.mark.skipif(
    "connection.vendor != 'sqlite'", reason="fills a SQLite file"
)


def execute(sql: str, *params: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def rival(transactional_db):
    """A cursor of a second connection to the same database."""
    other = connection.copy()
    with other.cursor() as cursor:
        yield cursor
    other.close()


@pytest.fixture
def _impatient(transactional_db):
    """Give up waiting for a lock at once."""
    if connection.vendor == "sqlite":
        [(usual,)] = execute("PRAGMA busy_timeout")
        execute("PRAGMA busy_timeout = 20")
        yield
        execute(f"PRAGMA busy_timeout = {usual}")
    else:
        execute("SET lock_timeout = '20ms'")
        yield
        execute("RESET lock_timeout")


def lock(rival, *models: type[Model]) -> None:
    """Begin a transaction that holds every row of these tables, or the whole file."""
    rival.execute("BEGIN IMMEDIATE" if connection.vendor == "sqlite" else "BEGIN")
    for model in models if connection.vendor == "postgresql" else ():
        rival.execute(f"SELECT 1 FROM {model._meta.db_table} FOR UPDATE")


def assert_unavailable(response) -> None:
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert response.json() == UNAVAILABLE


# --- The database -------------------------------------------------------------


@committed
@pytest.mark.usefixtures("_impatient")
def test_locked_database_is_503_and_the_next_call_succeeds(
    as_alice, conversation, rival
):
    body = {"conversation": str(conversation.pk), "message_body": "Hello"}
    lock(rival, Conversation)
    assert_unavailable(as_alice.post("/api/messages/", body))
    assert as_alice.get("/api/messages/").status_code == 200
    rival.execute("ROLLBACK")
    assert as_alice.post("/api/messages/", body).json()["seq"] == 1


@committed
@pytest.mark.usefixtures("_impatient")
def test_locked_database_fails_no_reading(alice, rival):
    """Only the marks of presence and of the token's use are lost."""
    User.objects.update(last_seen_at=None)
    _, secret = AccessToken.objects.issue(alice, "script", None)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {secret}")
    lock(rival, User, AccessToken)
    assert client.get("/api/messages/").status_code == 200
    rival.execute("ROLLBACK")
    assert User.objects.get().last_seen_at is None
    assert client.get("/api/messages/").status_code == 200
    assert User.objects.get().last_seen_at is not None
    assert AccessToken.objects.get().last_used_at is not None


@on_sqlite
@committed
def test_full_disk_is_503_and_loses_no_number(as_alice, alice, conversation):
    body = {"conversation": str(conversation.pk), "message_body": "a" * 10_000}
    execute("VACUUM")  # or pages that other tests left behind would be filled first
    [(pages,)] = execute("PRAGMA page_count")
    execute(f"PRAGMA max_page_count = {pages}")
    for _ in range(10):
        response = as_alice.post("/api/messages/", body)
        if response.status_code != 201:
            break
    stored = Message.objects.count()
    execute("PRAGMA max_page_count = 1073741823")
    assert_unavailable(response)
    assert Conversation.objects.get().last_seq == stored
    message, _ = send_message(alice, conversation.pk, message_body="There is room.")
    assert message.seq == stored + 1


@on_postgresql
@committed
def test_lost_connection_is_503_and_the_next_call_succeeds(as_alice, rival):
    [(process,)] = execute("SELECT pg_backend_pid()")
    rival.execute("SELECT pg_terminate_backend(%s, 1000)", [process])
    assert_unavailable(as_alice.get("/api/messages/"))
    close_old_connections()  # as at the end of every request
    assert as_alice.get("/api/messages/").status_code == 200


@committed
@pytest.mark.usefixtures("_impatient")
def test_locked_database_is_503_where_no_api_view_answers(alice, rival):
    """The admin's sign-in page counts the attempt before anything else."""
    client = Client(raise_request_exception=False)
    form = {"username": "alice", "password": PASSWORD}
    client.post("/admin/login/", form)  # the counters exist
    lock(rival, SignInAttempts)
    assert_unavailable(client.post("/admin/login/", form))
    rival.execute("ROLLBACK")
    assert client.post("/admin/login/", form).status_code == 200


# --- Routes that fail, for want of any of ours --------------------------------


def gone(request):
    raise OperationalError("the server closed the connection")


def broken(request):
    raise RuntimeError("a mistake of ours, with something private")


urlpatterns = [
    path("", include("messaging_app.urls")),
    path("api/gone/", gone),
    path("gone/", gone),
    path("api/broken/", broken),
    path("broken/", broken),
]
handler404 = "chats.api.handlers.not_found"
handler500 = "chats.api.handlers.server_error"


@pytest.mark.urls("tests.api.test_errors")
@pytest.mark.parametrize("url", ["/api/gone/", "/gone/"])
def test_database_that_fails_outside_api_views_is_503(url):
    assert_unavailable(Client(raise_request_exception=False).get(url))


@pytest.mark.urls("tests.api.test_errors")
def test_mistakes_of_ours_are_500_and_tell_nothing():
    client = Client(raise_request_exception=False)
    in_json, in_html = client.get("/api/broken/"), client.get("/broken/")
    assert in_json.status_code == in_html.status_code == 500
    assert in_json.json() == {"detail": "Server error.", "code": "error"}
    assert in_html.headers["Content-Type"].startswith("text/html")
    assert b"private" not in in_json.content + in_html.content


# --- Unknown routes -----------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["/api/nothing/", "/api/users/me/more/", "/api/v2/users/", "/api/users//"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_unknown_route_of_the_api_is_404_in_json(client, db, method, url):
    response = client.generic(method, url)
    assert response.status_code == 404
    assert response.json() == NOT_FOUND
    assert response.headers["Cache-Control"] == "no-store"


def test_unknown_route_elsewhere_is_404_in_html(client, db):
    response = client.get("/nothing/")
    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")


# --- Caches -------------------------------------------------------------------


@pytest.mark.parametrize("signed_in", [False, True], ids=["anonymous", "signed in"])
def test_no_answer_of_the_api_may_be_stored(alice, client_of, signed_in):
    client = client_of(alice) if signed_in else APIClient()
    stored = {
        (method, url)
        for method, url in api_calls()
        if client.generic(method, url).headers["Cache-Control"] != "no-store"
    }
    assert stored == set()


# --- Shapes -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (ChatError("No."), 400, {"detail": "No.", "code": "invalid"}),
        (ChatError("No.", code="full"), 400, {"detail": "No.", "code": "full"}),
        (ChatError("No.", field="title", code="full"), 400, {"title": ["No."]}),
        (NotFound(), 404, NOT_FOUND),
        (NotAllowed("No."), 403, {"detail": "No.", "code": "permission_denied"}),
        (Conflict("No."), 409, {"detail": "No.", "code": "conflict"}),
        (Gone("No."), 410, {"detail": "No.", "code": "gone"}),
        (
            TooManyAttempts("No.", retry_after=7),
            429,
            {"detail": "No.", "code": "throttled"},
        ),
        (OperationalError("locked"), 503, UNAVAILABLE),
        (InterfaceError("closed"), 503, UNAVAILABLE),
        (Http404("User 5 of secret"), 404, NOT_FOUND),
        (
            DjangoPermissionDenied(),
            403,
            {
                "detail": "You do not have permission to perform this action.",
                "code": "permission_denied",
            },
        ),
        (
            SuspiciousOperation("something private"),
            400,
            {"detail": "The request is malformed.", "code": "parse_error"},
        ),
        (exceptions.ValidationError({"title": ["No."]}), 400, {"title": ["No."]}),
        (exceptions.ValidationError("No."), 400, {"non_field_errors": ["No."]}),
        (
            exceptions.ParseError("No."),
            400,
            {"detail": "No.", "code": "parse_error"},
        ),
        (
            exceptions.Throttled(wait=7, detail="No."),
            429,
            {
                "detail": "No. Expected available in 7 seconds.",
                "code": "throttled",
            },
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_have_one_shape(error, status, body):
    response = exception_handler(error, {})
    assert (response.status_code, response.data) == (status, body)
    expected = {429: "7", 503: "1"}.get(status)
    assert response.headers.get("Retry-After") == expected


@pytest.mark.parametrize("error", [RuntimeError("a mistake"), DataError("a mistake")])
def test_mistakes_are_left_to_the_server(error):
    assert exception_handler(error, {}) is None


# --- A host name that is not served -------------------------------------------


def test_foreign_host_is_400_and_one_line_in_the_log(client):
    logger, log = logging.getLogger("django.security.DisallowedHost"), StringIO()
    handler = logging.StreamHandler(log)
    logger.addHandler(handler)
    for held_back in logger.filters:
        vars(held_back).get("_last", {}).clear()  # another test may have logged one
    response = client.get("/api/users/", HTTP_HOST="foreign.example")
    logger.removeHandler(handler)
    assert (response.status_code, response.json()) == (400, MALFORMED)
    [line] = log.getvalue().splitlines()
    assert "Invalid HTTP_HOST header: 'foreign.example'" in line
