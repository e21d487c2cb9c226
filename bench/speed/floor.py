"""The floor: the five calls as bare WSGI with the plain driver, on the same server.

It uses the same statements, transactions and locks, and returns the same JSON, but
without a framework. ``bench.speed.http`` measures how much more the application costs.
Run it as ``uvicorn bench.speed.floor:application``, on the database of DATABASE_URL.
"""

import base64
import hashlib
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import argon2
import django
import orjson
import psycopg

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "messaging_app.settings")
django.setup()

from chats.db.uuids import uuid7  # noqa: E402
from chats.server.shell import Shell, tune_interpreter  # noqa: E402  (Django is set up)

URL = os.environ.get("DATABASE_URL", "")
IS_SQLITE = not URL.startswith("postgres")
PRAGMAS = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000;"
LOG_LOCK = 0x6C6F67
PREVIEW_SIZE = 10
MAX_BODY_LENGTH = 10_000
COUNTERS = ("account and address", "account", "address")

Answer = tuple[str, Any]


# --- The two drivers ----------------------------------------------------------


def iso(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def hyphened(text: bytes) -> str:
    h = text.decode()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


# Django declares UUIDs as char(32) and times as datetime, so rows have JSON's forms.
sqlite3.register_converter("char", hyphened)
sqlite3.register_converter("datetime", lambda b: b.decode().replace(" ", "T") + "Z")


def statement(sql: str) -> str:
    """Return the statement for the database; SQLite's transaction is already a lock."""
    if not IS_SQLITE:
        return sql
    sql = (
        sql.replace("%s", "?")
        .replace(" FOR NO KEY UPDATE OF c", "")
        .replace(" FOR NO KEY UPDATE", "")
    )
    return sql.replace(" FOR UPDATE", "")


class Sqlite:
    """A connection of the sqlite3 module; values are text."""

    def __init__(self) -> None:
        path = URL.removeprefix("sqlite:///")
        self._connection = sqlite3.connect(
            path, isolation_level=None, detect_types=sqlite3.PARSE_DECLTYPES
        )
        self._connection.executescript(PRAGMAS)
        self.execute = self._connection.execute

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")

    def key(self, value: Any) -> str:
        return str(value).replace("-", "")

    def stored(self, moment: str) -> str:
        return moment[:-1].replace("T", " ")

    def at(self, moment: datetime) -> str:
        return iso(moment)


class Postgres:
    """A connection of psycopg, which converts values itself."""

    def __init__(self) -> None:
        options = "-c timezone=UTC"
        self._connection = psycopg.connect(URL, autocommit=True, options=options)
        self.execute = self._connection.execute
        self.transaction = self._connection.transaction

    def key(self, value: Any) -> Any:
        return value

    stored = at = key


local = threading.local()


def database() -> Sqlite | Postgres:
    """Return this thread's connection."""
    if not hasattr(local, "database"):
        local.database = Sqlite() if IS_SQLITE else Postgres()
    return local.database


# --- The caller ---------------------------------------------------------------

TOKEN = statement(
    "SELECT t.token_id, t.user_id, t.expires_at, t.last_used_at, u.username,"
    " u.first_name, u.last_name, u.role, u.last_seen_at, u.is_active"
    " FROM chats_accesstoken t JOIN chats_user u ON t.user_id = u.user_id"
    " WHERE t.digest = %s"
)
USED = statement("UPDATE chats_accesstoken SET last_used_at = %s WHERE token_id = %s")
SEEN = statement("UPDATE chats_user SET last_seen_at = %s WHERE user_id = %s")


class Caller(NamedTuple):
    user_id: Any
    person: tuple  # the row for ``public_user``


class Refused(Exception):
    """The call is refused, with this status."""


def caller_of(environ: dict, db: Sqlite | Postgres) -> Caller:
    """Return the caller; record from time to time that they are online."""
    secret = environ.get("HTTP_AUTHORIZATION", "").partition(" ")[2]
    digest = hashlib.sha256(secret.encode()).hexdigest()
    row = db.execute(TOKEN, [digest]).fetchone()
    moment = datetime.now(UTC)
    if row is None or row[2] <= db.at(moment) or not row[9]:
        raise Refused("401 Unauthorized")
    seen_at = row[8]
    if row[3] is None or row[3] < db.at(moment - timedelta(minutes=1)):
        db.execute(USED, [db.stored(db.at(moment)), db.key(row[0])])
    if seen_at is None or seen_at <= db.at(moment - timedelta(seconds=30)):
        seen_at = db.at(moment)
        with db.transaction():
            db.execute(SEEN, [db.stored(seen_at), db.key(row[1])])
    return Caller(row[1], (row[1], *row[4:8], seen_at))


# --- The shapes ---------------------------------------------------------------


def public_user(row: tuple, online_since: Any) -> dict:
    user_id, username, first_name, last_name, role, last_seen_at = row
    return {
        "user_id": user_id,
        "username": username,
        "first_name": first_name,
        "last_name": last_name,
        "role": role,
        "is_online": last_seen_at is not None and last_seen_at >= online_since,
        "last_seen_at": last_seen_at,
    }


MESSAGE = (
    "s.user_id, s.username, s.first_name, s.last_name, s.role, s.last_seen_at,"
    " m.message_id, m.conversation_id, m.seq, m.message_body, m.sent_at,"
    " m.edited_at, m.deleted_at, m.client_id"
)
MESSAGE_WIDTH = 14


def message(row: tuple, reader_id: Any, cursor: int, online_since: Any) -> dict:
    message_id, conversation_id, seq, body, sent_at, edited, deleted, client = row[6:14]
    return {
        "message_id": message_id,
        "conversation": conversation_id,
        "sender": public_user(row[:6], online_since),
        "seq": seq,
        "message_body": body,
        "sent_at": sent_at,
        "edited_at": edited,
        "deleted_at": deleted,
        "client_id": client,
        "is_read": row[0] == reader_id or seq <= cursor,
    }


def paged(environ: dict, found: list, size: int, edge: Callable, items: list) -> dict:
    following = None
    if len(found) > size:
        parts = orjson.dumps([0, *edge(found[size - 1])], default=str)
        cursor = base64.urlsafe_b64encode(parts).decode().rstrip("=")
        path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
        host = environ["HTTP_HOST"]
        following = f"http://{host}{path}?cursor={cursor}&{query}"
    return {"next": following, "previous": None, "results": items}


def online_since(db: Sqlite | Postgres) -> Any:
    return db.at(datetime.now(UTC) - timedelta(seconds=60))


# --- The calls ----------------------------------------------------------------

LOCK = statement(
    "SELECT last_seq, updated_at FROM chats_conversation"
    " WHERE conversation_id = %s FOR NO KEY UPDATE"
)
TAKES_PART = statement(
    "SELECT id, active_hour FROM chats_participant"
    " WHERE conversation_id = %s AND user_id = %s"
)
NOTE = statement(
    "UPDATE chats_conversation SET last_seq = %s, last_message_id = %s,"
    " updated_at = %s WHERE conversation_id = %s"
)
INSERT = statement(
    "INSERT INTO chats_message (message_id, conversation_id, seq, sender_id,"
    " message_body, sent_at, edited_at, deleted_at, client_id)"
    " VALUES (%s, %s, %s, %s, %s, %s, NULL, NULL, NULL)"
)
SENT_IN_NEW_HOUR = statement(
    "UPDATE chats_participant SET"
    " last_read_seq = CASE WHEN id = %s THEN %s ELSE last_read_seq END,"
    " has_unread = CASE WHEN id = %s THEN %s ELSE %s END, active_hour = %s"
    " WHERE conversation_id = %s"
)
SENT = SENT_IN_NEW_HOUR + statement(
    " AND id = %s OR conversation_id = %s AND NOT has_unread"
)
MOVE = statement(
    "UPDATE chats_participant SET last_read_seq = %s, has_unread = %s"
    " WHERE conversation_id = %s AND last_read_seq < %s AND user_id = %s"
)
EVENT = statement(
    "INSERT INTO chats_event (type, conversation_id, message_id, user_id, actor_id,"
    " created_at) VALUES (%s, %s, %s, %s, %s, %s) RETURNING event_id"
    if IS_SQLITE
    else "WITH held AS MATERIALIZED (SELECT"
    f" pg_advisory_xact_lock({LOG_LOCK}), pg_notify('chats_events', 'the floor'))"
    " INSERT INTO chats_event (type, conversation_id, message_id, user_id, actor_id,"
    " created_at) SELECT %s, %s::uuid, %s::uuid, %s::uuid, %s::uuid, %s::timestamptz"
    " FROM held RETURNING event_id"
)


def send(environ: dict, db: Sqlite | Postgres) -> Answer:
    """Send a message."""
    caller = caller_of(environ, db)
    data = orjson.loads(environ["wsgi.input"].read())
    body, conversation_id = data["message_body"], data["conversation"]
    if not isinstance(body, str) or not 0 < len(body.strip()) <= MAX_BODY_LENGTH:
        raise Refused("400 Bad Request")
    message_id = uuid7()
    keys = map(db.key, (message_id, conversation_id, caller.user_id))
    seq, sent_at = store(db, body, *keys)
    columns = (message_id, conversation_id, seq, body, sent_at, None, None, None)
    row = (*caller.person, *columns)
    return "201 Created", message(row, caller.user_id, seq, online_since(db))


def store(db: Sqlite | Postgres, body: str, key: Any, place: Any, me: Any) -> tuple:
    """Store a message as ``services.send_message`` does; return seq and time."""
    with db.transaction():
        conversation = db.execute(LOCK, [place]).fetchone()
        part = conversation and db.execute(TAKES_PART, [place, me]).fetchone()
        if not part:
            raise Refused("400 Bad Request")
        seq = conversation[0] + 1
        sent_at = max(db.at(datetime.now(UTC)), conversation[1])
        at = db.stored(sent_at)
        db.execute(NOTE, [seq, key, at, place])
        db.execute(INSERT, [key, place, seq, me, body, at])
        note_sent(db, *part, seq, sent_at, place)
        event = ["message.created", place, key, None, me, at]
        db.execute(EVENT, event).fetchone()
    return seq, sent_at


def note_sent(db, own: int, active_hour: int, seq: int, sent_at, place) -> None:
    """Update the participants' rows for a message."""
    moment = datetime.fromisoformat(str(sent_at)).replace(tzinfo=UTC)
    hour = int(moment.timestamp() // 3600)
    values = [own, seq, own, False, True, hour, place]
    if hour == active_hour:
        db.execute(SENT, [*values, own, place])
    else:
        db.execute(SENT_IN_NEW_HOUR, values)


PAGE = statement(
    f"SELECT {MESSAGE}, p.last_read_seq FROM (SELECT * FROM chats_message"
    " WHERE conversation_id = %s ORDER BY seq DESC LIMIT %s) m"
    " JOIN chats_conversation c ON m.conversation_id = c.conversation_id"
    " JOIN chats_participant p ON c.conversation_id = p.conversation_id"
    " JOIN chats_user s ON m.sender_id = s.user_id"
    " WHERE p.user_id = %s ORDER BY m.seq DESC"
)


def page(environ: dict, db: Sqlite | Postgres) -> Answer:
    """Return the newest messages of a conversation."""
    caller = caller_of(environ, db)
    query = parse_qs(environ["QUERY_STRING"])
    size = int(query["page_size"][0])
    conversation_id = query["conversation_id"][0]
    params = [db.key(conversation_id), size + 1, db.key(caller.user_id)]
    found = db.execute(PAGE, params).fetchall()
    reader_id, since = caller.user_id, online_since(db)
    items = [message(row, reader_id, row[-1], since) for row in found[:size]]
    edge = lambda row: ("-seq", str(row[8]))  # noqa: E731
    return "200 OK", paged(environ, found, size, edge, items)


LIST = statement(
    f"SELECT {MESSAGE}, c.conversation_id, c.title, c.owner_id, c.participant_count,"
    " c.last_seq, c.created_at, c.updated_at, p.last_read_seq"
    " FROM chats_conversation c"
    " JOIN chats_participant p ON c.conversation_id = p.conversation_id"
    " LEFT JOIN chats_message m ON c.last_message_id = m.message_id"
    " LEFT JOIN chats_user s ON m.sender_id = s.user_id WHERE p.user_id = %s"
    " ORDER BY p.active_hour DESC, c.updated_at DESC, c.conversation_id DESC LIMIT %s"
)
PREVIEWS = (
    "SELECT user_id, username, first_name, last_name, role, last_seen_at,"
    " conversation_id, joined_at, joined_seq, last_read_seq FROM"
    " (SELECT s.user_id, s.username, s.first_name, s.last_name, s.role,"
    " s.last_seen_at, p.id, p.conversation_id, p.joined_at, p.joined_seq,"
    " p.last_read_seq,"
    " ROW_NUMBER() OVER (PARTITION BY p.conversation_id ORDER BY p.id) AS place"
    " FROM chats_participant p JOIN chats_user s ON p.user_id = s.user_id"
    " WHERE p.conversation_id IN ({})) ranked WHERE place <= %s ORDER BY id"
)


def listing(environ: dict, db: Sqlite | Postgres) -> Answer:
    """Return the conversations with the latest activity."""
    caller = caller_of(environ, db)
    size = int(parse_qs(environ["QUERY_STRING"])["page_size"][0])
    found = db.execute(LIST, [db.key(caller.user_id), size + 1]).fetchall()
    rows, since = found[:size], online_since(db)
    sql = statement(PREVIEWS.format(", ".join(["%s"] * len(rows))))
    ids = [db.key(row[MESSAGE_WIDTH]) for row in rows]
    shown: dict[Any, list] = {}
    for row in db.execute(sql, [*ids, PREVIEW_SIZE]).fetchall() if ids else ():
        person = public_user(row[:6], since)
        person["joined_at"], person["joined_seq"], person["last_read_seq"] = row[7:]
        shown.setdefault(row[6], []).append(person)
    items = [
        conversation(row, caller.user_id, shown.get(row[MESSAGE_WIDTH], []), since)
        for row in rows
    ]
    edge = lambda row: ("-updated_at,-conversation_id", row[20], row[14])  # noqa: E731
    return "200 OK", paged(environ, found, size, edge, items)


def conversation(row: tuple, reader_id: Any, people: list, since: Any) -> dict:
    key, title, owner_id, count, last_seq, created, updated, cursor = row[14:]
    is_owner = owner_id == reader_id
    has_message = row[6] is not None
    return {
        "conversation_id": key,
        "title": title,
        "owner": owner_id,
        "participants": people,
        "participant_count": count,
        "last_message": message(row, reader_id, cursor, since) if has_message else None,
        "last_seq": last_seq,
        "created_at": created,
        "updated_at": updated,
        "last_read_seq": cursor,
        "unread_count": last_seq - cursor,
        "can": {
            "send": True,
            "rename": True,
            "add": True,
            "remove": is_owner,
            "delete": is_owner,
        },
    }


ONE = statement(
    f"SELECT {MESSAGE}, p.last_read_seq, c.last_seq FROM chats_message m"
    " JOIN chats_conversation c ON m.conversation_id = c.conversation_id"
    " JOIN chats_participant p ON c.conversation_id = p.conversation_id"
    " JOIN chats_user s ON m.sender_id = s.user_id"
    " WHERE p.user_id = %s AND m.message_id = %s"
)
PLACE_LOCKED = statement(
    "SELECT c.conversation_id FROM chats_conversation c"
    " JOIN chats_message m ON m.conversation_id = c.conversation_id"
    " JOIN chats_participant p ON p.conversation_id = c.conversation_id"
    " WHERE p.user_id = %s AND m.message_id = %s FOR NO KEY UPDATE OF c"
)


def mark_as_read(environ: dict, db: Sqlite | Postgres) -> Answer:
    """Move the caller's cursor up to a message."""
    caller = caller_of(environ, db)
    message_id, me = environ["PATH_INFO"].split("/")[3], db.key(caller.user_id)
    with db.transaction():
        asked = [me, db.key(message_id)]
        if db.execute(PLACE_LOCKED, asked).fetchone() is None:
            raise Refused("404 Not Found")
        row = db.execute(ONE, asked).fetchone()
        place, seq = db.key(row[7]), row[8]
        has_unread = max(row[-2], seq) < row[-1]
        if db.execute(MOVE, [seq, has_unread, place, seq, me]).rowcount:
            at = db.stored(db.at(datetime.now(UTC)))
            event = ["read.updated", place, None, me, me, at]
            db.execute(EVENT, event).fetchone()
    cursor = max(row[-2], seq)
    return "200 OK", message(row, caller.user_id, cursor, online_since(db))


PERSON = statement(
    "SELECT user_id, username, first_name, last_name, role, last_seen_at, email,"
    " phone_number, created_at, updated_at, password, is_active FROM chats_user"
    " WHERE LOWER(username) = LOWER(%s)"
)
COUNTER = statement(
    "INSERT INTO chats_signinattempts (key, attempts, window_ends_at)"
    " VALUES (%s, 0, %s) ON CONFLICT DO NOTHING"
)
COUNTED = statement(
    "SELECT attempts, window_ends_at FROM chats_signinattempts"
    " WHERE key = %s FOR UPDATE"
)
COUNT = statement(
    "UPDATE chats_signinattempts SET attempts = %s, window_ends_at = %s WHERE key = %s"
)
REMEMBERED = statement("SELECT key FROM chats_signinattempts WHERE key = %s FOR UPDATE")
REMEMBER = statement(
    "UPDATE chats_signinattempts SET window_ends_at = %s WHERE key = %s"
)
SESSION_KNOWN = statement("SELECT 1 FROM chats_usersession WHERE session_key = %s")
SESSION = statement(
    "INSERT INTO chats_usersession (session_data, expire_date, session_id, user_id,"
    " user_agent, address, created_at, last_used_at, session_key)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
SESSION_DATA = statement(
    "UPDATE chats_usersession SET session_data = %s, expire_date = %s, session_id = %s,"
    " user_id = %s, user_agent = %s, address = %s, created_at = %s, last_used_at = %s"
    " WHERE session_key = %s"
)
SESSIONS_BEYOND = statement(
    "SELECT session_key FROM chats_usersession WHERE user_id = %s"
    " AND session_key <> %s ORDER BY last_used_at DESC, session_id DESC"
    " LIMIT 1000 OFFSET 99"
)
SIGNED_IN = statement("UPDATE chats_user SET last_login = %s WHERE user_id = %s")
verify = argon2.PasswordHasher().verify


def count_attempt(db: Sqlite | Postgres, keys: list[str], step: int) -> None:
    """Change the counters of attempts, each under its lock.

    Call it in a transaction.
    """
    ends = db.at(datetime.now(UTC) + timedelta(minutes=15))
    counted = []
    for key in keys:
        db.execute(COUNTER, [key, db.stored(ends)])
        counted.append((key, *db.execute(COUNTED, [key]).fetchone()))
    for key, attempts, until in counted:
        db.execute(COUNT, [max(0, attempts + step), db.stored(until), key])


def remember(db: Sqlite | Postgres, key: str) -> None:
    """Remember that the account has signed in from the address."""
    ends = db.stored(db.at(datetime.now(UTC) + timedelta(days=30)))
    if db.execute(REMEMBERED, [key]).fetchone() is None:
        db.execute(COUNTER, [key, ends])
    else:
        db.execute(REMEMBER, [ends, key])


def start_session(db: Sqlite | Postgres, environ: dict, user_id: Any) -> str:
    """Store a session for the user; return its key."""
    key, data = secrets.token_urlsafe(24), secrets.token_urlsafe(150)
    digest, me = hashlib.sha256(key.encode()).hexdigest(), db.key(user_id)
    now = datetime.now(UTC)
    at, ends = db.stored(db.at(now)), db.stored(db.at(now + timedelta(days=14)))
    agent, address = environ.get("HTTP_USER_AGENT", ""), environ["REMOTE_ADDR"]
    rest = [ends, db.key(uuid7()), me, agent, address, at, at, digest]
    db.execute(SESSION_KNOWN, [digest]).fetchone()
    with db.transaction():
        db.execute(SESSION, [data[:50], *rest])
    db.execute(SIGNED_IN, [at, me])
    with db.transaction():
        db.execute(SESSION_DATA, [data, *rest])
    db.execute(SESSIONS_BEYOND, [me, digest]).fetchall()
    return key


def sign_in(environ: dict, db: Sqlite | Postgres) -> Answer:
    """Check the password between the two changes of the counters."""
    data = orjson.loads(environ["wsgi.input"].read())
    row = db.execute(PERSON, [data["username"]]).fetchone()
    parts = (str(row[0]), environ["REMOTE_ADDR"])
    named = [f"floor {name} {parts}" for name in COUNTERS]
    keys = sorted(hashlib.sha256(name.encode()).hexdigest() for name in named)
    with db.transaction():
        count_attempt(db, keys, 1)
    verify(row[10].removeprefix("argon2"), data["password"])
    with db.transaction():
        count_attempt(db, keys, -1)
        remember(db, hashlib.sha256(f"floor {parts}".encode()).hexdigest())
    environ["floor.session"] = start_session(db, environ, row[0])
    body = public_user(row[:6], online_since(db))
    names = ("email", "phone_number", "created_at", "updated_at")
    body.update(zip(names, row[6:10], strict=True))
    return "200 OK", body


# --- WSGI ---------------------------------------------------------------------


def handler_of(environ: dict) -> Callable | None:
    path, is_post = environ["PATH_INFO"], environ["REQUEST_METHOD"] == "POST"
    if path == "/api/messages/":
        return send if is_post else page
    if path == "/api/conversations/":
        return listing
    if path.endswith("/mark_as_read/"):
        return mark_as_read
    return sign_in if path == "/api/auth/login/" else None


class Body(tuple):
    """The WSGI function's result, with the ``close()`` that the shell calls."""

    __slots__ = ()

    def close(self) -> None:
        pass


def wsgi(environ: dict, start_response: Callable) -> Body:
    handler = handler_of(environ)
    try:
        status, data = handler(environ, database()) if handler else ("200 OK", {})
    except Refused as refusal:
        status, data = str(refusal), {}
    body = orjson.dumps(data, option=orjson.OPT_UTC_Z)
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    if "floor.session" in environ:
        headers.append(("Set-Cookie", f"sessionid={environ['floor.session']}"))
    start_response(status, headers)
    return Body([body])


application = Shell(wsgi)
tune_interpreter()
