"""Many at once: real threads, each with a connection and transactions of its own."""

import contextlib
import random
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from threading import Barrier
from threading import Event as Signal
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from rest_framework.response import Response
from rest_framework.test import APIClient

from chats.models import (
    Conversation,
    Event,
    Message,
    Participant,
    PastParticipant,
    User,
)
from chats.models.participants import hour_of
from chats.services import conversations, messages, staff, users
from chats.services.starting import start_conversation_once
from chats.web.exceptions import ChatError, NotFound
from tests.support.factories import PASSWORD, UserFactory, start
from tests.support.threads import at_once

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("patient_database"),
]

THREADS = 8


def together(calls: Iterable[Callable]) -> list:
    """Call all at the same moment, each in its thread; return what they returned.

    What the domain refuses is returned, any other exception raised.
    """

    def run(call: Callable):
        try:
            return call()
        except ChatError as refusal:
            return refusal

    return at_once(*(partial(run, call) for call in calls))


def refused(results: list) -> list[ChatError]:
    return [result for result in results if isinstance(result, ChatError)]


def check_invariants() -> None:
    """Check what must be true of any database between transactions."""
    for conversation in Conversation.objects.all():
        rows = list(conversation.messages.order_by("seq"))
        participants = list(conversation.participations.all())
        people = {row.user_id: row.last_read_seq for row in participants}
        times = [row.sent_at for row in rows]
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
        assert times == sorted(set(times))
        assert conversation.last_seq == len(rows)
        assert conversation.last_message == (rows[-1] if rows else None)
        assert conversation.participant_count == len(people)
        assert (conversation.owner_id in people) == bool(people)
        assert (conversation.owner_id is None) == (not people)
        assert all(0 <= cursor <= len(rows) for cursor in people.values())
        for row in participants:
            assert row.has_unread == (row.last_read_seq < len(rows))
            assert row.active_hour == hour_of(conversation.updated_at)
        created = Event.objects.filter(
            type="message.created", conversation_id=conversation.pk
        )
        in_log = created.order_by("event_id").values_list("message_id", flat=True)
        assert list(in_log) == [row.pk for row in rows]
    assert not Participant.objects.filter(user__deleted_at__isnull=False).exists()
    check_spans()


def check_spans() -> None:
    """Check that each removal in the log ended one stay, begun by an event before."""
    stays = PastParticipant.objects.values_list("last_event_id", "user_id")
    removals = Event.objects.filter(type="participant.removed")
    ended = Counter(removals.values_list("event_id", "user_id"))
    deleted = Event.objects.filter(type="conversation.deleted")
    deletions = set(deleted.values_list("event_id", flat=True))
    assert Counter(stay for stay in stays if stay[0] not in deletions) == ended
    for stay in PastParticipant.objects.all():
        assert 0 < stay.first_event_id < stay.last_event_id


# --- Sending -------------------------------------------------------------------


def test_sends_into_one_conversation_are_numbered_without_a_gap():
    people = [UserFactory() for _ in range(THREADS)]
    conversation = start(*people)

    def sender(person: User) -> Callable:
        def send_25() -> list[str]:
            return [
                messages.send_message(
                    person, conversation.pk, message_body=f"{person} {number}"
                )[0].message_body
                for number in range(25)
            ]

        return send_25

    sent = together(sender(person) for person in people)

    stored = Message.objects.order_by("seq")
    assert [row.seq for row in stored] == list(range(1, 201))
    assert Counter(row.message_body for row in stored) == Counter(chain(*sent))
    assert all(
        [row.message_body for row in stored.filter(sender=person)] == sent[place]
        for place, person in enumerate(people)
    )
    check_invariants()


def test_sends_with_one_client_id_store_one_message(client_of):
    alice, client_id = UserFactory(), str(uuid4())
    conversation = start(alice)
    data = {
        "conversation": str(conversation.pk),
        "message_body": "Once",
        "client_id": client_id,
    }

    answers = together(
        lambda: client_of(alice).post("/api/messages/", data) for _ in range(THREADS)
    )

    stored = Message.objects.get()
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] * (THREADS - 1) + [201]
    assert {answer.json()["message_id"] for answer in answers} == {str(stored.pk)}
    check_invariants()


