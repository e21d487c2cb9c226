"""Loading a population into Django's database."""

import os
from collections.abc import Iterator
from pathlib import Path

from bench.lab.population import (
    LOGGED,
    MISSED,
    Caller,
    Place,
    Population,
    bodies,
    common_word,
    hyphened,
    message_id,
    person_id,
)
from bench.lab.servers import environment

NAMED = ("first", "second", "third", "staff", "seldom")
UNREAD = 5000  # messages that the second caller may mark as read


def load_alone(database_url: str, messages: int, corpus: Path | None) -> Place:
    """Fill an empty database, fast. Call it in a separate process."""
    os.environ.clear()
    os.environ.update(environment(database_url))
    os.environ["DJANGO_SETTINGS_MODULE"] = "messaging_app.settings"
    import django

    django.setup()
    from bench.lab.bulk import relaxed

    with relaxed():
        return load(messages, bodies(corpus))


def load(messages: int, texts: list[str]) -> Place:
    """Fill the empty database with messages, conversations, users and events."""
    from django.db import transaction

    from bench.lab import bulk
    from chats import models

    population = Population(messages, texts)
    store_people(population)
    kinds = (models.Message, models.Conversation, models.Participant, models.Event)
    tables = [kind._meta.db_table for kind in kinds]
    with bulk.indexes_afterwards(*tables), transaction.atomic():
        store_messages(population)
        store_events(population)
        store_rooms(population)
        store_participants(population)
    return described(population)


def store_people(population: Population) -> None:
    from bench.lab import bulk
    from chats.models import User

    names = ("user_id", "username", "email", "first_name", "last_name")
    crowd = [f"person-{n}" for n in range(population.crowd)]
    bulk.write(
        User,
        (*names, "created_at"),
        (
            (person_id(n), name, f"{name}@bench.example", "Person", f"Number {n}", at)
            for n, name in enumerate([*NAMED, *crowd])
            for at in [bulk.stored(population.start + n * population.step)]
        ),
    )


def store_messages(population: Population) -> None:
    from bench.lab import bulk
    from chats.models import Message

    logged = population.messages - population.messages // LOGGED

    def rows() -> Iterator[tuple]:
        for number, room, seq, sender, body in population.said():
            key = room.last_id = message_id(number)
            room.updated = population.start + number * population.step
            at = bulk.stored(room.updated)
            if number >= logged:
                population.events.append((room.key, key, sender, at))
            yield key, room.key, seq, sender, body, at

    names = ("message_id", "conversation_id", "seq", "sender_id", "message_body")
    bulk.write(Message, (*names, "sent_at"), rows())


def store_events(population: Population) -> None:
    """Store the events of the newest messages; the log before them is pruned."""
    from bench.lab import bulk
    from chats.models import Event, EventLog

    first = Event.objects.create(conversation_id=population.large.key)
    EventLog.objects.create(pruned_through_id=first.pk)
    first.delete()
    kind = Event.Type.MESSAGE_CREATED.value
    names = ("type", "conversation_id", "message_id", "actor_id", "created_at")
    bulk.write(Event, names, ((kind, *event) for event in population.events))


def store_rooms(population: Population) -> None:
    from bench.lab import bulk
    from chats.models import Conversation

    names = ("conversation_id", "title", "owner_id", "participant_count", "last_seq")
    bulk.write(
        Conversation,
        (*names, "last_message_id", "updated_at", "created_at"),
        (
            (
                room.key,
                f"Conversation {n}",
                person_id(room.people[0]),
                len(participants_of(population, room)),
                room.depth,
                room.last_id,
                bulk.stored(room.updated or population.start),
                bulk.stored(population.start),
            )
            for n, room in enumerate(population.rooms)
        ),
    )


def store_participants(population: Population) -> None:
    from bench.lab import bulk
    from chats.models import EventLog, Participant
    from chats.models.participants import hour_of

    at, joining = bulk.stored(population.start), EventLog.pruned_through()
    names = ("conversation_id", "user_id", "last_read_seq", "joined_at")
    bulk.write(
        Participant,
        (*names, "first_event_id", "active_hour", "has_unread"),
        (
            (room.key, person_id(who), read, at, joining, hour, read < room.depth)
            for room in population.rooms
            for hour in [hour_of(room.updated or population.start)]
            for who in participants_of(population, room)
            for read in [population.read_up_to(room, who)]
        ),
    )


def participants_of(population: Population, room) -> list[int]:
    """Return the participants; the large conversation also has the quiet sender."""
    return [*room.people, 4] if room is population.large else room.people


def described(population: Population) -> Place:
    """Create tokens and a session for the callers; return the description."""
    from django.test import Client

    from chats.models import AccessToken, EventLog, Message, User
    from chats.realtime import cursors, log

    people = {user.username: user for user in User.objects.filter(username__in=NAMED)}
    callers = [
        Caller(
            str(people[name].pk), AccessToken.objects.issue(people[name], "", None)[1]
        )
        for name in NAMED[:3]
    ]
    staff = people["staff"]
    staff.is_staff = staff.is_superuser = True
    staff.role = User.Role.ADMIN
    staff.save()
    client = Client()
    client.force_login(staff)
    large = population.large
    unread = Message.objects.filter(conversation_id=large.key).order_by("seq")
    heard = log.visible_to(people[NAMED[0]].pk, 0).reverse()
    begin = EventLog.pruned_through()
    before = heard.values_list("pk", flat=True)[MISSED:].first() or begin
    early = population.start + population.messages // 10 * population.step
    return Place(
        *callers,
        session=client.cookies["sessionid"].value,
        seldom=str(people["seldom"].pk),
        large=hyphened(large.key),
        depth=large.depth,
        unread=[str(key) for key in unread.values_list("pk", flat=True)[:UNREAD]],
        early=f"{early:%Y-%m-%dT%H:%M:%S}Z",
        common=common_word(population.texts),
        missed=cursors.encode(before),
        log_begins=cursors.encode(begin),
    )
