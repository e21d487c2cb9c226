"""All settings, read from environment variables, with safe defaults.

A wrong value stops the start with one line that names the variable. The variables are
documented in docs/settings.md; a test keeps the page complete.
"""

import logging
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import environ
from corsheaders.defaults import default_headers

from messaging_app import formats

BASE_DIR = Path(__file__).resolve().parent.parent


# --- Typed readers of the environment -----------------------------------------


def stop(name: str, wanted: str) -> SystemExit:
    """Return the exception that stops the start with one line, naming the variable."""
    value = os.environ.get(name)
    # URLs are not repeated, because they may contain a password.
    is_secret = name.endswith(("_URL", "_TOKEN", "_KEY"))
    got = f"; got {value!r}" if value and not is_secret else ""
    return SystemExit(f"{name} must be {wanted}{got}.")


def env_str(name: str, default: str = "") -> str:
    return os.environ.get(name, default).strip()


def env_bool(name: str, *, default: bool) -> bool:
    value = env_str(name) or ("1" if default else "0")
    if value not in {"0", "1"}:
        raise stop(name, "0 or 1")
    return value == "1"


def env_int(name: str, default: int, *, minimum: int, maximum: int) -> int:
    value = env_str(name) or str(default)
    is_number = value.isdecimal() and len(value) < 10
    if not is_number or not minimum <= int(value) <= maximum:
        raise stop(name, f"a whole number from {minimum} to {maximum}")
    return int(value)


def env_list(name: str, default: str = "") -> list[str]:
    value = env_str(name) or default
    return [item.strip() for item in value.split(",") if item.strip()]


def env_format(name: str, parse: Callable[[str], str], wanted: str) -> str:
    """Read a value with a parser of ``formats``; "" if it is not set."""
    value = env_str(name)
    try:
        return parse(value) if value else ""
    except ValueError as error:
        raise stop(name, wanted) from error


def env_formats(
    name: str, parse: Callable[[str], str], wanted: str, default: str = ""
) -> list[str]:
    """Read comma-separated values, each with a parser of ``formats``."""
    try:
        return [parse(item) for item in env_list(name, default)]
    except ValueError as error:
        raise stop(name, wanted) from error


def env_rate(name: str, default: str) -> tuple[int, int] | None:
    """Read a rate such as ``600/min`` as (requests, seconds); empty means no limit."""
    value = env_str(name, default)
    if not value:
        return None
    match = re.fullmatch(r"([1-9]\d{0,8})/(s|sec|min|hour|day)", value)
    if not match:
        raise stop(name, "a rate such as 10/s, 600/min, 100/hour, 5/day, or empty")
    seconds = {"s": 1, "sec": 1, "min": 60, "hour": 3600, "day": 86400}
    return int(match[1]), seconds[match[2]]


def env_url(name: str, default: str, parse, schemes: set[str]) -> dict:
    """Parse a URL with one of django-environ's parsers, refusing unknown schemes."""
    value = env_str(name) or default
    try:
        if urlsplit(value).scheme not in schemes:
            raise ValueError(value)
        return parse(value)
    except (ValueError, KeyError, environ.ImproperlyConfigured) as error:
        raise stop(
            name, f"a URL that begins with {', '.join(sorted(schemes))}"
        ) from error


# --- Core ---------------------------------------------------------------------

DEBUG = env_bool("DEBUG", default=False)
HTTPS = env_bool("HTTPS", default=False)
HOSTS = "host names such as chat.example, without scheme or port, comma-separated"
ALLOWED_HOSTS = env_formats(
    "ALLOWED_HOSTS", formats.host, HOSTS, "localhost,127.0.0.1,[::1],.localhost"
)
if not ALLOWED_HOSTS:
    raise stop("ALLOWED_HOSTS", HOSTS)
LOG_LEVEL = (env_str("LOG_LEVEL") or "INFO").upper()
if LOG_LEVEL not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
    raise stop("LOG_LEVEL", "DEBUG, INFO, WARNING, ERROR or CRITICAL")
LOG_FORMAT = env_str("LOG_FORMAT") or "line"
if LOG_FORMAT not in {"line", "json"}:
    raise stop("LOG_FORMAT", "line or json")