def test_sends_with_one_client_id_and_other_bodies_conflict():
    alice, client_id = UserFactory(), uuid4()
    conversation = start(alice)

    results = together(
        lambda body=f"Body {number}": messages.send_message(
            alice, conversation.pk, message_body=body, client_id=client_id
        )
        for number in range(THREADS)
    )

    assert [error.status for error in refused(results)] == [409] * (THREADS - 1)
    assert Message.objects.count() == 1
    check_invariants()


def test_starts_with_one_client_id_start_one_conversation(client_of):
    alice, bob = UserFactory(), UserFactory()
    data = {"participant_ids": [str(bob.pk)], "client_id": str(uuid4())}

    answers = together(
        lambda: client_of(alice).post("/api/conversations/", data)
        for _ in range(THREADS)
    )

    stored = Conversation.objects.get()
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] * (THREADS - 1) + [201]
    assert {answer.json()["conversation_id"] for answer in answers} == {str(stored.pk)}
    assert Event.objects.count() == 1
    check_invariants()


def test_starts_with_one_client_id_and_other_bodies_conflict():
    alice, client_id = UserFactory(), uuid4()
    others = [UserFactory() for _ in range(THREADS)]

    results = together(
        lambda other=other: start_conversation_once(
            alice, participant_ids=[other.pk], client_id=client_id
        )
        for other in others
    )

    assert [error.status for error in refused(results)] == [409] * (THREADS - 1)
    assert Conversation.objects.count() == 1
    check_invariants()


