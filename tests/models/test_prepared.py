"""Prepared inserts."""

from chats.db.prepared import Prepared, insert
from chats.models import Event, EventLog


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
