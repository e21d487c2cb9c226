"""System checks that ask the database itself.

They run with ``check --database default`` and ``migrate``, and in the background at the
start of each process. A database that does not answer is not reported: readyz does so.
"""

import logging
import stat
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path

import psycopg
from django.conf import settings
from django.contrib.auth.hashers import check_password
from django.core import checks
from django.core.checks import CheckMessage, Tags, register, run_checks
from django.db import Error, connections
from django.db.models import Q

from chats.management.commands.seed_demo import PASSWORD
from chats.models import User

logger = logging.getLogger(__name__)

Check = Callable[[str], Iterator[CheckMessage]]


def of_each(vendor: str | None = None) -> Callable[[Check], Callable]:
    """Turn a check of one database into a check of all databases asked for."""

    def wrapped(check: Check) -> Callable:
        @wraps(check)
        def run(app_configs, databases=None, **kwargs) -> list[CheckMessage]:
            found: list[CheckMessage] = []
            for alias in databases or ():
                if vendor in {None, connections[alias].vendor}:
                    try:
                        found += check(alias)
                    except (Error, psycopg.Error) as error:
                        logger.debug("%s was not checked: %s", alias, error)
            return found

        del run.__wrapped__  # Django reads the signature, which must be this one's
        return run

    return wrapped


def log_findings() -> None:
    """Log each finding of the database's checks; the target of a thread."""
    try:
        for found in run_checks(tags=[Tags.database], databases=["default"]):
            logger.log(found.level, "%s: %s %s", found.id, found.msg, found.hint or "")
    except Exception:
        logger.exception("The database was not checked")
    finally:
        connections.close_all()


def _row(alias: str, sql: str, *params: object) -> tuple:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchone()


# --- Encoding and locale --------------------------------------------------------

LETTERS = ("ÀÉЯΩ", "àéяω", "àéяω", "ÀÉЯΩ")
MOVE = (
    "Create a database with `createdb --template template0 --encoding UTF8 --locale "
    "C.UTF-8` and move the data there with pg_dump and pg_restore."
)


@register(Tags.database)
@of_each("postgresql")
def check_encoding(alias: str) -> Iterator[CheckMessage]:
    """E001, W006: a database that cannot hold all text, or knows only ASCII letters."""
    encoding, locale = _row(
        alias,
        "SELECT pg_encoding_to_char(encoding), datctype FROM pg_database"
        " WHERE datname = current_database()",
    )
    if encoding != "UTF8":
        yield checks.Error(
            f"The database's encoding is {encoding}: calls fail if their text cannot "
            "be stored in it.",
            hint=MOVE,
            id="chats.E001",
        )
        return
    [folds] = _row(alias, "SELECT (lower(%s), upper(%s)) = (%s, %s)", *LETTERS)
    if not folds:
        problem = "searches and names ignore case only for the letters A to Z"
    elif locale in {"C", "POSIX"}:
        problem = "the search indexes work only for words of A to Z and digits"
    else:
        return
    yield checks.Warning(
        f"The database's LC_CTYPE is {locale}: {problem}.", hint=MOVE, id="chats.W006"
    )


# --- Poolers ---------------------------------------------------------------------

LIMITS = {"lock_timeout": "5s", "idle_in_transaction_session_timeout": "60s"}
PID = "SELECT pg_backend_pid()"


@register(Tags.database)
@of_each("postgresql")
def check_pooler(alias: str) -> Iterator[CheckMessage]:
    """W007: a pooler that no setting mentions changes sessions by transaction."""
    if not settings.DATABASE_DIRECT_URL and shares_sessions(alias):
        yield checks.Warning(
            "DATABASE_URL leads to a pooler in transaction mode: prepared statements "
            "fail there, and events of other processes do not arrive.",
            hint="Set DATABASE_DIRECT_URL to the address of the server itself.",
            id="chats.W007",
        )


def shares_sessions(alias: str) -> bool:
    """Return whether two connections share a session of the server.

    False if a pooler is too busy to show it.
    """
    database = connections[alias]
    try:
        with database.new_session() as one, database.new_session() as other:
            [session] = one.execute(PID).fetchone()
            if session == one.info.backend_pid:
                return False  # the server itself: a pooler has process ids of its own
            return any(other.execute(PID).fetchone()[0] == session for _ in range(5))
    except psycopg.OperationalError as error:
        # PgBouncer refuses `options` at the start, unless it is told to ignore them.
        return "unsupported startup parameter" in str(error)


@register(Tags.database)
@of_each("postgresql")
def check_direct_address(alias: str) -> Iterator[CheckMessage]:
    """W008: DATABASE_DIRECT_URL is another database than DATABASE_URL."""
    if not settings.DATABASE_DIRECT_URL:
        return
    which = (
        "SELECT system_identifier, current_database()::text FROM pg_control_system()"
    )
    try:
        with psycopg.connect(settings.DATABASE_DIRECT_URL, connect_timeout=5) as direct:
            found = direct.execute(which).fetchone()
    except psycopg.OperationalError:
        found = None
    if found != _row(alias, which):
        yield checks.Warning(
            "DATABASE_DIRECT_URL does not lead to the database of DATABASE_URL: events "
            "of other processes arrive up to a second late.",
            hint="Set it to the same database, on the server itself, not the pooler.",
            id="chats.W008",
        )


@register(Tags.database)
@of_each("postgresql")
def check_limits(alias: str) -> Iterator[CheckMessage]:
    """W009: sessions wait for locks, or hold them, without a time limit.

    The settings set one, but not through a pooler, whose sessions have the role's.
    """
    for name, usual in LIMITS.items():
        [value] = _row(alias, "SELECT current_setting(%s)", name)
        if value == "0":
            yield checks.Warning(
                f"Database sessions have no {name}: while one call hangs, other calls "
                "wait for it.",
                hint=f"ALTER ROLE … SET {name} = '{usual}', and restart the pooler.",
                id="chats.W009",
            )


# --- SQLite's file -----------------------------------------------------------------


@register(Tags.database)
@of_each("sqlite")
def check_file_mode(alias: str) -> Iterator[CheckMessage]:
    """W010: every account of the machine can read the database file."""
    file = Path(connections[alias].settings_dict["NAME"])
    if file.is_file() and stat.S_IMODE(file.stat().st_mode) & stat.S_IRWXO:
        yield checks.Warning(
            f"Every account on this machine can open {file} and read all messages.",
            hint=f"chmod 600 {file}*",
            id="chats.W010",
        )


# --- Demo data ---------------------------------------------------------------------

CHECKED = 50  # accounts at most, each of which takes about 0.1 s


@register(Tags.database, Tags.security, deploy=True)
@of_each()
def check_demo_accounts(alias: str) -> Iterator[CheckMessage]:
    """W011: active accounts have the password of the demo."""
    powerful = Q(is_superuser=True) | Q(is_staff=True) | Q(role=User.Role.ADMIN)
    suspects = User.objects.using(alias).active()
    suspects = suspects.filter(powerful | Q(email__endswith="@demo.example"))
    opened = [
        user.username
        for user in suspects.order_by("-is_superuser", "-is_staff", "pk")[:CHECKED]
        if check_password(PASSWORD, user.password)
    ]
    if opened:
        yield checks.Warning(
            f"These accounts have the public demo password: {', '.join(opened)}.",
            hint="Deactivate or delete these accounts, or change their passwords.",
            id="chats.W011",
        )