def test_strangers_added_at_once_are_no_more_than_the_limit(client_of, settings):
    rates = dict.fromkeys(settings.THROTTLE_RATES)
    settings.THROTTLE_RATES = rates | {"strangers": (THREADS // 2, 86_400)}
    alice = UserFactory()
    others = [UserFactory() for _ in range(THREADS)]

    answers = together(
        lambda other=other: client_of(alice).post(
            "/api/conversations/", {"participant_ids": [str(other.pk)]}
        )
        for other in others
    )

    statuses = [answer.status_code for answer in answers]
    assert Counter(statuses)[201] <= THREADS // 2
    assert set(statuses) == {201, 429}
    assert Conversation.objects.count() == Counter(statuses)[201]
    check_invariants()


def test_nothing_by_the_removed_follows_their_removal():
    alice, bob = UserFactory(), UserFactory()
    conversation = start(alice, bob)
    under_way = Signal()

    def keep_sending() -> None:
        while True:  # until refused
            messages.send_message(bob, conversation.pk, message_body="Hello")
            under_way.set()

    def remove() -> None:
        under_way.wait(timeout=60)
        conversations.remove_participant(alice, conversation.pk, user_id=bob.pk)

    results = together([keep_sending, remove])

    removal = Event.objects.get(type="participant.removed")
    by_bob = Event.objects.filter(type="message.created", actor_id=bob.pk)
    assert [error.field for error in refused(results)] == ["conversation"]
    assert by_bob.count() == Message.objects.count() >= 1
    assert not by_bob.filter(event_id__gt=removal.pk).exists()
    check_invariants()


def test_event_ids_rise_in_the_order_of_commits():
    people = [UserFactory() for _ in range(6)]
    rooms = [start(person) for person in people]
    done = Signal()
    seen: list[int] = []

    def sender(person: User, room: Conversation) -> Callable:
        def send_20() -> None:
            for _ in range(20):
                messages.send_message(person, room.pk, message_body="Hello")

        return send_20

    def follow() -> None:
        """Read as the hub does: what is after the newest id seen."""
        while True:
            last_round = done.is_set()
            later = Event.objects.filter(event_id__gt=seen[-1] if seen else 0)
            seen.extend(later.values_list("event_id", flat=True))
            if last_round:
                return

    def send_all() -> None:
        try:
            together(map(sender, people, rooms))
        finally:
            done.set()

    together([follow, send_all])

    assert seen == list(Event.objects.values_list("event_id", flat=True))
    assert len(seen) == 6 + 6 * 20


# --- Joining and leaving -------------------------------------------------------


def test_one_person_added_by_many_joins_once():
    people = [UserFactory() for _ in range(THREADS)]
    newcomer, conversation = UserFactory(), start(*people)

    results = together(
        lambda person=person: conversations.add_participant(
            person, conversation.pk, user_id=newcomer.pk
        )
        for person in people
    )

    assert Counter(results) == {True: 1, False: THREADS - 1}
    assert Event.objects.filter(type="participant.added").count() == 1
    assert conversation.participations.filter(user=newcomer).count() == 1
    check_invariants()


def test_the_last_place_is_taken_once(settings):
    settings.MAX_PARTICIPANTS = THREADS + 1
    people = [UserFactory() for _ in range(THREADS)]
    newcomers, conversation = [UserFactory() for _ in people], start(*people)

    results = together(
        lambda person=person, newcomer=newcomer: conversations.add_participant(
            person, conversation.pk, user_id=newcomer.pk
        )
        for person, newcomer in zip(people, newcomers, strict=True)
    )

    assert [error.code for error in refused(results)] == ["full"] * (THREADS - 1)
    assert conversation.participations.count() == THREADS + 1
    check_invariants()


@pytest.mark.parametrize("staying", [0, 1, 2])
def test_one_owner_remains_when_many_leave_at_once(staying):
    people = [UserFactory() for _ in range(THREADS)]
    conversation = start(*people)

    together(
        lambda person=person: conversations.remove_participant(
            person, conversation.pk, user_id=person.pk
        )
        for person in people[: THREADS - staying]
    )

    conversation.refresh_from_db()
    left = people[THREADS - staying :]
    assert conversation.participations.count() == staying
    assert conversation.owner in (left or [None])
    check_invariants()


def test_owner_leaving_while_removing_others_leaves_one_owner():
    people = [UserFactory() for _ in range(THREADS)]
    alice, bob, *others = people
    conversation = start(*people)

    def remove(actor: User, person: User) -> Callable:
        return lambda: conversations.remove_participant(
            actor, conversation.pk, user_id=person.pk
        )

    results = together(
        [
            remove(alice, alice),
            remove(alice, bob),
            remove(bob, bob),
            *(remove(alice, person) for person in others[:2]),
            *(remove(bob, person) for person in others[:2]),
        ]
    )

    # Who had left already may not know; who no longer owns may not remove.
    assert {error.status for error in refused(results)} <= {400, 403, 404}
    left = set(conversation.participations.values_list("user_id", flat=True))
    assert {person.pk for person in others[2:]} <= left
    assert not {alice.pk, bob.pk} & left
    check_invariants()


def test_one_person_removed_by_many_leaves_once():
    alice, bob = UserFactory(), UserFactory()
    conversation = start(alice, bob)

    results = together(
        [
            *(
                lambda: conversations.remove_participant(
                    alice, conversation.pk, user_id=bob.pk
                )
                for _ in range(4)
            ),
            *(
                lambda: conversations.remove_participant(
                    bob, conversation.pk, user_id=bob.pk
                )
                for _ in range(4)
            ),
        ]
    )

    assert len(refused(results)) == THREADS - 1
    assert Event.objects.filter(type="participant.removed").count() == 1
    check_invariants()


def test_a_deleted_person_takes_part_nowhere():
    alice = UserFactory()
    doomed = [UserFactory() for _ in range(4)]
    rooms = [start(alice, *doomed[:2]), start(doomed[0], alice), start(alice)]

    def add_everywhere() -> None:
        for room in rooms:
            for person in doomed:
                with contextlib.suppress(ChatError):
                    conversations.add_participant(alice, room.pk, user_id=person.pk)

    def start_with(person: User) -> Callable:
        return lambda: start(alice, person)

    def delete(person: User) -> Callable:
        return lambda: users.delete_user(person, actor=alice)

    together(
        [
            *map(delete, doomed),
            *map(start_with, doomed[:2]),
            add_everywhere,
            add_everywhere,
        ]
    )

    assert set(Participant.objects.values_list("user", flat=True)) == {alice.pk}
    check_invariants()


def test_a_conversation_deleted_while_in_use_is_gone_whole():
    alice, bob, carol = (UserFactory() for _ in range(3))
    conversation = start(alice, bob)
    message, _ = messages.send_message(alice, conversation.pk, message_body="Hello")

    results = together(
        [
            lambda: conversations.delete_conversation(alice, conversation.pk),
            lambda: messages.send_message(bob, conversation.pk, message_body="Hello"),
            lambda: messages.edit_message(alice, message.pk, message_body="Edited"),
            lambda: messages.mark_as_read(bob, message.pk),
            lambda: conversations.add_participant(
                bob, conversation.pk, user_id=carol.pk
            ),
            lambda: conversations.rename_conversation(bob, conversation.pk, title="?"),
            lambda: conversations.remove_participant(
                bob, conversation.pk, user_id=bob.pk
            ),
            lambda: users.delete_user(bob, actor=bob),
        ]
    )

    assert results[0] is None
    assert {error.status for error in refused(results)} <= {400, 404}
    assert Message.objects.count() == Participant.objects.count() == 0
    last = Event.objects.filter(conversation_id=conversation.pk).last()
    assert last.type == "conversation.deleted"
    check_invariants()


# --- Reading -------------------------------------------------------------------


def test_the_read_cursor_never_moves_back():
    alice, bob = UserFactory(), UserFactory()
    conversation = start(alice, bob)
    sent = [
        messages.send_message(bob, conversation.pk, message_body="Hello")[0]
        for _ in range(15)
    ]
    mine = Participant.objects.filter(user=alice)

    def reader(seed: int) -> Callable:
        order = random.Random(seed).sample(sent, len(sent))

        def read_all() -> list[int]:
            seen = []
            for message in order:
                messages.mark_as_read(alice, message.pk)
                seen.append(mine.get().last_read_seq)
                assert seen[-1] >= message.seq
            return seen

        return read_all

    for seen in together(map(reader, range(THREADS))):
        assert seen == sorted(seen)

    moves = Event.objects.filter(type="read.updated", user_id=alice.pk)
    assert mine.get().last_read_seq == 15
    assert 1 <= moves.count() <= 15


def test_reading_to_the_end_while_messages_arrive_stays_within_them():
    alice, bob = UserFactory(), UserFactory()
    conversation = start(alice, bob)

    def send_15() -> None:
        for _ in range(15):
            messages.send_message(bob, conversation.pk, message_body="Hello")

    def read_15() -> list[int]:
        return [
            messages.mark_conversation_as_read(alice, conversation.pk)[0]
            for _ in range(15)
        ]

    results = together([send_15, send_15, read_15, read_15])

    for cursors in results[2:]:
        assert cursors == sorted(cursors)
    check_invariants()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
def test_reading_while_a_message_is_being_sent_leaves_that_one_unread():
    """The send finds the reader's row unread already, and does not write it."""
    alice, bob = UserFactory(), UserFactory()
    conversation = start(alice, bob)
    first, _ = messages.send_message(bob, conversation.pk, message_body="Hello")
    sent = Signal()

    def send_and_wait() -> None:
        with transaction.atomic():
            messages.send_message(bob, conversation.pk, message_body="Again")
            sent.set()
            while not somebody_waits():
                pass

    def read() -> None:
        sent.wait(timeout=60)
        messages.mark_as_read(alice, first.pk)

    together([send_and_wait, read])

    check_invariants()
    mine = Participant.objects.get(user=alice)
    assert (mine.last_read_seq, mine.has_unread) == (1, True)


def read_during(change: Callable) -> tuple[Message, Message | ChatError]:
    """Have bob mark a message of alice's as read while ``change``, to which it is
    given, is being committed; return it, and what bob got, who had to wait."""
    alice, bob = UserFactory(), UserFactory()
    message, _ = messages.send_message(alice, start(alice, bob).pk, message_body="Hi")
    changed = Signal()

    def commit_late() -> None:
        with transaction.atomic():
            change(alice, message, bob)
            changed.set()
            while not somebody_waits():
                pass

    def read() -> Message:
        changed.wait(timeout=60)
        return messages.mark_as_read(bob, message.pk)

    return message, together([commit_late, read])[1]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
def test_message_marked_as_read_is_as_it_is_after_the_wait():
    def edit(alice: User, message: Message, bob: User) -> None:
        messages.edit_message(alice, message.pk, message_body="Hello")

    message, got = read_during(edit)

    assert (got.pk, got.message_body) == (message.pk, "Hello")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
def test_who_is_removed_while_waiting_to_mark_as_read_gets_nothing():
    def remove(alice: User, message: Message, bob: User) -> None:
        conversations.remove_participant(alice, message.conversation_id, user_id=bob.pk)

    _, got = read_during(remove)

    assert isinstance(got, NotFound)


def somebody_waits() -> bool:
    """Tell whether a transaction in this database waits for a lock of another."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # or it sees the first look
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock')"
        )
        return cursor.fetchone()[0]


def test_staff_may_remove_many_who_are_reading():
    """Each waits for the conversation first, and only then for the log."""
    operator, owner, *readers = (UserFactory() for _ in range(THREADS))
    conversation = start(owner, *readers)
    sent = [
        messages.send_message(owner, conversation.pk, message_body="Hello")[0]
        for _ in range(30)
    ]
    under_way = Barrier(len(readers) + 1)

    def reader(person: User) -> Callable:
        def read_on() -> None:
            messages.mark_as_read(person, sent[0].pk)
            under_way.wait(timeout=60)
            for message in sent[1:]:
                messages.mark_as_read(person, message.pk)

        return read_on

    def remove_all() -> None:
        under_way.wait(timeout=60)
        staff.change_participants(
            conversation, leaving=[person.pk for person in readers], actor=operator
        )

    results = together([remove_all, *map(reader, readers)])

    assert results[0] is None
    assert {error.status for error in refused(results)} <= {404}
    assert conversation.participations.get().user == owner
    check_invariants()


# --- Accounts ------------------------------------------------------------------


def patched_during(change: Callable, body: dict) -> Response:
    """Have alice change her account while ``change`` is being committed; return the
    answer, which has to wait for that."""
    alice = User.objects.get(username="alice")
    client, changed = APIClient(), Signal()
    client.force_login(alice)

    def commit_late() -> None:
        with transaction.atomic():
            change()
            changed.set()
            while connection.vendor == "postgresql" and not somebody_waits():
                pass

    def patch() -> Response:
        changed.wait(timeout=60)
        return client.patch("/api/users/me/", body)

    return together([commit_late, patch])[1]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
def test_email_is_not_changed_by_a_password_that_is_being_replaced():
    alice = UserFactory(username="alice")
    proof = {"email": "new@example.org", "current_password": PASSWORD}

    response = patched_during(
        lambda: users.change_password(alice, "quiet-Meadow-42", actor=UserFactory()),
        proof,
    )

    assert response.status_code == 401
    assert User.objects.get(pk=alice.pk).email == alice.email


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
def test_email_of_before_is_not_brought_back_without_a_password():
    alice = UserFactory(username="alice")
    change = {"email": "new@example.org"}

    response = patched_during(
        lambda: users.update_user(alice, change, actor=UserFactory()),
        {"email": alice.email, "first_name": "Ann"},
    )

    assert (response.status_code, response.json()["first_name"]) == (200, "Ann")
    assert User.objects.get(pk=alice.pk).email == "new@example.org"


# --- Everything at once --------------------------------------------------------


class Crowd:
    """Six people and an operator, who do anything at random in a few conversations."""

    def __init__(self):
        self.operator = UserFactory()
        self.people = [UserFactory() for _ in range(6)]
        self.strangers = [UserFactory() for _ in range(THREADS * 10)]
        self.rooms = [start(*self.people).pk, *self._smaller()]

    def _smaller(self) -> list[UUID]:
        return [start(*self.people[at : at + 3]).pk for at in (0, 1, 2, 3)]

    def act(self, seed: int, count: int) -> Counter:
        """Do as many things at random; return how each ended."""
        chance, ended = random.Random(seed), Counter()
        for _ in range(count):
            deed = chance.choice(DEEDS)
            try:
                deed(self, chance)
                ended["done"] += 1
            except ChatError as refusal:
                ended[refusal.status] += 1
        return ended

    def room(self, chance: random.Random) -> UUID:
        return chance.choice(self.rooms)

    def person(self, chance: random.Random) -> User:
        return chance.choice(self.people)

    def message(self, chance: random.Random) -> Message:
        """Return one that may be gone by the time it is used."""
        rows = Message.objects.filter(conversation_id=self.room(chance))
        found = rows.order_by("-seq")[: chance.randint(1, 5)]
        return found[len(found) - 1] if found else Message(conversation_id=uuid4())

    def send(self, chance: random.Random) -> None:
        client_id = chance.choice([None, UUID(int=chance.randint(1, 9))])
        messages.send_message(
            self.person(chance),
            self.room(chance),
            message_body="Hello",
            client_id=client_id,
        )

    def edit(self, chance: random.Random) -> None:
        message = self.message(chance)
        actor = message.sender if message.sender_id else self.person(chance)
        messages.edit_message(actor, message.pk, message_body=f"{chance.random()}")

    def delete_message(self, chance: random.Random) -> None:
        messages.delete_message(self.person(chance), self.message(chance).pk)

    def read(self, chance: random.Random) -> None:
        messages.mark_as_read(self.person(chance), self.message(chance).pk)

    def read_all(self, chance: random.Random) -> None:
        messages.mark_conversation_as_read(self.person(chance), self.room(chance))

    def start(self, chance: random.Random) -> None:
        guests = chance.sample(self.people, 3)
        made = conversations.start_conversation(
            self.person(chance), participant_ids=[person.pk for person in guests]
        )
        self.rooms.append(made.pk)

    def rename(self, chance: random.Random) -> None:
        conversations.rename_conversation(
            self.person(chance), self.room(chance), title=f"{chance.random()}"
        )

    def add(self, chance: random.Random) -> None:
        conversations.add_participant(
            self.person(chance), self.room(chance), user_id=self.person(chance).pk
        )

    def remove(self, chance: random.Random) -> None:
        conversations.remove_participant(
            self.person(chance), self.room(chance), user_id=self.person(chance).pk
        )

    def leave(self, chance: random.Random) -> None:
        person = self.person(chance)
        conversations.remove_participant(person, self.room(chance), user_id=person.pk)

    def delete(self, chance: random.Random) -> None:
        if chance.random() < 0.3:
            conversations.delete_conversation(self.person(chance), self.room(chance))

    def replace(self, chance: random.Random) -> None:
        """As the staff do: several people at once."""
        leaving, joining = chance.sample(self.people, 4), chance.sample(self.people, 3)
        staff.change_participants(
            Conversation(pk=self.room(chance)),
            joining=[person.pk for person in joining],
            leaving=[person.pk for person in leaving],
            actor=self.operator,
        )

    def retitle(self, chance: random.Random) -> None:
        staff.rename_as_staff(
            Conversation(pk=self.room(chance)),
            title=f"{chance.random()}",
            actor=self.operator,
        )

    def hand_over(self, chance: random.Random) -> None:
        staff.transfer_ownership(
            Conversation(pk=self.room(chance)),
            owner_id=self.person(chance).pk,
            actor=self.operator,
        )

    def delete_person(self, chance: random.Random) -> None:
        """Delete somebody, in whose place another comes."""
        if chance.random() < 0.3:
            place = chance.randrange(len(self.people))
            users.delete_user(self.people[place], actor=self.operator)
            self.people[place] = self.strangers.pop()

    def suspend(self, chance: random.Random) -> None:
        person = self.person(chance)
        users.deactivate_user(person, actor=person)
        users.reactivate_user(person, actor=person)

    def be_seen(self, chance: random.Random) -> None:
        self.person(chance).mark_seen()


DEEDS = [
    *[Crowd.send] * 4,
    *[Crowd.add] * 3,
    Crowd.edit,
    Crowd.delete_message,
    Crowd.read,
    Crowd.read_all,
    Crowd.start,
    Crowd.rename,
    Crowd.remove,
    Crowd.leave,
    Crowd.delete,
    Crowd.replace,
    Crowd.retitle,
    Crowd.hand_over,
    Crowd.delete_person,
    Crowd.suspend,
    Crowd.be_seen,
]


def test_all_services_at_once_neither_deadlock_nor_contradict_each_other():
    crowd = Crowd()

    ended = together(
        lambda seed=seed: crowd.act(seed, count=50) for seed in range(THREADS)
    )

    total = sum(ended, Counter())
    assert total.total() == THREADS * 50
    assert total["done"] >= THREADS * 10
    assert set(total) <= {"done", 400, 403, 404, 409}
    check_invariants()
