"""Indexes made while the table stays in use."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations


class AddIndex(AddIndexConcurrently):
    """Make an index without keeping writers out; for migrations with atomic = False.

    Elsewhere than on PostgreSQL it is made as always.
    """

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        kind = _kind(schema_editor)
        with patient(schema_editor):
            kind.database_forwards(self, app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        kind = _kind(schema_editor)
        with patient(schema_editor):
            kind.database_backwards(
                self, app_label, schema_editor, from_state, to_state
            )


@contextmanager
def patient(schema_editor) -> Iterator[None]:
    """Wait for the transactions under way however long they take: an index given up
    in the middle stays behind, invalid. Nobody waits for this one meanwhile."""
    if schema_editor.connection.vendor != "postgresql":
        yield
        return
    schema_editor.execute("SET lock_timeout = 0")
    try:
        yield
    finally:
        schema_editor.execute("RESET lock_timeout")


def _kind(schema_editor) -> type[migrations.AddIndex]:
    is_postgresql = schema_editor.connection.vendor == "postgresql"
    return AddIndexConcurrently if is_postgresql else migrations.AddIndex
