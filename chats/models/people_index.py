"""SQLite's index of people, in which a search finds them: FTS5, by trigrams.

Triggers keep it, and a person's row pays for it only where a name or the e-mail
changes. Django drops them whenever it makes a table anew, so the index is no part of
a migration: it is looked after at the end of every ``migrate`` (``chats.apps``).
"""

from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections, transaction

# Rows of the index have a number: rowids of chats_user do not outlive a VACUUM.
NUMBERS = """CREATE TABLE user_search_number (
    number INTEGER PRIMARY KEY, user_id char(32) NOT NULL UNIQUE
)"""
NAMES = """CREATE VIRTUAL TABLE user_search USING fts5(
    username, first_name, last_name, tokenize = 'trigram'
)"""
# By itself: how long a search of names takes must tell nothing of e-mails.
EMAILS = """CREATE VIRTUAL TABLE user_search_email USING fts5(
    email, tokenize = 'trigram'
)"""
NUMBER = "(SELECT number FROM user_search_number WHERE user_id = {}.user_id)"
OF_NEW, OF_OLD = NUMBER.format("NEW"), NUMBER.format("OLD")
TRIGGERS = {
    "user_search_insert": f"""CREATE TRIGGER user_search_insert
AFTER INSERT ON chats_user BEGIN
    INSERT INTO user_search_number (user_id) VALUES (NEW.user_id);
    INSERT INTO user_search (rowid, username, first_name, last_name)
    VALUES ({OF_NEW}, NEW.username, NEW.first_name, NEW.last_name);
    INSERT INTO user_search_email (rowid, email) VALUES ({OF_NEW}, NEW.email);
END""",
    # An ordinary save() writes all columns, whatever has changed.
    "user_search_update": f"""CREATE TRIGGER user_search_update
AFTER UPDATE OF username, first_name, last_name, email ON chats_user
WHEN (OLD.username, OLD.first_name, OLD.last_name, OLD.email)
    IS NOT (NEW.username, NEW.first_name, NEW.last_name, NEW.email) BEGIN
    UPDATE user_search SET username = NEW.username, first_name = NEW.first_name,
        last_name = NEW.last_name WHERE rowid = {OF_NEW};
    UPDATE user_search_email SET email = NEW.email WHERE rowid = {OF_NEW};
END""",
    "user_search_delete": f"""CREATE TRIGGER user_search_delete
AFTER DELETE ON chats_user BEGIN
    DELETE FROM user_search WHERE rowid = {OF_OLD};
    DELETE FROM user_search_email WHERE rowid = {OF_OLD};
    DELETE FROM user_search_number WHERE user_id = OLD.user_id;
END""",
}
FILL = (
    "INSERT INTO user_search_number (user_id) SELECT user_id FROM chats_user",
    "INSERT INTO user_search (rowid, username, first_name, last_name)"
    " SELECT number, username, first_name, last_name"
    " FROM user_search_number JOIN chats_user USING (user_id)",
    "INSERT INTO user_search_email (rowid, email) SELECT number, email"
    " FROM user_search_number JOIN chats_user USING (user_id)",
    # In one piece, which those who sign up would have to join else.
    "INSERT INTO user_search (user_search) VALUES ('optimize')",
    "INSERT INTO user_search_email (user_search_email) VALUES ('optimize')",
)
TABLES = ("user_search", "user_search_email", "user_search_number")

PEOPLE = """
SELECT user_id FROM {index}
CROSS JOIN user_search_number ON number = {index}.rowid
WHERE {index} MATCH %s LIMIT %s
"""


def is_whole(using: str = DEFAULT_DB_ALIAS) -> bool:
    """Tell whether the index and its triggers are there, and SQLite can read it."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT sql FROM sqlite_master")
        present = {sql for (sql,) in cursor.fetchall()}
        if not {NUMBERS, NAMES, EMAILS, *TRIGGERS.values()} <= present:
            return False
        try:
            cursor.execute("SELECT rowid FROM user_search LIMIT 1")
        except OperationalError as error:
            if not _is_missing(error):
                raise
            return False  # another SQLite made it, one with FTS5
    return True


def make(using: str, **_: Any) -> None:
    """Make the index, unless it is whole; without FTS5's trigrams, do without.

    The triggers go in any case: with them, but no FTS5, nobody could sign up.
    """
    if connections[using].vendor != "sqlite" or is_whole(using):
        return
    with transaction.atomic(using), connections[using].cursor() as cursor:
        for name in TRIGGERS:
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
        try:
            with transaction.atomic(using):
                for name in TABLES:
                    cursor.execute(f"DROP TABLE IF EXISTS {name}")
                for statement in (NUMBERS, NAMES, EMAILS, *FILL, *TRIGGERS.values()):
                    cursor.execute(statement)
        except OperationalError as error:
            if not _is_missing(error):  # chats.W005 tells of it
                raise


def _is_missing(error: OperationalError) -> bool:
    """Tell whether it is about a module, a tokenizer or a table that is not there."""
    return str(error).startswith("no such")


def is_indexed(text: str) -> bool:
    """Tell whether the index has what a search finds with this text.

    What is shorter has no trigram. And at a NUL, the index takes the text to end.
    """
    return len(text) >= 3 and "\0" not in text


def find(text: str, most: int, *, with_email: bool) -> list[UUID] | None:
    """Return the people with the text, and maybe others; None if more than ``most``."""
    phrase = '"' + text.replace('"', '""') + '"'
    keys = set()
    indexes = ("user_search", "user_search_email") if with_email else ("user_search",)
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        for index in indexes:
            cursor.execute(PEOPLE.format(index=index), [phrase, most + 1])
            keys.update(cursor.fetchall())
            if len(keys) > most:
                return None
    return [UUID(key) for (key,) in keys]
