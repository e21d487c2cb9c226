"""Settings: safe with none set, one clear line when one is wrong."""

import json
import os
import re
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from chats.models import User
from messaging_app.settings import kept_secret_key
from tests.support.bodies import SUPERUSER
from tests.support.factories import PASSWORD
from tests.support.settings import READS, SETTINGS_FILE

LOAD = "import messaging_app.settings"
SERVER = "postgres://user:hunter2@db.example/chats"
KEY = "0123456789abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PRODUCTION = {
    "SECRET_KEY": KEY,
    "DATABASE_URL": SERVER,
    "ALLOWED_HOSTS": "chat.example",
    "HTTPS": "1",
    "EMAIL_URL": "smtp://mail.example:25",
    "EMAIL_FROM": "chat@chat.example",
}


def environment(directory: Path, **variables: str) -> dict[str, str]:
    """Return a clean environment with a database in ``directory``."""
    ours = {*READS.findall(SETTINGS_FILE.read_text()), "DJANGO_SETTINGS_MODULE"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    default = {"DATABASE_URL": f"sqlite:///{directory / 'db.sqlite3'}"}
    return kept | default | variables


def run(directory: Path, *arguments: str, **variables: str):
    """Run Python in the project with these variables set and none else."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=settings.BASE_DIR,
        env=environment(directory, **variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def loaded(directory: Path, *names: str, **variables: str) -> list:
    """Return the values of these settings in a process of their own."""
    values = ", ".join(f"settings.{name}" for name in names)
    code = f"{LOAD} as settings, json; print(json.dumps([{values}]))"
    done = run(directory, "-c", code, **variables)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


# --- Wrong values -------------------------------------------------------------

RATE = "a rate such as 10/s, 600/min, 100/hour, 5/day, or empty"
ORIGINS = "origins such as https://app.example, comma-separated"
HOSTS = "host names such as chat.example, without scheme or port, comma-separated"
DATABASES = "a URL that begins with postgres, postgresql, sqlite"
UNNAMED = "a URL that names a database"
UNWRITABLE = "a file in a writable directory"
OPTIONS = "a URL with valid ports and options"
DIRECT = "a URL that begins with postgres or postgresql and names a database"
CACHES = (
    "a URL that begins with redis, rediss or unix, with a valid port, database number "
    "and options"
)
LINK = "a URL with {uid} and {token}, once each, and no other braces"
TOKEN = "at least 16 ASCII characters, without spaces"
SENDER = "an e-mail address, name or none"
MAIL = "a URL with a host, or a path, and known options"
WRONG = [
    ("DEBUG", "yes", "0 or 1; got 'yes'"),
    ("HTTPS", "true", "0 or 1; got 'true'"),
    ("REGISTRATION_OPEN", "2", "0 or 1; got '2'"),
    ("LOG_LEVEL", "loud", "DEBUG, INFO, WARNING, ERROR or CRITICAL; got 'loud'"),
    ("LOG_FORMAT", "xml", "line or json; got 'xml'"),
    ("METRICS_TOKEN", "hunter2", TOKEN),
    ("METRICS_TOKEN", "hunter2 and many more words", TOKEN),
    ("METRICS_TOKEN", "hunter2-naïve-and-long", TOKEN),
    ("SECRET_KEY", "hunter2", "at least 32 characters long"),
    *(
        (
            "SECURITY_CONTACT",
            value,
            "a URI such as mailto:security@chat.example or "
            f"https://chat.example/security; got {value!r}",
        )
        for value in (
            "security@chat.example",
            "mailto:",
            "https:///x",
            "http://chat.example",
            "mailto:a@b c",
        )
    ),
    ("MAX_PARTICIPANTS", "1", "a whole number from 2 to 10000; got '1'"),
    ("MAX_PARTICIPANTS", "many", "a whole number from 2 to 10000; got 'many'"),
    ("EVENT_RETENTION_DAYS", "0", "a whole number from 1 to 3650; got '0'"),
    ("AUDIT_RETENTION_DAYS", "0", "a whole number from 1 to 3650; got '0'"),
    ("WEB_CLIENT", "on", "0 or 1; got 'on'"),
    ("TRUSTED_PROXIES", "-1", "a whole number from 0 to 10; got '-1'"),
    ("WEB_THREADS", "1.5", "a whole number from 1 to 64; got '1.5'"),
    ("THROTTLE_ANON", "fast", f"{RATE}; got 'fast'"),
    ("THROTTLE_USER", "10/fortnight", f"{RATE}; got '10/fortnight'"),
    ("THROTTLE_SEND", "0/min", f"{RATE}; got '0/min'"),
    ("THROTTLE_SIGN_IN", "5", f"{RATE}; got '5'"),
    ("THROTTLE_SIGNUP", "5", f"{RATE}; got '5'"),
    ("THROTTLE_EXPORT", "often", f"{RATE}; got 'often'"),
    ("THROTTLE_CONVERSATIONS", "x", f"{RATE}; got 'x'"),
    ("THROTTLE_STRANGERS", "many", f"{RATE}; got 'many'"),
    ("MAX_JSON_DEPTH", "3", "a whole number from 4 to 200; got '3'"),
    ("MAX_TOKENS_PER_USER", "0", "a whole number from 1 to 10000; got '0'"),
    ("TOKEN_MAX_DAYS", "0", "a whole number from 1 to 3650; got '0'"),
    ("MAX_SESSIONS_PER_USER", "0", "a whole number from 1 to 10000; got '0'"),
    ("MAX_STREAMS_PER_USER", "0", "a whole number from 1 to 100000; got '0'"),
    ("MAX_STREAMS", "0", "a whole number from 1 to 1000000; got '0'"),
    *(
        ("ALLOWED_HOSTS", value, f"{HOSTS}; got {value!r}")
        for value in (
            "https://chat.example",
            "chat.example:8000",
            "chat.example/x",
            "chat.example, two words",
            "*.chat.example",
            "chat_server",
            "bücher.example",
            "::1",
            "[::1",
            "chat.example.",
            ",",
        )
    ),
    *(
        (name, value, f"{ORIGINS}; got {value!r}")
        for name in ("CORS_ALLOWED_ORIGINS", "CSRF_TRUSTED_ORIGINS")
        for value in (
            "app.example",
            "http://[",
            "https://a.example/x",
            "https://a.example/",
            "https://a.example?x",
            "https://user@a.example",
            "https://a.example:port",
            "https://a.example:99999",
            "https://bücher.example",
            "ftp://a.example",
            "https://",
            "null",
        )
    ),
    ("CORS_ALLOWED_ORIGINS", "https://*.a.example", f"{ORIGINS}; got 'https://*.a.example'"),
    ("CSRF_TRUSTED_ORIGINS", "https://a*.example", f"{ORIGINS}; got 'https://a*.example'"),
    ("DATABASE_URL", "mysql://user:hunter2@db.example/chats", DATABASES),
    ("DATABASE_URL", "chats.db.sqlite3", DATABASES),
    ("DATABASE_URL", "postgres://user:hunter2@db.example:port/chats", DATABASES),
    ("DATABASE_URL", "postgres://user:hunter2@db.example", UNNAMED),
    ("DATABASE_URL", "sqlite:////nowhere/db.sqlite3", UNWRITABLE),
    ("DATABASE_URL", "sqlite:////tmp", UNWRITABLE),
    *(
        ("DATABASE_URL", f"postgres://user:hunter2@{rest}", OPTIONS)
        for rest in (
            "db.example/chats?ssl_mode=require",
            "db.example/chats?sslmode=always",
            "db.example/chats?connect_timeout=soon",
            "db.example/chats?target_session_attrs=writable",
            "db.example/chats?prepare_threshold=none",
            "db.example/chats?client_encoding=LATIN1",
            "db.example/chats?CONN_MAX_AGE=long",
            "db.example/chats?AUTOCOMMIT=0",
            "db.example/chats?ATOMIC_REQUESTS=1",
            "one.example:5432,two.example:port/chats",
            "one.example:5432,two.example:5432,5432/chats",
        )
    ),
    ("DATABASE_URL", "sqlite:////tmp/x.sqlite3?sslmode=require", OPTIONS),
    ("DATABASE_URL", "sqlite:////tmp/x.sqlite3?timeout=long", OPTIONS),
    ("DATABASE_DIRECT_URL", "sqlite:////tmp/x.sqlite3", DIRECT),
    ("DATABASE_DIRECT_URL", "postgres://user:hunter2@db.example", DIRECT),
    ("DATABASE_DIRECT_URL", "postgres://user:hunter2@db.example/x?ssl_mode=y", DIRECT),
    ("DATABASE_DIRECT_URL", SERVER, "empty when DATABASE_URL is SQLite"),
    *(
        ("REDIS_URL", value, CACHES)
        for value in (
            "http://:hunter2@cache.example",
            "redis://[",
            "redis://:hunter2@cache.example:port/0",
            "redis://:hunter2@cache.example:99999/0",
            "redis://:hunter2@cache.example/zero",
            "redis://:hunter2@cache.example/0?db=x",
            "redis://:hunter2@cache.example/0?speed=1",
            "unix://",
            "redis://cache.example,cache-2.example",
        )
    ),
    *(
        ("PASSWORD_RESET_URL", value, LINK)
        for value in (
            "https://app.example/{user}",
            "https://app.example/{uid}",
            "{uid.x}{token}",
            "https://app.example/{uid}/{token}/{",
            "https://app.example/{uid}/{token}/}",
            "https://app.example/{uid!r}/{token}",
            "https://app.example/{uid:>9}/{token}",
            "https://app.example/{uid[0]}/{token}",
            "https://app.example/{uid}/{token}/{}",
            "https://app.example/{uid}/{token}/{token}",
            "https://app.example/{uid} {token}",
            "app.example/{uid}/{token}",
        )
    ),
    ("EMAIL_FROM", "chat", f"{SENDER}; got 'chat'"),
    ("EMAIL_FROM", "Chat <chat@>", f"{SENDER}; got 'Chat <chat@>'"),
    (
        "EMAIL_FROM",
        "a@example.org\nBcc: b@example.org",
        f"{SENDER}; got 'a@example.org\\nBcc: b@example.org'",
    ),
    (
        "EMAIL_URL",
        "pigeon://user:hunter2@mail.example",
        "a URL that begins with consolemail, dummymail, filemail, memorymail, smtp, "
        "smtp+ssl, smtp+tls, smtps",
    ),
    ("EMAIL_URL", "smtp://", MAIL),
    ("EMAIL_URL", "filemail://", MAIL),
    ("EMAIL_URL", "smtp://user:hunter2@mail.example?timeout=3", MAIL),
    ("EMAIL_URL", "smtp+ssl://user:hunter2@mail.example?EMAIL_USE_TLS=1", MAIL),
]  # fmt: skip
# Any text will do for it.
FREE = {"DEMO_PASSWORD"}


@pytest.mark.parametrize(("name", "value", "wanted"), WRONG)
def test_wrong_value_stops_the_start_with_one_line(tmp_path, name, value, wanted):
    done = run(tmp_path, "-c", LOAD, **{name: value})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{name} must be {wanted}.\n"
    assert "hunter2" not in done.stderr


def test_wrong_values_are_tried_of_every_setting():
    names = set(READS.findall(SETTINGS_FILE.read_text()))
    assert {name for name, _, _ in WRONG} == names - FREE


def test_wrong_value_stops_manage_py_too(tmp_path):
    done = run(tmp_path, "manage.py", "check", DEBUG="maybe")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "DEBUG must be 0 or 1; got 'maybe'.\n"


def test_secret_key_is_required_with_a_database_server(tmp_path):
    done = run(tmp_path, "-c", LOAD, DATABASE_URL=SERVER)
    assert done.returncode == 1
    assert done.stderr == (
        "SECRET_KEY must be set when DATABASE_URL names a server, to the same value "
        "on every node.\n"
    )


@pytest.mark.parametrize(
    "production", [{"HTTPS": "1"}, {"DATABASE_URL": SERVER, "SECRET_KEY": KEY}]
)
def test_demo_password_is_refused_in_production(tmp_path, production):
    done = run(tmp_path, "-c", LOAD, DEMO_PASSWORD="demo-pass-2026", **production)
    assert done.returncode == 1
    assert done.stderr == (
        "DEMO_PASSWORD must be empty with HTTPS=1 or a database server.\n"
    )


# --- Right values -------------------------------------------------------------


def test_with_nothing_set_everything_is_local_and_safe(tmp_path):
    assert loaded(
        tmp_path,
        "DEBUG",
        "ALLOWED_HOSTS",
        "TRUSTED_PROXIES",
        "CORS_ALLOWED_ORIGINS",
        "CSRF_TRUSTED_ORIGINS",
        "SECURE_SSL_REDIRECT",
        "SECURE_PROXY_SSL_HEADER",
        "DATABASES['default']['OPTIONS']['transaction_mode']",
    ) == [
        False,
        ["localhost", "127.0.0.1", "[::1]", ".localhost"],
        0,
        [],
        [],
        False,
        None,
        "IMMEDIATE",
    ]


def test_https_secures_cookies_and_redirects(tmp_path):
    assert loaded(
        tmp_path,
        "SESSION_COOKIE_NAME",
        "CSRF_COOKIE_NAME",
        "SESSION_COOKIE_SECURE",
        "CSRF_COOKIE_SECURE",
        "SECURE_SSL_REDIRECT",
        "SECURE_HSTS_SECONDS",
        "SECURE_PROXY_SSL_HEADER",
        HTTPS="1",
    ) == [
        "__Host-sessionid",
        "__Host-csrftoken",
        True,
        True,
        True,
        31_536_000,
        ["HTTP_X_FORWARDED_PROTO", "https"],
    ]


@pytest.mark.parametrize(
    ("rate", "parsed"),
    [
        ("10/s", [10, 1]),
        ("10/sec", [10, 1]),
        ("600/min", [600, 60]),
        ("100/hour", [100, 3600]),
        ("5/day", [5, 86_400]),
        ("", None),
    ],
)
def test_rates_are_requests_in_seconds(tmp_path, rate, parsed):
    assert loaded(tmp_path, "THROTTLE_RATES['send']", THROTTLE_SEND=rate) == [parsed]


def test_origins_may_be_addresses(tmp_path):
    origins = "http://[::1]:3000, https://app.example"
    assert loaded(tmp_path, "CORS_ALLOWED_ORIGINS", CORS_ALLOWED_ORIGINS=origins) == [
        ["http://[::1]:3000", "https://app.example"]
    ]


def test_origins_are_what_browsers_send(tmp_path):
    given = "HTTPS://App.Example:443,http://app.example:80,https://app.example:8443"
    sent = ["https://app.example", "http://app.example", "https://app.example:8443"]
    for name in ("CORS_ALLOWED_ORIGINS", "CSRF_TRUSTED_ORIGINS"):
        assert loaded(tmp_path, name, **{name: given}) == [sent]


def test_trusted_origins_may_be_all_of_a_domain(tmp_path):
    given = "https://*.App.example"
    found = loaded(tmp_path, "CSRF_TRUSTED_ORIGINS", CSRF_TRUSTED_ORIGINS=given)
    assert found == [["https://*.app.example"]]


def test_hosts_may_be_names_suffixes_addresses_or_all(tmp_path):
    given = "Chat.example,.chat.example,192.0.2.7,[2001:db8::7],localhost,*"
    found = loaded(tmp_path, "ALLOWED_HOSTS", ALLOWED_HOSTS=given)
    assert found == [given.lower().split(",")]


@pytest.mark.parametrize(
    "link",
    [
        "https://app.example/#/reset/{uid}/{token}",
        "myapp://reset?uid={uid}&token={token}",
    ],
)
def test_reset_link_may_be_any_url_with_both_fields(tmp_path, link):
    assert loaded(tmp_path, "PASSWORD_RESET_URL", PASSWORD_RESET_URL=link) == [link]


@pytest.mark.parametrize(
    "address", ["chat@example.org", "Chat Team <chat@example.org>", "chat@localhost"]
)
def test_sender_may_have_a_name(tmp_path, address):
    assert loaded(tmp_path, "DEFAULT_FROM_EMAIL", EMAIL_FROM=address) == [address]


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache.example",
        "rediss://user:pass@cache.example:6380/3",
        "unix:///run/redis.sock?db=2",
        "redis://one.example/0;redis://two.example/0",
    ],
)
def test_cache_may_be_anything_the_driver_takes(tmp_path, url):
    assert loaded(tmp_path, "REDIS_URL", REDIS_URL=url) == [url]


def test_secret_key_may_begin_with_a_dollar(tmp_path):
    assert loaded(tmp_path, "SECRET_KEY", SECRET_KEY=f"${KEY}") == [f"${KEY}"]


# --- PostgreSQL ---------------------------------------------------------------

LIMITS = "-c lock_timeout=5000 -c idle_in_transaction_session_timeout=60000"


def connection_settings(directory: Path, query: str = "", **variables: str) -> dict:
    url = "postgres://user:pass@one.example:5432,two.example:5433/chats"
    name = "DATABASES['default']"
    given = {"DATABASE_URL": url + query, "SECRET_KEY": KEY} | variables
    [found] = loaded(directory, name, **given)
    return found


def test_database_may_be_several_hosts(tmp_path):
    found = connection_settings(tmp_path, "?target_session_attrs=read-write")
    assert (found["HOST"], found["PORT"]) == ("one.example,two.example", "5432,5433")
    assert found["OPTIONS"]["target_session_attrs"] == "read-write"


def test_limits_of_a_session_stay_beside_given_options(tmp_path):
    found = connection_settings(tmp_path, "?options=-c%20search_path%3Dchats")
    assert found["OPTIONS"]["options"] == f"{LIMITS} -c search_path=chats"


def test_nothing_is_prepared_or_set_for_the_session_through_a_pooler(tmp_path):
    direct = {"DATABASE_DIRECT_URL": "postgres://user:pass@one.example/chats"}
    found = connection_settings(tmp_path, **direct)
    options = found["OPTIONS"]
    assert (options["prepare_threshold"], "options" in options) == (None, False)
    assert found["DISABLE_SERVER_SIDE_CURSORS"] is True


def test_secret_key_is_made_once_for_its_owner_only(tmp_path):
    [first] = loaded(tmp_path, "SECRET_KEY")
    [second] = loaded(tmp_path, "SECRET_KEY")
    file = tmp_path / "secret_key"
    assert first == second == file.read_text()
    assert len(first) >= 50
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_secret_key_is_the_same_for_processes_that_start_together(tmp_path):
    code = "import messaging_app.settings as s; print(s.SECRET_KEY)"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=settings.BASE_DIR,
            env=environment(tmp_path),
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    keys = {process.communicate(timeout=60)[0].strip() for process in started}
    assert keys == {(tmp_path / "secret_key").read_text()}
    assert os.listdir(tmp_path) == ["secret_key"]


def test_secret_key_made_by_several_at_once_is_one(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        for number in range(20):
            file, barrier = tmp_path / str(number), Barrier(8)

            def keep(file=file, barrier=barrier) -> str:
                barrier.wait()
                return kept_secret_key(file)

            kept = [pool.submit(keep) for _ in range(8)]
            assert {future.result() for future in kept} == {file.read_text()}


def test_check_deploy_has_nothing_to_say_in_production(tmp_path):
    check = ["manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = run(tmp_path, *check, **PRODUCTION)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


# --- The first superuser ------------------------------------------------------


def test_createsuperuser_makes_a_role_admin_who_can_sign_in(db, monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command(
        "createsuperuser", interactive=False, username="root", verbosity=0, **SUPERUSER
    )
    root = User.objects.get()
    credentials = {"username": "root", "password": PASSWORD}
    response = APIClient().post("/api/auth/login/", credentials)
    assert (root.role, root.is_staff, root.is_superuser) == ("admin", True, True)
    assert (response.status_code, response.json()["role"]) == (200, "admin")


@pytest.mark.parametrize("missing", [*SUPERUSER, "username"])
def test_createsuperuser_asks_for_every_required_field(db, missing):
    fields = {"username": "root", **SUPERUSER}
    del fields[missing]
    with pytest.raises(CommandError, match=re.escape(f"--{missing}")):
        call_command("createsuperuser", interactive=False, **fields)
    assert not User.objects.exists()