SECURITY_CONTACT = env_format(
    "SECURITY_CONTACT",
    formats.web_or_mail,
    "a URI such as mailto:security@chat.example or https://chat.example/security",
)
METRICS_TOKEN = env_format(
    "METRICS_TOKEN", formats.token, "at least 16 ASCII characters, without spaces"
)

# --- Database -----------------------------------------------------------------

SQLITE_OPTIONS = {
    # With DEFERRED, two transactions that go from reading to writing fail with
    # "database is locked". With IMMEDIATE they queue.
    "transaction_mode": "IMMEDIATE",
    "timeout": 5,  # seconds that a writer queues before the response is 503
    # FULL: an acknowledged commit is on disk, and survives a power loss.
    "init_command": (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000;"
    ),
}

POSTGRESQL_OPTIONS = {
    "connect_timeout": 5,  # seconds
    # These detect connections that a firewall or a lost host has cut silently: the
    # first when sent data is not acknowledged (milliseconds), the others when idle
    # (seconds).
    "tcp_user_timeout": 5000,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    # Only the statements of chats/db/prepared.py are prepared on the server, which then
    # neither parses nor usually plans them again. Others are not: planned without their
    # values, the statements of filters and searches might read a whole table.
    "server_side_binding": True,
    "prepare_threshold": 2**31 - 1,
}
# Milliseconds. A call queues for a lock as long as on SQLite, then the response is 503.
# The second limit frees the locks of a node that lost power during a transaction.
SESSION_LIMITS = "-c lock_timeout=5000 -c idle_in_transaction_session_timeout=60000"
# A pooler gives each transaction another session. Then nothing is prepared, and the
# limits must be those of the role, because a client cannot set them
# (docs/databases.md).
POOLED_OPTIONS = {"prepare_threshold": None}

database = env_url(
    "DATABASE_URL",
    f"sqlite:///{BASE_DIR / 'db.sqlite3'}",
    environ.Env.db_url_config,
    {"sqlite", "postgres", "postgresql"},
)
USES_SQLITE = database["ENGINE"] == "django.db.backends.sqlite3"
# The server itself, if DATABASE_URL is a pooler: LISTEN needs a dedicated session.
DATABASE_DIRECT_URL = env_format(
    "DATABASE_DIRECT_URL",
    formats.postgresql_url,
    "a URL that begins with postgres or postgresql and names a database",
)
if not database["NAME"]:
    raise stop("DATABASE_URL", "a URL that names a database")
check_database = formats.sqlite_database if USES_SQLITE else formats.postgresql_database
try:
    check_database(database)
except ValueError as error:
    raise stop("DATABASE_URL", "a URL with valid ports and options") from error
if USES_SQLITE:
    if DATABASE_DIRECT_URL:
        raise stop("DATABASE_DIRECT_URL", "empty when DATABASE_URL is SQLite")
    sqlite_file = Path(database["NAME"]).resolve()
    if sqlite_file.is_dir() or not os.access(sqlite_file.parent, os.W_OK):
        raise stop("DATABASE_URL", "a file in a writable directory")
    database["ENGINE"] = "chats.db.sqlite3"
    database["OPTIONS"] = SQLITE_OPTIONS | database.get("OPTIONS", {})
else:
    database["ENGINE"] = "chats.db.postgresql"
    given = database.get("OPTIONS", {})
    database["OPTIONS"] = POSTGRESQL_OPTIONS | given
    if DATABASE_DIRECT_URL:
        database["OPTIONS"] |= POOLED_OPTIONS
        database["DISABLE_SERVER_SIDE_CURSORS"] = True
    else:
        limits = f"{SESSION_LIMITS} {given.get('options', '')}".strip()
        database["OPTIONS"]["options"] = limits
# Connections stay open between requests: each worker thread has one.
DATABASES = {"default": {"CONN_MAX_AGE": None} | database}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Secret key ---------------------------------------------------------------


def kept_secret_key(path: Path) -> str:
    """Return the key in ``path``; create a missing one, readable by its owner only.

    The key is written to a draft and then linked to ``path``. So processes that start
    at the same time all read the same, complete key.
    """
    if not path.exists():
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(50))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()


