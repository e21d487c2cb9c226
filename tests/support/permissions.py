"""The tables of docs/permissions.md, the people they speak of, and their calls."""

import json
import random
import re
import string
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from uuid import UUID, uuid4

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.contrib.auth.tokens import default_token_generator
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.http import HttpResponse
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlencode, urlsafe_base64_encode
from rest_framework.test import APIClient

from chats.models import AuditEntry, Event, SignInAttempts, User
from chats.realtime import cursors
from chats.services import conversations, messages, users
from chats.services.session_store import SIGNED_IN_AT
from tests.support.factories import PASSWORD, UserFactory, start

PAGE = Path(settings.BASE_DIR) / "docs/permissions.md"
CSRF = "c" * 32
# One for all clients: each one's own would load the middleware anew.
HANDLER = APIClient(enforce_csrf_checks=True).handler
# What a marked answer would tell somebody who does not take part.
TITLE, TEXT = "xyzzy-title", "xyzzy-text"
OF_CONVERSATION = {"conversation", "mine", "theirs", "tombstone"}
INSIDE = ("participant", "owner")

# --- The page -----------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One line of a table: a call, and what everybody gets for it."""

    section: str
    method: str
    path: str
    body: str
    cells: dict[str, str] = field(hash=False)
    changes: frozenset[str]
    how: str = ""  # what the call has besides, one of HEADERS

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.how} {self.body}".strip()

    def takes(self, way: str) -> bool:
        """Tell whether one may sign in this way: the admin knows no tokens, and a
        call has one token at most."""
        return way != "token" or not (
            self.section == "The admin" or "token" in self.how
        )

    @property
    def names(self) -> set[str]:
        """The things the call names, other than by the caller's own knowledge."""
        names = set(re.findall("<(.+?)>", f"{self.path} {self.body}"))
        return names - {"me", "password", "start"}


