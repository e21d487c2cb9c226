"""Copying a whole database into another one, from SQLite to PostgreSQL or back.

Rows are read and written as Python values: times keep their microseconds, and each
database stores them in its own format.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from graphlib import TopologicalSorter
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import environ
import orjson
from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import DEFAULT_DB_ALIAS, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import load_backend

from chats.management.doctor.snapshots import snapshot
from chats.models import Event, EventLog, TypingSignal

SOURCE = "source"
BATCH = 5000  # rows in memory, and in one statement
# Rows that ``migrate`` creates: replaced by those of the source, with their ids.
GIVEN = {ContentType, Permission, EventLog}

Model = type[models.Model]


class CopyError(Exception):
    """The copy was not made; the target is unchanged."""


class Sum(NamedTuple):
    """The number of rows, and the sum of their hashes, whatever their order."""

    rows: int = 0
    hashes: int = 0

    def add(self, rows: Iterable[tuple]) -> "Sum":
        count, total = self
        for row in rows:
            count, total = count + 1, (total + hash(row)) & (2**64 - 1)
        return Sum(count, total)


@contextmanager
def connected(url: str) -> Iterator[None]:
    """Connect the database of ``url`` as the alias SOURCE; raises CopyError."""
    database = _settings_of(url)
    backend = load_backend(database["ENGINE"])
    connections[SOURCE] = backend.DatabaseWrapper(database, SOURCE)
    try:
        yield
    finally:
        connections[SOURCE].close()
        del connections[SOURCE]


def _settings_of(url: str) -> dict[str, Any]:
    try:
        if urlsplit(url).scheme not in {"sqlite", "postgres", "postgresql"}:
            raise ValueError
        config = environ.Env.db_url_config(url)
    except ValueError as error:
        raise CopyError("--from must be a URL, in the form of DATABASE_URL.") from error
    is_sqlite = config["ENGINE"].endswith("sqlite3")
    if is_sqlite and not Path(config["NAME"]).is_file():
        raise CopyError(f"The file {config['NAME']} does not exist.")
    config["ENGINE"] = "chats.db.sqlite3" if is_sqlite else "chats.db.postgresql"
    both = {DEFAULT_DB_ALIAS: connections.settings[DEFAULT_DB_ALIAS], SOURCE: config}
    return connections.configure_settings(both)[SOURCE]


# --- What is copied --------------------------------------------------------------


def copied_models() -> list[Model]:
    """Return the models with a table, each after those that it refers to.

    Except typing signals, which are short-lived, and the table of migrations, which the
    target has already.
    """
    found = [
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy and model is not TypingSignal
    ]
    needed = {model: _needed_by(model) for model in found}
    return list(TopologicalSorter(needed).static_order())


def _needed_by(model: Model) -> set[Model]:
    return {
        field.related_model
        for field in model._meta.concrete_fields
        if field.is_relation and field.db_constraint and field.related_model != model
    }


def _columns(model: Model) -> list[models.Field]:
    return list(model._meta.concrete_fields)


def _batches(model: Model, using: str) -> Iterator[list[tuple]]:
    rows = _rows(model, using)
    while batch := list(islice(rows, BATCH)):
        yield batch


def _rows(model: Model, using: str) -> Iterator[tuple]:
    names = [field.attname for field in _columns(model)]
    rows = model._base_manager.using(using).order_by().values_list(*names)
    has_json = any(isinstance(field, models.JSONField) for field in _columns(model))
    found = rows.iterator(chunk_size=BATCH)
    return map(_hashable, found) if has_json else found


def _hashable(row: tuple) -> tuple:
    """Return the row with JSON as text: lists and objects cannot be hashed."""
    return tuple(
        orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
        if isinstance(value, dict | list)
        else value
        for value in row
    )


# --- Before ----------------------------------------------------------------------


def require_copyable() -> int:
    """Return the number of rows of the source.

    Raises CopyError unless both databases have the schema of this release, and the
    target has no rows of its own.
    """
    for alias in (SOURCE, DEFAULT_DB_ALIAS):
        executor = MigrationExecutor(connections[alias])
        loader = executor.loader
        unknown = loader.applied_migrations.keys() - loader.disk_migrations.keys()
        if unknown or executor.migration_plan(loader.graph.leaf_nodes()):
            raise CopyError(
                f"The {'source' if alias == SOURCE else 'target'}'s schema is not the "
                "one of this release: run `manage.py migrate` on it first."
            )
    for model in copied_models():
        if model not in GIVEN and model._base_manager.exists():
            table = model._meta.db_table
            raise CopyError(f"The target is not empty: {table} has rows.")
    return sum(model._base_manager.using(SOURCE).count() for model in copied_models())


# --- The copy ----------------------------------------------------------------------


def copy_all(advance: Callable[[int], Any]) -> dict[Model, Sum]:
    """Copy every row in one transaction, from one snapshot; return what was read.

    Raises CopyError, or DatabaseError for values that the target cannot store.
    ``advance`` is called for each batch of rows, when it is written and when it is read
    again.
    """
    target = connections[DEFAULT_DB_ALIAS]
    with transaction.atomic():
        with snapshot(SOURCE):
            _clear(target)
            sums = {model: _copy(model, target, advance) for model in copied_models()}
            _continue_numbers(target)
        for model, expected in sums.items():
            found = Sum()
            for batch in _batches(model, DEFAULT_DB_ALIAS):
                found = found.add(batch)
                advance(len(batch))
            if found != expected:
                raise CopyError(f"{model._meta.db_table} is not what was read.")
        EventLog.renew()
    return sums


def _clear(target: BaseDatabaseWrapper) -> None:
    """Delete the rows that ``migrate`` created.

    On PostgreSQL references are then checked by each statement: to check all of them at
    the commit would take memory for each row.
    """
    with target.cursor() as cursor:
        if target.vendor == "postgresql":
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for model in reversed(copied_models()):
            if model in GIVEN:
                cursor.execute(f"DELETE FROM {model._meta.db_table}")


def _copy(model: Model, target: BaseDatabaseWrapper, advance: Callable) -> Sum:
    write = _write_by_copy if target.vendor == "postgresql" else _write_by_insert
    fields, total = _columns(model), Sum()
    for batch in _batches(model, SOURCE):
        if target.vendor == "postgresql":
            _require_no_nul(model, batch)
        rows = (
            [
                field.get_db_prep_save(value, connection=target)
                for field, value in zip(fields, row, strict=True)
            ]
            for row in batch
        )
        write(model, target, rows)
        total = total.add(batch)
        advance(len(batch))
    return total


def _require_no_nul(model: Model, batch: Iterable[tuple]) -> None:
    for row in batch:
        for field, value in zip(_columns(model), row, strict=True):
            if isinstance(value, str) and "\0" in value:
                raise CopyError(
                    f"{field.attname} of {model._meta.db_table} {row[0]} contains a "
                    "NUL, which PostgreSQL cannot store: change it in the source."
                )


def _names(model: Model, target: BaseDatabaseWrapper) -> tuple[str, str]:
    quote = target.ops.quote_name
    columns = ", ".join(quote(field.column) for field in _columns(model))
    return quote(model._meta.db_table), columns


def _write_by_copy(model: Model, target: BaseDatabaseWrapper, rows: Iterable) -> None:
    table, columns = _names(model, target)
    with (
        target.cursor() as cursor,
        target.wrap_database_errors,
        cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row(row)


def _write_by_insert(model: Model, target: BaseDatabaseWrapper, rows: Iterable) -> None:
    table, columns = _names(model, target)
    places = ", ".join(["%s"] * len(_columns(model)))
    with target.cursor() as cursor:
        sql = f"INSERT INTO {table} ({columns}) VALUES ({places})"
        cursor.executemany(sql, list(rows))


# --- Numbers given by the database -------------------------------------------------


def _continue_numbers(target: BaseDatabaseWrapper) -> None:
    """Make the target continue after the largest id that the source has assigned.

    Also to rows that are now deleted: clients keep the ids of events as cursors.
    """
    for model in copied_models():
        if isinstance(model._meta.pk, models.AutoField):
            last = _last_number(model)
            if model is Event:
                last = max(last, EventLog.pruned_through())
            if last:
                _set_last_number(model, target, last)


def _last_number(model: Model) -> int:
    table, source = model._meta.db_table, connections[SOURCE]
    with source.cursor() as cursor:
        if source.vendor == "sqlite":
            cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        else:
            sequence = "pg_get_serial_sequence(%s, %s)::regclass"
            cursor.execute(
                f"SELECT pg_sequence_last_value({sequence})",
                [source.ops.quote_name(table), model._meta.pk.column],
            )
        found = cursor.fetchone()
    return (found and found[0]) or 0


def _set_last_number(model: Model, target: BaseDatabaseWrapper, last: int) -> None:
    table = model._meta.db_table
    with target.cursor() as cursor:
        if target.vendor == "sqlite":
            cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [table])
            cursor.execute(
                "INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table, last]
            )
            return
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence(%s, %s), %s)",
            [target.ops.quote_name(table), model._meta.pk.column, last],
        )
