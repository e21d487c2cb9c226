"""Indexes for search, on PostgreSQL with its extensions pg_trgm and btree_gin.

Where they are missing, or may not be created, the search does without: docs/search.md
says how the indexes are made later.
"""

from django.db import Error, ProgrammingError, migrations, transaction

from chats.migrations._concurrently import patient

EXTENSIONS = ("pg_trgm", "btree_gin")

# The pending list is as short as it can be: a search reads all of it, and the send
# that fills it sorts it into the index. Without one, each send would do that alone,
# at more than twice the cost.
MESSAGES = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS message_search ON chats_message USING gin (
    (conversation_id::text || (seq >> 16)::text),
    (upper(message_body) || '') gin_trgm_ops
) WITH (gin_pending_list_limit = 64)
"""
PEOPLE = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS user_search ON chats_user USING gin (
    upper(username || E'\\n' || first_name || E'\\n' || last_name) gin_trgm_ops,
    (upper(email) || '') gin_trgm_ops
) WITH (gin_pending_list_limit = 64)
"""


def forwards(apps, schema_editor) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    try:
        with transaction.atomic():
            for name in EXTENSIONS:
                schema_editor.execute(f"CREATE EXTENSION IF NOT EXISTS {name}")
    except Error as error:
        tell(error)
        return
    try:
        with patient(schema_editor):
            for name in broken_off(schema_editor):
                schema_editor.execute(f"DROP INDEX CONCURRENTLY {name}")
            for statement in (MESSAGES, PEOPLE):
                schema_editor.execute(statement)
    except ProgrammingError as error:  # an extension in a schema not looked into
        tell(error)


def tell(error: Error) -> None:
    print(f"\n    Search goes without an index (docs/search.md): {error}", end="")


def broken_off(schema_editor) -> list[str]:
    """Return those of the indexes whose making was broken off: they stay, invalid."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
            " AND indexrelid IN (to_regclass('message_search'),"
            " to_regclass('user_search'))"
        )
        return [name for (name,) in cursor.fetchall()]


def backwards(apps, schema_editor) -> None:
    """Drop the indexes; the extensions, which others may use, stay."""
    if schema_editor.connection.vendor == "postgresql":
        with patient(schema_editor):
            for name in ("message_search", "user_search"):
                schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("chats", "0011_audit_groups_and_new_accounts")]

    operations = [migrations.RunPython(forwards, backwards)]
