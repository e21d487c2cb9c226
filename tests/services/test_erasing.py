"""Conversations of many messages: gone at once, erased in pieces."""

from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chats.admin.activity.pages import activity_for
from chats.models import Conversation, Event, Message, Participant
from chats.services import conversations, erasing, pacing, staff
from chats.services.erasing import erase_batch
from chats.services.transfer import export_conversation, import_conversation
from chats.web.exceptions import Conflict, NotFound
from tests.support.admin import list_of, listed, signed_in
from tests.support.exports import lines_of
from tests.support.factories import send, start


@pytest.fixture
def few(monkeypatch) -> None:
    """More than two messages are many."""
    monkeypatch.setattr(erasing, "BATCH", 2)


@pytest.fixture
def deleted(few, alice, bob) -> Conversation:
    """A conversation of alice's with bob: five messages, deleted and not erased."""
    place = start(alice, bob, title="Secret plans")
    for number in range(5):
        send(bob, place, f"Needle {number}")
    conversations.delete_conversation(alice, place.pk)
    return place


def seqs() -> list[int]:
    return list(Message.objects.order_by("seq").values_list("seq", flat=True))


def test_deleted_conversation_is_emptied_of_all_but_its_messages(deleted):
    row = Conversation.objects.get()
    kept = (row.title, row.owner_id, row.participant_count, row.deleted_at is None)
    assert kept == ("", None, 0, False)
    assert not Participant.objects.exists()
    assert seqs() == [1, 2, 3, 4, 5]


def test_small_conversation_is_deleted_at_once(few, alice, bob):
    place = start(alice, bob)
    send(bob, place)
    send(bob, place)

    conversations.delete_conversation(alice, place.pk)

    assert not Conversation.objects.exists()
    assert not Message.objects.exists()


ROUTES = [
    ("get", "/api/conversations/{place}/", None),
    ("patch", "/api/conversations/{place}/", {"title": "x"}),
    ("delete", "/api/conversations/{place}/", None),
    ("post", "/api/conversations/{place}/typing/", None),
    ("get", "/api/conversations/{place}/participants/", None),
    ("get", "/api/messages/{message}/", None),
    ("patch", "/api/messages/{message}/", {"message_body": "x"}),
    ("delete", "/api/messages/{message}/", None),
    ("post", "/api/messages/{message}/mark_as_read/", None),
    ("get", "/api/messages/by_conversation/?conversation_id={place}", None),
]


@pytest.mark.parametrize(("method", "url", "body"), ROUTES)
def test_deleted_conversation_is_404_everywhere(method, url, body, as_bob, deleted):
    ids = {"place": deleted.pk, "message": Message.objects.first().pk}

    response = getattr(as_bob, method)(url.format(**ids), body)

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "url",
    [
        "/api/conversations/",
        "/api/conversations/?search=secret",
        "/api/messages/",
        "/api/messages/?search=needle",
        "/api/messages/?conversation_id={place}",
        "/api/messages/?conversation_id={place}&search=needle",
    ],
)
def test_deleted_conversation_is_in_no_list(url, as_bob, deleted):
    found = as_bob.get(url.format(place=deleted.pk)).json()
    assert found == {"next": None, "previous": None, "results": []}


def test_deleted_conversation_takes_no_message(as_bob, deleted):
    body = {"conversation": str(deleted.pk), "message_body": "Still here?"}
    response = as_bob.post("/api/messages/", body)
    assert response.json() == {
        "conversation": [f"Conversation {deleted.pk} does not exist."]
    }


def test_events_of_a_deleted_conversation_show_its_deletion_alone(as_bob, deleted):
    page = as_bob.get("/api/events/?after=1-0").json()
    assert [event["type"] for event in page["events"]] == ["conversation.deleted"]


def test_deleted_conversation_is_in_no_export(bob, as_bob, deleted):
    as_bob.force_authenticate(None)
    as_bob.force_login(bob)
    found = {line["type"] for line in lines_of(as_bob.get("/api/users/me/export/"))}
    assert found.isdisjoint({"conversation", "participant", "message"})
    with pytest.raises(NotFound):
        list(export_conversation(deleted.pk))


def test_staff_see_nothing_of_a_deleted_conversation(boss, deleted):
    client, message = signed_in(boss), Message.objects.first()

    assert listed(client.get(list_of("conversation"))) == []
    assert listed(client.get(list_of("message"))) == []
    assert listed(client.get(list_of("message"), {"q": "needle"})) == []
    for model, key in (("conversation", deleted.pk), ("message", message.pk)):
        page = client.get(f"/admin/chats/{model}/{key}/change/")
        assert (page.status_code, page.url) == (302, "/admin/")
    assert activity_for(boss)["busiest"] == []


