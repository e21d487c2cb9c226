"""Bulk loading: millions of rows in minutes, without the ORM.

Django must be set up. The columns come from the models, so a new column with a default
needs no change here. Callers name the columns that differ from row to row.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice

from django.db import connection, models

BATCH = 20_000  # rows between two calls of the driver
# Durability does not matter, because the data can be loaded again. The cache is for the
# indexes.
RELAXED = ("journal_mode = OFF", "synchronous = OFF", "foreign_keys = OFF")
RELAXED += ("cache_size = -1000000", "temp_store = MEMORY")

Row = tuple[object, ...]


def stored(moment: datetime) -> str:
    """Return a time in UTC as text in the form that the database expects."""
    text = str(moment.replace(tzinfo=None))
    return f"{text}+00" if connection.vendor == "postgresql" else text


def write(model: type[models.Model], names: Iterable[str], rows: Iterable[Row]) -> None:
    """Store rows of these columns, which are given by attribute name.

    The values must be in the driver's form. Every other column gets its default, which
    is computed once for all rows; the database generates automatic keys.
    """
    names = list(names)
    fields = {field.attname: field for field in model._meta.concrete_fields}
    others = [
        field
        for name, field in fields.items()
        if name not in names and not isinstance(field, models.AutoField)
    ]
    columns = [fields[name].column for name in names]
    columns += [field.column for field in others]
    default = tuple(_default(field) for field in others)
    whole = (row + default for row in rows) if default else rows
    _insert(model._meta.db_table, columns, whole)


def _default(field: models.Field) -> object:
    value = field.pre_save(field.model(), add=True)
    return field.get_db_prep_save(value, connection)


def _insert(table: str, columns: list[str], rows: Iterable[Row]) -> None:
    listed = ", ".join(f'"{column}"' for column in columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f'COPY "{table}" ({listed}) FROM STDIN') as copy:
                for row in rows:
                    copy.write_row(row)
            return
        places = ", ".join("?" * len(columns))
        statement = f'INSERT INTO "{table}" ({listed}) VALUES ({places})'
        rows = iter(rows)
        while batch := list(islice(rows, BATCH)):
            # The driver's own method: Django's would look for "%s" in the statement.
            connection.connection.executemany(statement, batch)


@contextmanager
def indexes_afterwards(*tables: str) -> Iterator[None]:
    """Drop the tables' indexes and constraints, and create them again at the end.

    Building an index from all rows is much faster than growing it by random ones, and a
    foreign key is then checked by one join. Parts of a table's definition stay: the
    primary key and, on SQLite, unique constraints.
    """
    with connection.cursor() as cursor:
        find = _of_postgres if connection.vendor == "postgresql" else _of_sqlite
        dropped = [pair for table in tables for pair in find(cursor, table)]
        for drop, _ in dropped:
            cursor.execute(drop)
        yield
        for _, create in reversed(dropped):
            cursor.execute(create)


def _of_sqlite(cursor, table: str) -> list[tuple[str, str]]:
    cursor.execute(
        "SELECT name, sql FROM sqlite_master"
        " WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = %s",
        [table],
    )
    return [(f'DROP INDEX "{name}"', sql) for name, sql in cursor.fetchall()]


def _of_postgres(cursor, table: str) -> list[tuple[str, str]]:
    """Return the statements; foreign keys come first, because they need indexes."""
    cursor.execute(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = %s::regclass AND contype IN ('f', 'u') ORDER BY contype",
        [table],
    )
    alter = f'ALTER TABLE "{table}"'
    pairs = [
        (f'{alter} DROP CONSTRAINT "{name}"', f'{alter} ADD CONSTRAINT "{name}" {how}')
        for name, how in cursor.fetchall()
    ]
    cursor.execute(
        "SELECT indexrelid::regclass, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid = %s::regclass AND NOT EXISTS"
        " (SELECT FROM pg_constraint WHERE conindid = indexrelid)",
        [table],
    )
    return pairs + [(f"DROP INDEX {name}", sql) for name, sql in cursor.fetchall()]


@contextmanager
def relaxed() -> Iterator[None]:
    """Relax durability for loading; for a connection that nothing else uses."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET synchronous_commit = off")
            cursor.execute("SET maintenance_work_mem = '512MB'")
        else:
            for pragma in RELAXED:
                cursor.execute(f"PRAGMA {pragma}")
        yield
        if connection.vendor == "postgresql":
            # As autovacuum would do later. SQLite has no autovacuum.
            cursor.execute("VACUUM ANALYZE")
