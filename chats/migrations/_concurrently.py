"""Indexes made while the table stays in use."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations


class AddIndex(AddIndexConcurrently):
    """Make an index without keeping writers out; for migrations with atomic = False.

    Elsewhere than on PostgreSQL it is made as always.
    """

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        kind = _kind(schema_editor)
        kind.database_forwards(self, app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        kind = _kind(schema_editor)
        kind.database_backwards(self, app_label, schema_editor, from_state, to_state)


def _kind(schema_editor) -> type[migrations.AddIndex]:
    is_postgresql = schema_editor.connection.vendor == "postgresql"
    return AddIndexConcurrently if is_postgresql else migrations.AddIndex
