"""Drop the index of people that was kept on SQLite, with FTS5: they are few enough.

A release that wants it makes it at the end of its own ``migrate``.
"""

from django.db import OperationalError, migrations, transaction

TRIGGERS = ("user_search_insert", "user_search_update", "user_search_delete")
TABLES = ("user_search", "user_search_email", "user_search_number")


def drop(apps, schema_editor) -> None:
    if schema_editor.connection.vendor != "sqlite":
        return
    for name in TRIGGERS:
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}")
    try:
        with transaction.atomic(schema_editor.connection.alias):
            for name in TABLES:
                schema_editor.execute(f"DROP TABLE IF EXISTS {name}")
    except OperationalError as error:
        if not str(error).startswith("no such module"):
            raise  # an SQLite without FTS5 leaves the tables, which nothing uses


class Migration(migrations.Migration):
    dependencies = [("chats", "0018_started_conversation")]

    operations = [migrations.RunPython(drop, migrations.RunPython.noop)]