# Read without django-environ, which treats a leading "$" as a reference.
SECRET_KEY = os.environ.get("SECRET_KEY", "")
if not SECRET_KEY:
    if not USES_SQLITE:
        raise stop(
            "SECRET_KEY",
            "set when DATABASE_URL names a server, to the same value on every node",
        )
    SECRET_KEY = kept_secret_key(Path(database["NAME"]).resolve().parent / "secret_key")
if len(SECRET_KEY) < 32:  # with a guessed key, one can sign password-reset links
    raise stop("SECRET_KEY", "at least 32 characters long")

# --- Applications -------------------------------------------------------------

INSTALLED_APPS = [
    "chats",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "corsheaders",
]
MIDDLEWARE = [
    "chats.web.middleware.RequestMiddleware",
    "chats.web.middleware.AnyHostForProbesMiddleware",
    "chats.web.middleware.NoStoreMiddleware",
    "chats.api.webpages.PageMiddleware",
    "chats.web.middleware.CompressionMiddleware",
    "corsheaders.middleware.CorsMiddleware",  # before any that may return a response
    "chats.web.middleware.HTTPSMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "chats.web.assets.StaticFilesMiddleware",
    "chats.web.middleware.RateLimitMiddleware",
    "chats.web.middleware.SessionMiddleware",
    "chats.web.middleware.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "chats.web.middleware.ThrottleMiddleware",
]
ROOT_URLCONF = "messaging_app.urls"
WSGI_APPLICATION = "messaging_app.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
TEST_RUNNER = "tests.support.runner.PytestRunner"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"

# --- People and sign-in -------------------------------------------------------

AUTH_USER_MODEL = "chats.User"
SESSION_ENGINE = "chats.services.session_store"
AUTHENTICATION_BACKENDS = ["chats.api.authentication.UsernameOrEmailBackend"]
LOGIN_URL = "rest_framework:login"
LOGIN_REDIRECT_URL = "api-root"
PASSWORD_HASHERS = [
    "chats.services.hashers.LowPriorityArgon2Hasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
REGISTRATION_OPEN = env_bool("REGISTRATION_OPEN", default=True)
MAX_PARTICIPANTS = env_int("MAX_PARTICIPANTS", 1000, minimum=2, maximum=10_000)
EVENT_RETENTION_DAYS = env_int("EVENT_RETENTION_DAYS", 30, minimum=1, maximum=3650)
AUDIT_RETENTION_DAYS = env_int("AUDIT_RETENTION_DAYS", 365, minimum=1, maximum=3650)

# --- Cache: for throttle counters; losing it loses no other data --------------

REDIS_URL = env_format(
    "REDIS_URL",
    formats.redis_url,
    "a URL that begins with redis, rediss or unix, with a valid port, database number "
    "and options",
)
if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
        }
    }
else:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            # There is a counter for each caller; the default of 300 would evict some.
            "OPTIONS": {"MAX_ENTRIES": 100_000},
        }
    }

# --- Transport security -------------------------------------------------------

SECURE_SSL_REDIRECT = HTTPS
# Probes come over plain HTTP; the application may be mounted below a path.
SECURE_REDIRECT_EXEMPT = [
    rf"^(.*/)?{name}$" for name in ("healthz", "readyz", "metrics")
]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
# Browsers accept a cookie with this prefix only over HTTPS, from this very host and for
# all its paths: another subdomain cannot set it.
COOKIE_PREFIX = "__Host-" if HTTPS else ""
SESSION_COOKIE_NAME = f"{COOKIE_PREFIX}sessionid"
CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}csrftoken"
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # HSTS for subdomains is the domain owner's decision
    "security.W021",  # and so is the preload list
]
CSRF_FAILURE_VIEW = "chats.api.handlers.csrf_failure"
ORIGINS = "origins such as https://app.example, comma-separated"
CSRF_TRUSTED_ORIGINS = env_formats(
    "CSRF_TRUSTED_ORIGINS", formats.origin_pattern, ORIGINS
)
CORS_ALLOWED_ORIGINS = env_formats("CORS_ALLOWED_ORIGINS", formats.origin, ORIGINS)
CORS_ALLOW_CREDENTIALS = True
CORS_ALLOW_HEADERS = (*default_headers, "last-event-id")
CORS_EXPOSE_HEADERS = (
    "Retry-After",
    "X-Request-ID",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
)
CORS_URLS_REGEX = r"^/api/"
TRUSTED_PROXIES = env_int("TRUSTED_PROXIES", 0, minimum=0, maximum=10)
X_FRAME_OPTIONS = "DENY"