@pytest.mark.parametrize(
    "act",
    [
        lambda place, boss: staff.rename_as_staff(place, title="x", actor=boss),
        lambda place, boss: staff.delete_as_staff(place, actor=boss),
        lambda place, boss: staff.add_as_staff(place, user_id=boss.pk, actor=boss),
    ],
)
def test_staff_can_do_nothing_to_a_deleted_conversation(act, boss, deleted):
    with pytest.raises(NotFound):
        act(deleted, boss)


def test_chart_of_a_person_leaves_out_what_is_being_erased(boss, bob, deleted):
    page = signed_in(boss).get(f"/admin/chats/user/{bob.pk}/change/")
    assert b"0 in total; " in page.content


def test_deletion_by_staff_is_in_pieces_too(few, boss, alice):
    place = start(alice)
    for _ in range(3):
        send(alice, place)

    staff.delete_as_staff(place, actor=boss)

    assert seqs() == [1, 2, 3]
    assert not Conversation.objects.kept().exists()


def test_erasing_goes_by_short_transactions_and_ends_with_the_row(deleted):
    steps = [(erase_batch(2), seqs()) for _ in range(4)]

    assert steps == [(2, [3, 4, 5]), (2, [5]), (2, []), (0, [])]
    assert not Conversation.objects.exists()


def test_erasing_leaves_what_is_not_deleted(deleted, alice, conversation):
    send(alice, conversation)

    while erase_batch(2):
        pass

    assert list(Conversation.objects.all()) == [conversation]
    assert Message.objects.get().conversation == conversation


def test_statement_of_a_batch_deletes_by_the_index_of_seq(deleted):
    with CaptureQueriesContext(connection) as captured:
        erase_batch(2)
    [delete] = [q["sql"] for q in captured if q["sql"].startswith("DELETE")]
    assert "conversation_id" in delete
    assert '"seq" <=' in delete


def test_prune_deleted_erases_what_is_left(deleted):
    out = StringIO()

    call_command("prune_deleted", stdout=out, verbosity=0)
    call_command("prune_deleted", stdout=out, verbosity=0)

    assert out.getvalue() == "6 rows deleted.\n0 rows deleted.\n"
    assert not Message.objects.exists()


def test_deleted_conversation_comes_back_only_when_it_is_erased(few, alice):
    place = start(alice)
    for _ in range(3):
        send(alice, place)
    lines = list(export_conversation(place.pk))
    conversations.delete_conversation(alice, place.pk)

    with pytest.raises(Conflict, match="prune_deleted"):
        import_conversation(lines)
    call_command("prune_deleted", stdout=StringIO(), verbosity=0)
    import_conversation(lines)

    assert seqs() == [1, 2, 3]


@pytest.fixture
def impatient(monkeypatch) -> Callable[[], None]:
    """No pauses. Return what waits until the worker has nothing more to do."""
    monkeypatch.setattr(pacing, "LONGEST", 0)
    monkeypatch.setattr(erasing, "BATCH", 2)

    def wait() -> None:
        for _ in range(10):
            erasing._worker.submit(int).result()

    return wait


@pytest.mark.django_db(transaction=True)
def test_deletion_is_followed_by_the_erasure_in_the_background(impatient, alice, bob):
    unfinished = start(alice, bob)
    place = start(alice, bob)
    for where in (unfinished, place):
        for _ in range(5):
            send(bob, where)
    # What a process that was killed in between leaves behind.
    Participant.objects.filter(conversation=unfinished).delete()
    Conversation.objects.filter(pk=unfinished.pk).update(
        owner=None, title="", participant_count=0, deleted_at=timezone.now()
    )

    conversations.delete_conversation(alice, place.pk)
    impatient()

    assert not Message.objects.exists()
    assert not Conversation.objects.exists()
    assert Event.objects.filter(type="conversation.deleted").count() == 1


def test_turns_end_when_there_is_nothing_left_and_pause_in_between(monkeypatch):
    pauses, steps = [], iter([3, 2, 0])
    monkeypatch.setattr(pacing, "sleep", pauses.append)

    assert list(pacing.in_turns(lambda: next(steps))) == [3, 2]
    assert len(pauses) == 2
    assert all(0 <= pause <= pacing.LONGEST for pause in pauses)
