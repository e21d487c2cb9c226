"""Requests that the shell answers itself: ambiguous heads, bodies that it refuses."""

import json
import re
import socket

import pytest

from chats.server import bridge
from chats.server.framing import is_ambiguous
from tests.support.servers import PATIENCE, serving_in_thread

LENGTH, CHUNKED = (b"content-length", b"5"), (b"transfer-encoding", b"chunked")
ORIGIN = "https://app.example"


@pytest.fixture
def server(transactional_db):
    with serving_in_thread() as server:
        yield server


def answers_to(server, head: str, body: bytes = b"") -> tuple[list[str], bytes]:
    """Send a request and one after it on the same connection; return the status lines
    and the first answer's text, as far as the server answers before it closes."""
    text = f"{head}\r\nHost: localhost\r\n\r\n".replace("\n", "\r\n")
    raw = text.replace("\r\r", "\r").encode() + body
    after = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection(server.address, PATIENCE) as connection:
        connection.sendall(raw + after)
        told = connection.makefile("rb").read()
    return re.findall(r"HTTP/1\.1 [0-9]{3} [A-Za-z ]+", told.decode()), told


@pytest.mark.parametrize(
    ("headers", "ambiguous"),
    [
        ([], False),
        ([LENGTH], False),
        ([CHUNKED], False),
        ([LENGTH, CHUNKED], True),
        ([CHUNKED, (b"accept", b"*/*"), LENGTH], True),
        ([(b"transfer-encoding", b"identity"), LENGTH], True),
    ],
)
def test_head_is_ambiguous_with_both_lengths(headers, ambiguous):
    assert is_ambiguous(headers) is ambiguous


@pytest.mark.parametrize("path", ["/api/messages/", "/healthz", "/admin/login/"])
def test_ambiguous_head_is_400_and_the_last_of_its_connection(server, path):
    head = f"POST {path} HTTP/1.1\nContent-Length: 5\nTransfer-Encoding: chunked"
    lines, told = answers_to(server, head, b"2\r\n{}\r\n0\r\n\r\n")

    assert lines == ["HTTP/1.1 400 Bad Request"]
    assert b"connection: close" in told
    assert json.loads(told.partition(b"\r\n\r\n")[2]) == {
        "detail": "Content-Length and Transfer-Encoding cannot be used together.",
        "code": "parse_error",
    }


def test_chunked_body_alone_is_read(server):
    head = "POST /api/auth/login/ HTTP/1.1\nTransfer-Encoding: chunked"
    typed = f"{head}\nContent-Type: application/json"
    lines, told = answers_to(server, typed, b"2\r\n{}\r\n0\r\n\r\n")

    assert lines == ["HTTP/1.1 400 Bad Request", "HTTP/1.1 200 OK"]
    assert b'"password":["This field is required."]' in told


@pytest.mark.parametrize(
    ("status", "lines", "body"),
    [
        (400, "Content-Length: 5\nTransfer-Encoding: chunked", b"0\r\n\r\n"),
        (408, "Content-Length: 500", b""),
        (413, "Content-Length: 500", b"{}"),
    ],
)
def test_page_of_another_origin_may_read_what_the_shell_refuses(
    server, settings, monkeypatch, status, lines, body
):
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1 if status == 413 else 1000
    monkeypatch.setattr(bridge, "BODY_TIMEOUT", 0.1)
    head = f"POST /api/messages/ HTTP/1.1\nOrigin: {ORIGIN}\n{lines}"

    told, answer = answers_to(server, head, body)

    assert [line.split()[1] for line in told] == [str(status)]
    assert f"access-control-allow-origin: {ORIGIN}\r\n".encode() in answer
    assert b"access-control-expose-headers: Retry-After" in answer
    assert b"cache-control: no-store\r\n" in answer
    assert b"vary: origin\r\n" in answer