# --- Limits -------------------------------------------------------------------

DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024  # bytes of a request body
MAX_JSON_DEPTH = env_int("MAX_JSON_DEPTH", 32, minimum=4, maximum=200)
MAX_SESSIONS_PER_USER = env_int("MAX_SESSIONS_PER_USER", 100, minimum=1, maximum=10_000)
MAX_TOKENS_PER_USER = env_int("MAX_TOKENS_PER_USER", 100, minimum=1, maximum=10_000)
TOKEN_MAX_DAYS = env_int("TOKEN_MAX_DAYS", 365, minimum=1, maximum=3650)
# Limits of one process. A browser opens one stream for each tab.
MAX_STREAMS_PER_USER = env_int("MAX_STREAMS_PER_USER", 50, minimum=1, maximum=100_000)
MAX_STREAMS = env_int("MAX_STREAMS", 20_000, minimum=1, maximum=1_000_000)
THROTTLE_RATES = {
    "anon": env_rate("THROTTLE_ANON", "1200/min"),
    "user": env_rate("THROTTLE_USER", "12000/min"),
    "send": env_rate("THROTTLE_SEND", "6000/min"),
    "sign_in": env_rate("THROTTLE_SIGN_IN", "60/min"),
    "signup": env_rate("THROTTLE_SIGNUP", "1000/hour"),
    "export": env_rate("THROTTLE_EXPORT", "10/hour"),
    # Less than the 50 of a page: nobody alone can fill another user's page in an hour.
    "conversations": env_rate("THROTTLE_CONVERSATIONS", "30/hour"),
    "strangers": env_rate("THROTTLE_STRANGERS", "200/hour"),
}

# --- Server -------------------------------------------------------------------

WEB_THREADS = env_int("WEB_THREADS", 1, minimum=1, maximum=64)

# --- Web client ---------------------------------------------------------------

WEB_CLIENT = env_bool("WEB_CLIENT", default=True)
# The demo's password, which the sign-in page shows; never on a public server.
DEMO_PASSWORD = env_str("DEMO_PASSWORD")
if DEMO_PASSWORD and (HTTPS or not USES_SQLITE):
    # Not by stop(), which would print the password.
    raise SystemExit("DEMO_PASSWORD must be empty with HTTPS=1 or a database server.")

# --- E-mail -------------------------------------------------------------------

email = env_url(
    "EMAIL_URL",
    "consolemail://",
    environ.Env.email_url_config,
    set(environ.Env.EMAIL_SCHEMES),
)
try:
    formats.mail_server(email)
except ValueError as error:
    raise stop(
        "EMAIL_URL", "a URL with a host, or a path, and known options"
    ) from error
