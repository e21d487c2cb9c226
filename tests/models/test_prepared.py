"""Prepared statements: what the ORM does, compiled once."""

from django.db import models

from chats.db.prepared import Param, Prepared, insert
from chats.models import Conversation, Event, EventLog


def test_key_stays_where_the_database_returns_other_columns(db):
    """A column with a default of the database's comes back after an insert, too."""
    row = EventLog(pk=1, identity="abc", pruned_through_id=7)

    Prepared(lambda: insert(EventLog)).store(row)

    assert (row.pk, row.identity) == (1, "abc")
    assert EventLog.objects.values_list().get() == (1, "abc", 7)


def test_key_that_the_database_gives_is_taken(db, conversation):
    event = Event(type=Event.Type.READ_UPDATED, conversation_id=conversation.pk)

    Event.objects.append(event)

    assert event.pk == Event.objects.latest("pk").pk


def test_values_have_their_names_wherever_an_annotation_stands(alice, conversation):
    names = ("title", "last_read_seq", "conversation_id", "has_unread", "last_seq")
    reader = Param("reader_id", models.UUIDField())

    mine = Prepared(lambda: Conversation.objects.visible_to(reader).values(*names))

    expected = Conversation.objects.visible_to(alice).values(*names)
    assert mine.rows(reader_id=alice.pk) == list(expected)
