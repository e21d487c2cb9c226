"""Strict parsers for values of settings; each raises ValueError for an invalid value.

They refuse at the start values that would otherwise fail later, at every call or
silently.
"""

import re
from email.utils import parseaddr
from ipaddress import IPv6Address
from string import Formatter
from typing import Any
from urllib.parse import urlsplit

NAME = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*", re.ASCII)
DEFAULT_PORTS = {"http": 80, "https": 443}
URL_SAFE = re.compile(r"[!-~]+", re.ASCII)  # no space, nothing outside ASCII


def require(condition: object) -> None:
    if not condition:
        raise ValueError


def host(value: str) -> str:
    """Return a pattern of ALLOWED_HOSTS: a name, ``.suffix``, an address or ``*``."""
    value = value.lower()
    if value.startswith("["):
        require(value.endswith("]") and IPv6Address(value[1:-1]))
    else:
        require(value == "*" or NAME.fullmatch(value.removeprefix(".")))
    return value


def origin(value: str) -> str:
    """Return the origin as browsers send it: lower case, without a default port."""
    return _origin(value, NAME)


def origin_pattern(value: str) -> str:
    """Return an origin as ``origin`` does; its first label may be ``*``."""
    return _origin(value, re.compile(rf"(\*\.)?{NAME.pattern}", re.ASCII))


def _origin(value: str, name: re.Pattern) -> str:
    parts = urlsplit(value)
    require(parts.scheme in DEFAULT_PORTS)
    require(not (parts.path or parts.query or parts.fragment or "@" in parts.netloc))
    place = parts.hostname or ""
    if ":" in place:
        place = f"[{IPv6Address(place)}]"
    else:
        require(name.fullmatch(place))
    is_default = parts.port in {None, DEFAULT_PORTS[parts.scheme]}
    return f"{parts.scheme}://{place}" + ("" if is_default else f":{parts.port}")


def token(value: str) -> str:
    """Return a secret that fits into an Authorization header."""
    require(len(value) >= 16 and URL_SAFE.fullmatch(value))
    return value


def reset_link(value: str) -> str:
    """Return a URL with the format fields ``{uid}`` and ``{token}``, once each."""
    parts = [part[1:] for part in Formatter().parse(value) if part[1] is not None]
    require(sorted(parts) == [("token", "", None), ("uid", "", None)])
    link = value.format(uid="uid", token="token")  # noqa: S106 (a field's name)
    require(URL_SAFE.fullmatch(link) and urlsplit(link).scheme and ":/" in link)
    return value


def sender(value: str) -> str:
    """Return an e-mail address, with or without a name: ``Chat <chat@example.org>``."""
    from django.core.exceptions import ValidationError
    from django.core.validators import validate_email

    require(value.isprintable())
    try:
        validate_email(parseaddr(value)[1])
    except ValidationError as error:
        raise ValueError from error
    return value


def mail_server(config: dict[str, Any]) -> None:
    """Require a complete configuration, as parsed by django-environ."""
    require(not config.get("OPTIONS"))  # Django would ignore them
    if config["EMAIL_BACKEND"].endswith("smtp.EmailBackend"):
        require(config["EMAIL_HOST"])
        require(not (config.get("EMAIL_USE_TLS") and config.get("EMAIL_USE_SSL")))
    elif config["EMAIL_BACKEND"].endswith("filebased.EmailBackend"):
        require(config["EMAIL_FILE_PATH"])


def web_or_mail(value: str) -> str:
    """Return a URI that begins ``https:``, ``mailto:`` or ``tel:``."""
    parts = urlsplit(value)
    require(URL_SAFE.fullmatch(value) and parts.scheme in {"https", "mailto", "tel"})
    require(parts.netloc if parts.scheme == "https" else parts.path)
    return value


def redis_url(value: str) -> str:
    """Return the URL of a cache, or several URLs, if the driver accepts them."""
    for url in re.split("[;,]", value):
        _try_redis(url)
    return value


def _try_redis(url: str) -> None:
    import redis

    parts = urlsplit(url)
    require(parts.scheme in {"redis", "rediss", "unix"})
    if parts.scheme == "unix":
        require(parts.path)
    else:
        # The driver would use database 0 for a path that is not a number.
        require(re.fullmatch(r"/?[0-9]*", parts.path, re.ASCII))
    try:
        redis.ConnectionPool.from_url(url).make_connection()
    except (TypeError, redis.RedisError) as error:  # options it does not know
        raise ValueError from error


# --- Databases ----------------------------------------------------------------

# Django's settings that a URL may have besides PLACE. All others would break
# assumptions of the application.
CONNECTION_OPTIONS = {
    "CONN_MAX_AGE",
    "CONN_HEALTH_CHECKS",
    "DISABLE_SERVER_SIDE_CURSORS",
}
PLACE = {"ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS"}
SQLITE_OPTIONS = {"timeout", "cached_statements", "init_command", "transaction_mode"}
DJANGO_OPTIONS = {"assume_role", "server_side_binding", "prepare_threshold"}
ENCODING = "client_encoding"  # always UTF-8


def sqlite_database(config: dict[str, Any]) -> None:
    """Require a configuration whose options SQLite's driver accepts."""
    options = _options(config)
    require(options.keys() <= SQLITE_OPTIONS)
    _require_number(options, "timeout", "cached_statements")


def postgresql_database(config: dict[str, Any]) -> None:
    """Require a configuration whose hosts, ports and options libpq accepts."""
    from psycopg import pq

    options = _options(config)
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    ours = {name: options[name] for name in options if name not in DJANGO_OPTIONS}
    require(ours.keys() <= known - {ENCODING})
    _require_number(
        options, "server_side_binding", "prepare_threshold", "connect_timeout"
    )
    _require_places(str(config["HOST"]).split(","), str(config["PORT"] or 5432))
    _require_values(ours)


def _require_places(hosts: list[str], given: str) -> None:
    ports = given.split(",")
    require(all(":" not in name or IPv6Address(name) for name in hosts))
    require(all(re.fullmatch("[0-9]{1,5}", port) for port in ports))
    require(all(0 < int(port) < 65536 for port in ports))
    require(len(ports) in {1, len(hosts)})


def postgresql_url(value: str) -> str:
    """Return a connection URI in libpq's format."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    require(urlsplit(value).scheme in {"postgres", "postgresql"})
    try:
        require(conninfo_to_dict(value).get("dbname"))
    except psycopg.Error as error:
        raise ValueError from error
    return value


def _options(config: dict[str, Any]) -> dict[str, Any]:
    require(config.keys() <= PLACE | CONNECTION_OPTIONS)
    _require_number(config, *CONNECTION_OPTIONS)
    return config.get("OPTIONS", {})


def _require_number(values: dict[str, Any], *names: str) -> None:
    given = (values[name] for name in names if name in values)
    require(all(isinstance(value, int | float) and value >= 0 for value in given))


def _require_values(options: dict[str, Any]) -> None:
    """Let libpq validate the options, by a connection to a socket that does not exist.

    It validates them before connecting; the message for a wrong one is "invalid …".
    """
    from psycopg import pq
    from psycopg.conninfo import make_conninfo

    other = {
        name: options[name] for name in options if name not in {"host", "hostaddr"}
    }
    conninfo = make_conninfo("", **other | {"host": "/nowhere", "dbname": "x"})
    connection = pq.PGconn.connect_start(conninfo.encode())
    error = connection.error_message
    connection.finish()
    require(not error.startswith(b"invalid"))
