"""Answers from rows: what follows from a serializer's fields."""

from uuid import UUID

import pytest
from rest_framework import serializers

from chats.models import Conversation, Message, User
from chats.serializers.messages import MessageSerializer
from chats.serializers.participants import ParticipantSerializer
from chats.serializers.rows import Part, RowSerializer, row_of
from chats.serializers.users import PublicUserSerializer
from tests.support.factories import send


class PersonSerializer(RowSerializer):
    initial = serializers.CharField(read_only=True)

    class Meta(RowSerializer.Meta):
        model = User
        fields = ("username", "initial")
        computed = {"initial": (lambda name: name[:1], "username")}
        once_by = "username"


def is_own(reader_id: UUID, cursor: int | None, sender_id: UUID) -> bool:
    return reader_id == sender_id


class NoteSerializer(RowSerializer):
    text = serializers.CharField(source="message_body", read_only=True)
    sender = PersonSerializer(read_only=True)
    is_own = serializers.BooleanField(read_only=True)

    class Meta(RowSerializer.Meta):
        model = Message
        fields = ("seq", "text", "sender", "is_own")
        of_reader = {"is_own": (is_own, "sender_id")}


loaded: list[list] = []


def notes_of(ids: list, reader_id: UUID | None) -> dict:
    loaded.append(ids)
    return {key: [note(1, "ann"), note(2, "ann")] for key in ids if key != "left"}


class BoardSerializer(RowSerializer):
    newest = NoteSerializer(source="last_message", read_only=True, allow_null=True)
    notes = NoteSerializer(many=True, read_only=True)

    class Meta(RowSerializer.Meta):
        model = Conversation
        fields = ("title", "newest", "notes")
        keys = ("owner_id",)
        parts = {"notes": Part(notes_of, when="last_seq", is_required=True)}


def note(seq: int, sender: str, at: str = "") -> dict:
    row = {"seq": seq, "message_body": f"No. {seq}", "sender_id": sender}
    row |= {"sender__username": sender, "last_read_seq": 0}
    return {f"{at}{name}": value for name, value in row.items()}


def board(key: str, *, last_seq: int = 2) -> dict:
    row = {"conversation_id": key, "title": key, "last_seq": last_seq}
    has_newest = {"last_message_id": last_seq or None, "last_read_seq": 0}
    return row | has_newest | note(last_seq, "bob", "last_message__")


@pytest.fixture(autouse=True)
def _nothing_loaded():
    loaded.clear()


def test_columns_are_those_of_the_fields_and_what_they_need():
    assert NoteSerializer.columns() == ("seq", "message_body", "sender__username")
    assert NoteSerializer.columns(for_reader=True) == (
        *("seq", "message_body", "sender__username", "last_read_seq", "sender_id"),
    )
    assert set(BoardSerializer.columns()) == {
        *("owner_id", "title", "conversation_id", "last_seq", "last_message_id"),
        *(f"last_message__{name}" for name in NoteSerializer.columns()),
    }


def test_what_differs_by_reader_is_for_a_reader_only():
    row = note(1, "ann") | {"last_read_seq": None}
    shown = {"seq": 1, "text": "No. 1", "sender": {"username": "ann", "initial": "a"}}

    assert NoteSerializer.render([row]) == [shown]
    assert NoteSerializer.render([row], "ann") == [shown | {"is_own": True}]
    assert NoteSerializer.render([row], "bob") == [shown | {"is_own": False}]


def test_row_that_an_answer_has_repeatedly_is_rendered_once():
    [one, two] = NoteSerializer.render([note(1, "ann"), note(2, "ann")])

    assert one["sender"] is two["sender"]


def test_related_row_that_is_not_there_is_null():
    [shown] = BoardSerializer.render([board("empty", last_seq=0)])

    assert shown == {"title": "empty", "newest": None, "notes": []}


def test_part_is_loaded_once_for_all_rows_that_have_any():
    rows = [board("one"), board("none", last_seq=0), board("two")]

    shown = BoardSerializer.render(rows)

    assert loaded == [["one", "two"]]
    assert [[item["seq"] for item in row["notes"]] for row in shown] == [
        [1, 2],
        [],
        [1, 2],
    ]
    assert [row["newest"] and row["newest"]["seq"] for row in shown] == [2, None, 2]


def test_reader_is_not_shown_a_row_that_lacks_a_required_part():
    rows = [board("one"), board("left")]

    assert [row["title"] for row in BoardSerializer.render(rows)] == ["one", "left"]
    assert [row["title"] for row in BoardSerializer.render(rows, "ann")] == ["one"]


def test_nothing_is_loaded_for_no_rows():
    assert BoardSerializer.render([]) == []
    assert loaded == []


def test_fields_of_the_base_class_come_from_its_relation():
    inherited = {f"user__{name}" for name in PublicUserSerializer.columns()}

    assert inherited < set(ParticipantSerializer.columns())
    assert type(ParticipantSerializer().fields["username"]) is type(
        PublicUserSerializer().fields["username"]
    )


def test_row_of_an_instance_is_that_of_the_database(alice, conversation):
    message = send(alice, conversation)
    columns = MessageSerializer.columns()

    assert row_of(message, columns) == Message.objects.values(*columns).get()
    assert row_of(message, ["last_read_seq"]) == {"last_read_seq": None}


class ShelfSerializer(RowSerializer):
    boards = BoardSerializer(many=True, read_only=True)

    class Meta(RowSerializer.Meta):
        model = User
        fields = ("username", "boards")
        parts = {"boards": Part(lambda ids, _: {key: [board(key)] for key in ids})}


def test_parts_of_a_part_are_loaded_for_all_of_it_at_once():
    rows = [{"user_id": name, "username": name} for name in ("ann", "bob")]

    shelves = ShelfSerializer.render(rows)

    assert loaded == [["ann", "bob"]]
    assert [len(shelf["boards"][0]["notes"]) for shelf in shelves] == [2, 2]
