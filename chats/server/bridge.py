"""The bridge from ASGI to WSGI, for one request.

Also access to the connection below a request, if the server (uvicorn) exposes it.
"""

import asyncio
import contextlib
import io
import select
import sys
from collections.abc import Awaitable, Callable, Iterable
from time import perf_counter
from typing import Any

from django.conf import settings

from chats.server.refusals import Refused

BODY_TIMEOUT = 30.0  # seconds a client may take to send a request body
PIECE_TIMEOUT = 30.0  # seconds a client may take to read one piece of a response
CHUNK = 64 * 1024  # bytes of a streamed answer taken from a thread at once
HUNG_UP = getattr(select, "POLLRDHUP", None)  # Linux
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[dict, Callable], Iterable[bytes]]


class Exchange:
    """One request to the WSGI application; runs in a thread of a pool."""

    def __init__(self, application: Application, environ: dict):
        self.application, self.environ = application, environ
        self.status, self.headers = 500, []
        self.finished = False
        self._chunks: Any = None

    def begin(self) -> bytes:
        """Call the application; return the first piece, which is usually the last."""
        environ, self.environ = self.environ, {}  # so that the body can be freed
        result = self.application(environ, self._start_response)
        self._result, self._chunks = result, iter(result)
        # A response that is not streamed is in memory already, so it is returned whole.
        # In pieces it would stay in memory, uncounted, until its caller's next turn.
        self._is_whole = not getattr(result, "streaming", True)
        return self.next()

    def next(self) -> bytes:
        """Return the next piece; ``finished`` is then set if it is the last one."""
        pieces, size = [], 0
        try:
            for chunk in self._chunks:
                pieces.append(chunk)
                size += len(chunk)
                if size >= CHUNK and not self._is_whole:
                    return b"".join(pieces)
        except BaseException:
            self._close()
            raise
        self._close()
        return b"".join(pieces)

    def header(self, name: bytes) -> str:
        return next((v.decode("latin-1") for n, v in self.headers if n == name), "")

    def close(self) -> None:
        """Discard the rest of the response."""
        if not self.finished:
            self._close()

    def start(self, omit: bytes = b"") -> dict[str, Any]:
        headers = [item for item in self.headers if item[0] != omit]
        return start_message(self.status, headers)

    def _start_response(self, status: str, headers: list, exc_info=None) -> None:
        self.status = int(status.split(" ", 1)[0])
        self.headers = encoded(headers)

    def _close(self) -> None:
        self.finished = True
        if hasattr(self._result, "close"):  # optional in PEP 3333
            self._result.close()


async def read_body(receive: Receive, count: Callable[[int], None]) -> bytes:
    """Return the request body, counting its bytes as they arrive; raises Refused."""
    parts, size = [], 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(BODY_TIMEOUT):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refused(400)
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                count(len(parts[-1]))
                if size > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
                    raise Refused(413)
                if not message.get("more_body"):
                    return b"".join(parts)
    raise Refused(408)


def content_length(scope: Scope) -> int:
    """Return the declared length of the body; for a chunked one, the maximum."""
    length = 0
    for name, value in scope["headers"]:
        if name == b"transfer-encoding":
            return settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if name == b"content-length" and value.isdigit():
            length = int(value)
    return length


# --- The connection below, where the server is uvicorn --------------------------


def transport_of(send: Send) -> asyncio.Transport | None:
    """Return the connection's transport, or None if the server does not expose it."""
    return getattr(getattr(send, "__self__", None), "transport", None)


def flow_of(send: Send) -> Any:
    """Return the connection's flow control, or None if not exposed by the server."""
    return getattr(getattr(send, "__self__", None), "flow", None)


def is_disconnected(send: Send) -> bool:
    """Return whether the client has disconnected, if the server exposes this."""
    return bool(getattr(getattr(send, "__self__", None), "disconnected", False))


def has_hung_up(send: Send) -> bool:
    """Return whether the client has closed its side, if the system exposes this.

    The server does not notice it while it does not read from the connection, as after a
    pipelined request.
    """
    transport = transport_of(send)
    connection = transport and transport.get_extra_info("socket")
    if connection is None or HUNG_UP is None or connection.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), HUNG_UP)
    return bool(poll.poll(0))


def is_unread(send: Send) -> bool:
    """Return whether a part of what was sent is still in memory."""
    flow = flow_of(send)
    return flow is not None and flow.write_paused


async def drained(send: Send) -> None:
    """Wait until everything sent has left this process, or the connection is lost."""
    flow = flow_of(send)
    while flow is not None and flow.write_paused:
        await flow.drain()


async def is_taken(send: Send) -> bool:
    """Wait until everything sent has left; return whether the client is still there.

    A client that reads nothing for ``PIECE_TIMEOUT`` is disconnected.
    """
    try:
        async with asyncio.timeout(PIECE_TIMEOUT):
            await drained(send)
    except TimeoutError:
        cut(send)
        return False
    return not is_disconnected(send)


def pause_reading(send: Send) -> None:
    """Stop reading from the connection until the body is requested."""
    flow = flow_of(send)
    if flow is not None:
        flow.pause_reading()


def cut(send: Send) -> None:
    """Abort the connection."""
    if transport := transport_of(send):
        transport.abort()


async def hang_up(send: Send) -> bool:
    """Abort the connection and wait until the server has noticed.

    Otherwise the server would miss a response and send one itself. Return False if the
    server does not expose the connection.
    """
    if transport_of(send) is None:
        return False
    cut(send)
    await asyncio.sleep(0)
    return True


def peer_of(scope: Scope, send: Send) -> tuple[str, int] | None:
    """Return the address at the other end of the connection, whatever headers claim.

    For connections from the same machine, uvicorn replaces ``client`` in the scope by
    the address in X-Forwarded-For, regardless of ``TRUSTED_PROXIES``.
    """
    transport = transport_of(send)
    peer = transport and transport.get_extra_info("peername")
    return peer[:2] if isinstance(peer, tuple) else scope.get("client")


def encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Return headers in ASGI's form."""
    return [
        (name.lower().encode("latin-1"), value.strip().encode("latin-1"))
        for name, value in headers
    ]


def start_message(status: int, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers}


def body_message(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def environ_of(scope: Scope, body: bytes) -> dict[str, Any]:
    """Return the WSGI environment (PEP 3333) of an ASGI request.

    ``scope["path"]`` must be the path below the mount point.
    """
    root_path = scope.get("root_path", "").rstrip("/")
    server_host, server_port = scope.get("server") or ("localhost", 80)
    client_host, client_port = scope.get("client") or ("", 0)
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": root_path.encode().decode("latin-1"),
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server_host,
        "SERVER_PORT": str(server_port),
        "REMOTE_ADDR": client_host,
        "REMOTE_PORT": str(client_port),
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "chats.began": perf_counter(),
    }
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").upper().replace("-", "_")
        if "_" in raw_name.decode("latin-1") or name == "CONTENT_LENGTH":
            continue  # X_Forwarded_For must not pass for X-Forwarded-For
        if name != "CONTENT_TYPE":
            name = f"HTTP_{name}"
        value = raw_value.decode("latin-1")
        if name in environ:
            value = f"{environ[name]}{';' if name == 'HTTP_COOKIE' else ','}{value}"
        environ[name] = value
    return environ