def tables() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Yield the heading of each section with the lines of its table, by column."""
    for section in PAGE.read_text().split("\n## ")[1:]:
        lines = [line for line in section.splitlines() if line.startswith("|")]
        head, _, *rest = ([cell.strip() for cell in x[1:-1].split("|")] for x in lines)
        yield (
            section.partition("\n")[0],
            [dict(zip(head, line, strict=True)) for line in rest],
        )


def columns() -> dict[str, list[str]]:
    """Return the names of the callers in each column."""
    return {row["column"]: row["who"].split(", ") for row in dict(tables())["Callers"]}


def rows() -> list[Row]:
    """Return the rows of all tables, each name in braces as a row of its own."""
    return [
        row
        for section, lines in tables()
        if section != "Callers"
        for line in lines
        for row in rows_of(section, dict(line))
    ]


def rows_of(section: str, line: dict[str, str]) -> Iterator[Row]:
    method, path, how = re.fullmatch(r"`(\S+) (.+)` ?(.*)", line.pop("call")).groups()
    body = line.pop("body").strip("`")
    changes = frozenset(filter(None, line.pop("changes").split(", ")))
    names = re.search(r"\{(.+)\}", path)
    for name in names[1].split(",") if names else [""]:
        filled = path.replace(names[0], name) if names else path
        yield Row(
            section,
            method,
            filled.replace("<row>", f"<{name} row>"),
            body.replace("<row>", f"<{name} row>"),
            line,
            changes,
            how,
        )


# --- The people ---------------------------------------------------------------

ROLES = {
    "guest": {},
    "host": {"role": "host"},
    "role-admin": {"role": "admin"},
    "staff": {"is_staff": True},
    "superuser": {"role": "admin", "is_staff": True, "is_superuser": True},
}
READS = ("view_message", "read_message_body")  # what a reader may


@dataclass
class Caller:
    """Somebody of the page, with a session and a token, and what they call things."""

    name: str
    user: User | None = None
    session: str = ""
    secret: str = ""
    things: dict[str, str] = field(default_factory=dict)

    @property
    def ways(self) -> list[str]:
        return ["session", "token"] if self.user else [""]

    def client(self, way: str, *, csrf: bool = True) -> APIClient:
        client = APIClient()
        client.handler = HANDLER
        if way == "token":
            client.credentials(HTTP_AUTHORIZATION=f"Token {self.secret}")
        else:
            client.cookies["csrftoken"] = CSRF
            client.cookies["sessionid"] = self.session
            client.credentials(**{"HTTP_X_CSRFTOKEN": CSRF} if csrf else {})
        return client


def person(name: str, **fields) -> Caller:
    """Make somebody who signed in an hour ago: too long for what takes a password."""
    user = UserFactory(username=name.replace(" ", "-"), **fields)
    client = APIClient()
    client.force_login(user)
    signed_in = client.session
    signed_in[SIGNED_IN_AT] -= 3600
    signed_in.save()
    token, secret = users.issue_token(user, name="script", expires_at=None)
    # As a call of the tests notes it: so that none changes it.
    user.sessions.update(address="127.0.0.1")
    user.access_tokens.update(address="127.0.0.1", last_used_at=timezone.now())
    session = client.cookies["sessionid"].value
    things = {
        "me": str(user.pk),
        "my token": str(token.pk),
        "my session": str(user.sessions.get().session_id),
    }
    return Caller(name, user, session, secret, things)


class World:
    """A conversation of which outsiders must not know, and everybody of the page.

    Who is removed, suspended or deleted was there before; all that is marked was
    written after.
    """

    def __init__(self) -> None:
        first = cursors.encode(Event.objects.last_id())
        inside = {f"{role} inside": fields for role, fields in ROLES.items()}
        ended = {name: {} for name in ("removed", "suspended", "deleted")}
        cast = {**ROLES, "reader": ROLES["staff"], **inside, **ended, "owner": {}}
        people = {name: person(name, **fields) for name, fields in cast.items()}
        may_read = Permission.objects.filter(codename__in=READS)
        people["reader"].user.user_permissions.set(may_read)
        nobodys = {name: str(uuid4()) for name in ("me", "my token", "my session")}
        self.callers = [Caller("anonymous", things=nobodys), *people.values()]
        self.owner, self.member = people["owner"].user, person("bob")
        # Names that no letters drawn at random are part of: some rows search for them.
        shut, gone = person("shut out of here"), person("gone for good")
        friend = person("fay")
        clerk, boss = UserFactory(is_staff=True), UserFactory(**ROLES["superuser"])
        others = [people[name].user for name in (*inside, *ended)]
        self.conversation = start(self.owner, self.member.user, *others, title="Plans")
        for caller in people.values():
            if caller.user in (self.owner, *others):
                self._write(caller)
        self._end(people, shut.user, gone.user)
        mine, tombstone = self._mark()
        theirs, _ = messages.send_message(
            self.member.user, self.conversation.pk, message_body=TEXT
        )
        self.things = {
            "conversation": str(self.conversation.pk),
            "title": TITLE,
            "text": TEXT,
            "mine": str(mine.pk),
            "tombstone": str(tombstone.pk),
            "theirs": str(theirs.pk),
            "start": first,
            "password": PASSWORD,
            "owner": str(self.owner.pk),
            "member": str(self.member.user.pk),
            "member name": self.member.user.username,
            "member email": self.member.user.email,
            "their token": self.member.things["my token"],
            "their session": self.member.things["my session"],
            "friend": str(friend.user.pk),
            "suspended": str(shut.user.pk),
            "suspended name": shut.user.username,
            "suspended email": shut.user.email,
            "deleted": str(gone.user.pk),
            "clerk": str(clerk.pk),
            "boss": str(boss.pk),
            "boss name": boss.username,
            "reset uid": urlsafe_base64_encode(force_bytes(self.member.user.pk)),
            "reset token": default_token_generator.make_token(self.member.user),
            **self._admin_rows(theirs),
        }
        self.before = snapshot()

    def _write(self, caller: Caller) -> None:
        for name in ("mine", "tombstone"):
            message, _ = messages.send_message(
                caller.user, self.conversation.pk, message_body="Mine"
            )
            caller.things[name] = str(message.pk)
        messages.delete_message(caller.user, message.pk)

    def _end(self, people: dict[str, Caller], shut: User, gone: User) -> None:
        removed = people["removed"].user
        conversations.remove_participant(
            self.owner, self.conversation.pk, user_id=removed.pk
        )
        for user in (people["suspended"].user, shut):
            users.deactivate_user(user, actor=self.owner)
        for user in (people["deleted"].user, gone):
            users.delete_user(user, actor=user)

    def _mark(self) -> list:
        key = self.conversation.pk
        conversations.rename_conversation(self.owner, key, title=TITLE)
        sent = [
            messages.send_message(self.member.user, key, message_body=TEXT)[0]
            for _ in range(2)
        ]
        messages.delete_message(self.member.user, sent[1].pk)
        return sent

    def _admin_rows(self, message) -> dict[str, str]:
        participation = self.conversation.participations.get(user=self.member.user)
        attempts = SignInAttempts.objects.create(
            key="k" * 64, attempts=1, window_ends_at=message.sent_at
        )
        rows = {
            "user": self.member.user.pk,
            "conversation": self.conversation.pk,
            "participant": participation.pk,
            "message": message.pk,
            "event": Event.objects.last_id(),
            "accesstoken": self.member.things["my token"],
            "usersession": self.member.user.sessions.get().pk,
            "signinattempts": attempts.pk,
            "auditentry": AuditEntry.objects.latest("entry_id").pk,
            "group": Group.objects.create(name="Crew").pk,
        }
        found = {f"{name} row": str(pk) for name, pk in rows.items()}
        return {
            **found,
            "user type": str(ContentType.objects.get_for_model(User).pk),
        }


# --- The database, before and after -------------------------------------------

# Written because somebody calls at all, or because another hour has begun.
VOLATILE = {"last_seen_at", "last_used_at", "active_hour"}
UNWATCHED = {"typing signal", "sign in attempts", "content type", "permission"}


def snapshot() -> dict[str, list]:
    """Return all rows of all tables, by the model's name in lower case."""
    found = {}
    with connection.cursor() as cursor:
        for name, sql in watched():
            cursor.execute(sql)
            found[name] = cursor.fetchall()
    return found