EMAIL_BACKEND = email["EMAIL_BACKEND"]
EMAIL_FILE_PATH = email["EMAIL_FILE_PATH"]
EMAIL_HOST = email["EMAIL_HOST"]
EMAIL_PORT = email["EMAIL_PORT"]
EMAIL_HOST_USER = email["EMAIL_HOST_USER"]
EMAIL_HOST_PASSWORD = email["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS = email.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = email.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10
EMAIL_FROM = env_format("EMAIL_FROM", formats.sender, "an e-mail address, name or none")
DEFAULT_FROM_EMAIL = SERVER_EMAIL = EMAIL_FROM or "messaging@localhost"

# Where reset e-mails link to, if not to the web client's page (chats/web/site.py); such
# as https://app.example/#/reset/{uid}/{token}
PASSWORD_RESET_URL = env_format(
    "PASSWORD_RESET_URL",
    formats.reset_link,
    "a URL with {uid} and {token}, once each, and no other braces",
)

# --- Static files -------------------------------------------------------------

STATIC_URL = "/static/"
STORAGES = {"staticfiles": {"BACKEND": "chats.web.assets.VersionedStorage"}}
WHITENOISE_USE_FINDERS = True  # served from the packages, without collectstatic
WHITENOISE_MAX_AGE = 0  # for paths without a version; others are cached for good

# --- API ----------------------------------------------------------------------

REST_FRAMEWORK = {
    # The token class comes first: its WWW-Authenticate header makes anonymous calls
    # 401.
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "chats.api.authentication.TokenAuthentication",
        "chats.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["chats.web.throttles.CallerThrottle"],
    "DEFAULT_PARSER_CLASSES": ["chats.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": [
        "chats.api.renderers.JSONRenderer",
        "rest_framework.renderers.BrowsableAPIRenderer",
    ],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "chats.api.negotiation.ContentNegotiation",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "chats.lists.pagination.KeysetPagination",
    "DEFAULT_SCHEMA_CLASS": "chats.api.schema.ChatsSchema",
    "EXCEPTION_HANDLER": "chats.api.handlers.exception_handler",
    "DEFAULT_VERSIONING_CLASS": None,
    "URL_FORMAT_OVERRIDE": None,  # chats.api.negotiation reads `format`
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "messaging_app",
    "VERSION": "1.0.0",
    # In 3.0, no form of "this object or null" suits both linters and generators.
    "OAS_VERSION": "3.1.1",
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "SERVERS": [{"url": "/", "description": "This server."}],
    "TAGS": [
        {
            "name": "auth",
            "description": (
                "Sign in and out, change or reset a password, and manage the sessions "
                "and access tokens of one's own."
            ),
        },
        {
            "name": "conversations",
            "description": "Start, list, rename and leave conversations; add people.",
        },
        {
            "name": "events",
            "description": "Read what has happened, or follow it as a live stream.",
        },
        {
            "name": "messages",
            "description": "Send, find, edit and delete messages; mark them as read.",
        },
        {"name": "users", "description": "Sign up, find people, and manage accounts."},
    ],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENFORCE_NON_BLANK_FIELDS": True,
    "SORT_OPERATION_PARAMETERS": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_SUFFIX": "",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {"SignInKind": "chats.serializers.credentials.KINDS"},
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "chats.api.schema.introduce",
        "chats.api.schema.private_fields_optional",
        "chats.api.schema.empty_security",
    ],
}

# --- Logging ------------------------------------------------------------------


def without_traceback(record: logging.LogRecord) -> bool:
    """Remove the traceback, so that the record is one line; pass it on."""
    record.exc_info = record.exc_text = None
    return True


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
        "json": {"()": "chats.web.logs.JSONFormatter"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}
    },
    "filters": {
        "no_traceback": {
            "()": "django.utils.log.CallbackFilter",
            "callback": without_traceback,
        },
        "once_a_second": {"()": "chats.web.logs.OnceASecond"},
        "once_a_second_error": {
            "()": "chats.web.logs.OnceASecond",
            "level": logging.ERROR,
        },
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        # Replaces Django's own handlers, which mail admins and print only in DEBUG.
        "django": {"handlers": ["console"], "level": LOG_LEVEL, "propagate": False},
        # A 4xx is the client's error, and is not logged.
        "django.request": {"level": "ERROR"},
        "django.security.csrf": {"level": "ERROR"},
        # The message names the host to allow; the traceback would add nothing.
        "django.security.DisallowedHost": {
            "filters": ["no_traceback", "once_a_second_error"]
        },
        # Requests that are not HTTP, and connections for which no descriptor is left.
        "uvicorn.error": {"filters": ["once_a_second"]},
        "asyncio": {"filters": ["once_a_second_error"]},
        "chats.server.connections": {"filters": ["once_a_second"]},
    },
}
if LOG_FORMAT == "json":
    # uvicorn has already configured its loggers. Its lines are formatted as JSON too,
    # except those of requests, which chats.access logs with more details.
    LOGGING["loggers"] |= {
        "uvicorn": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        "uvicorn.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
        "chats.access": {"level": "INFO"},
    }