@cache
def watched() -> list[tuple[str, str]]:
    """Return the query for all rows of each table, by name.

    But for Django's own sessions, of no use here: they are named as ours.
    """
    found = []
    models = apps.get_models(include_auto_created=True)
    for model in (model for model in models if model is not Session):
        name = str(model._meta.verbose_name)
        fields = [f.column for f in model._meta.concrete_fields]
        quoted = ", ".join(f'"{f}"' for f in fields if f not in VOLATILE)
        if name not in UNWATCHED:
            table = model._meta.db_table
            found.append((name, f'SELECT {quoted} FROM "{table}" ORDER BY 1'))
    return found


@contextmanager
def undone() -> Iterator[None]:
    """Undo what is done to the database within."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


# --- The calls ----------------------------------------------------------------


METRICS_TOKEN = "metrics-" * 4
HEADERS = {
    "": {},
    "as a stream": {"HTTP_ACCEPT": "text/event-stream"},
    "with its token": {"HTTP_AUTHORIZATION": f"Bearer {METRICS_TOKEN}"},
}


def call(
    client: APIClient, row: Row, things: dict[str, str], accept: str = ""
) -> HttpResponse:
    path, body = filled(row.path, things), filled(row.body, things)
    content_type = "application/json"
    if row.section in {"The admin", "Other pages"}:  # of forms
        body = urlencode(json.loads(body or "{}"))
        content_type = "application/x-www-form-urlencoded"
    headers = HEADERS[row.how] | ({"HTTP_ACCEPT": accept} if accept else {})
    return client.generic(row.method, path, body, content_type, **headers)


def filled(text: str, things: dict[str, str]) -> str:
    return re.sub("<(.+?)>", lambda name: things[name[1]], text)


def unknown(value: str) -> str:
    """Return what looks like this id, name or text, and was never given."""
    try:
        UUID(value)
        return str(uuid4())
    except ValueError:
        pass
    if value.isdecimal():
        return f"987{value}"
    letters = iter(lambda: random.choice(string.ascii_lowercase), "")
    return re.sub("[a-z0-9]", lambda _: next(letters), value.lower())


# Another one for each call, what is left after each, and the hour of each.
OF_EACH_CALL = {"X-Request-ID", "RateLimit-Remaining", "RateLimit-Reset", "Expires"}


def told(response: HttpResponse, renamed: dict[str, str]) -> str:
    """Return all of an answer, each name the caller has given as ``renamed`` has it."""
    headers = sorted(
        item for item in response.headers.items() if item[0] not in OF_EACH_CALL
    )
    headers = headers, sorted(response.cookies)
    text = f"{response.status_code} {headers} {response.getvalue().decode()}"
    # The pages for errors name it, too.
    text = text.replace(response.headers["X-Request-ID"], "")
    for name, other in renamed.items():
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", other, text)
    # Masked anew in every answer: the form's CSRF token.
    return re.sub("[A-Za-z0-9]{64}", "", text)
