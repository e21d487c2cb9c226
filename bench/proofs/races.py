"""Make conflicting calls at the same moment, 1,000 times; then check the rows.

Each round starts a conversation. Several people, each in a thread with its own database
connection, make calls that race: send against removal, add against remove, owners
leaving, devices marking as read, concurrent sends with one client_id, deletion of the
conversation or of a person against everything. A refusal by the domain is a valid
result. Any other exception is a fault, and so is a round that returned something
impossible. At the end the doctor checks the rows, and this program checks what the
doctor cannot know: whether somebody sent a message that they were not allowed to send.
Runs on SQLite and on PostgreSQL. Exits with 1 if there is a fault.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, NamedTuple

from tqdm import tqdm

from bench.lab.report import add_usual, makers, parser_of
from bench.lab.servers import ROOT, environment

ROUNDS = 1000
DEVICES = 50
WAIT = 60  # seconds for all threads of a round to be ready

# Rules for a database without imports, each with SQL that finds rows that break it.
RULES = {
    "a sender's cursor is before their own message": """
        SELECT m.message_id FROM chats_message m JOIN chats_participant p
        ON p.conversation_id = m.conversation_id AND p.user_id = m.sender_id
        WHERE m.seq > p.last_read_seq AND m.sent_at > p.joined_at""",
    "a message by somebody after their last removal": """
        SELECT e.event_id FROM chats_event e
        JOIN chats_event r ON r.conversation_id = e.conversation_id
        AND r.user_id = e.actor_id AND r.type = 'participant.removed'
        AND r.event_id < e.event_id
        WHERE e.type = 'message.created' AND NOT EXISTS (
            SELECT 1 FROM chats_event a WHERE a.type = 'participant.added'
            AND a.conversation_id = e.conversation_id AND a.user_id = e.actor_id
            AND a.event_id BETWEEN r.event_id AND e.event_id)""",
}

Call = Callable[[], Any]


class Race(NamedTuple):
    """Calls made at the same moment, and a condition on all their results."""

    calls: list[Call]
    holds: Callable[[list], bool] = lambda returned: True


class Scene:
    """A conversation of five people, the first of whom owns it, with two messages."""

    def __init__(self, people: list, chance: random.Random):
        from chats.services import conversations, messages, users

        self.conversations, self.messages, self.users = conversations, messages, users
        self.chance = chance
        self.owner, *self.others = people
        ids = [person.pk for person in people]
        self.room = conversations.start_conversation(self.owner, participant_ids=ids).pk
        self.sent = [self.send(self.owner)()[0] for _ in range(2)]

    def send(self, person: Any, client_id: uuid.UUID | None = None) -> Call:
        return lambda: self.messages.send_message(
            person, self.room, message_body="Hello", client_id=client_id
        )

    def add(self, actor: Any, person: Any) -> Call:
        return lambda: self.conversations.add_participant(
            actor, self.room, user_id=person.pk
        )

    def remove(self, actor: Any, person: Any) -> Call:
        return lambda: self.conversations.remove_participant(
            actor, self.room, user_id=person.pk
        )

    def delete(self, person: Any) -> Call:
        return lambda: self.conversations.delete_conversation(person, self.room)

    def read(self, person: Any) -> Call:
        message = self.chance.choice(self.sent)
        return lambda: self.messages.mark_as_read(person, message.pk).last_read_seq

    def read_all(self, person: Any) -> Call:
        return lambda: self.messages.mark_conversation_as_read(person, self.room)[0]

    def cursor(self, person: Any) -> int:
        return person.participations.get(conversation_id=self.room).last_read_seq

    # --- Races ------------------------------------------------------------------

    def sends_against_removal(self) -> Race:
        going = self.others[0]
        return Race([*[self.send(going)] * 4, self.remove(self.owner, going)])

    def adding_against_removing(self) -> Race:
        who = self.others[0]
        remove, add = self.remove(self.owner, who), self.add(self.owner, who)
        again = self.add(self.others[1], who)
        return Race([remove, add, remove, add, self.send(who), again])

    def owners_leaving(self) -> Race:
        leave = [self.remove(person, person) for person in (self.owner, *self.others)]
        return Race(leave[: self.chance.randint(2, len(leave))])

    def devices_reading(self) -> Race:
        """The cursor ends at the highest position that any device received."""
        who = self.others[0]
        calls = [self.read(who) for _ in range(DEVICES - 10)]
        calls += [*[self.read_all(who)] * 10, *[self.send(self.owner)] * 4]

        def holds(returned: list) -> bool:
            cursors = [item for item in returned if isinstance(item, int)]
            return self.cursor(who) == max(cursors)

        return Race(calls, holds)

    def one_client_id(self) -> Race:
        """One of the calls stores the message; all of them return it."""
        calls = [self.send(self.owner, uuid.uuid4())] * 6

        def holds(returned: list) -> bool:
            ids = {message.pk for message, _ in returned}
            return len(ids) == sum(is_new for _, is_new in returned) == 1

        return Race(calls, holds)

    def deletion_against_sends(self) -> Race:
        sends = [self.send(person) for person in self.others]
        return Race([*sends, self.delete(self.owner), self.read_all(self.others[0])])

    def deleting_a_person(self) -> Race:
        gone = self.others[0]
        add = self.add(self.owner, gone)
        end = lambda: self.users.delete_user(gone, actor=gone)  # noqa: E731
        return Race([end, add, self.send(gone), self.remove(self.owner, gone), add])


RACES = (
    Scene.sends_against_removal,
    Scene.adding_against_removing,
    Scene.owners_leaving,
    Scene.one_client_id,
    Scene.deletion_against_sends,
    Scene.deleting_a_person,
)
SELDOM = Scene.devices_reading  # 54 threads: one round in twenty


def together(race: Race, chance: random.Random) -> Counter:
    """Make all calls at the same moment, in random order; count their outcomes."""
    from django.db import connections

    from chats.web.exceptions import ChatError

    barrier, returned = Barrier(len(race.calls)), []

    def run(call: Call) -> str:
        try:
            barrier.wait(WAIT)
            returned.append(call())
            return "done"
        except ChatError as refusal:
            return f"refused {refusal.status}"
        except Exception as error:
            words = str(error).partition("\n")[0]  # the rest shows ids
            return f"FAULT {type(error).__name__}: {words}"
        finally:
            connections.close_all()

    calls = chance.sample(race.calls, len(race.calls))
    with ThreadPoolExecutor(len(calls)) as pool:
        ended = Counter(pool.map(run, calls))
    if not race.holds(returned):
        ended["FAULT: the calls returned impossible results"] += 1
    return ended


def run_inside(rounds: int, seed: int) -> None:
    """Race in this process, on the database of the environment; print the findings."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "messaging_app.settings"
    import django

    django.setup()
    chance = random.Random(seed)
    ended, by_race = Counter(), Counter()
    for number in tqdm(range(rounds), desc="Racing", unit=""):
        race = SELDOM if number % 20 == 19 else RACES[number % len(RACES)]
        scene = Scene(new_people(5), chance)
        ended += together(race(scene), chance)
        by_race[race.__name__] += 1
    print(json.dumps([by_race, ended, wrong_rows()]))


def wrong_rows() -> Counter:
    """Count the doctor's findings, and the rows that break the rules."""
    from django.db import connection

    from chats.management.doctor.invariants import Scope
    from chats.management.doctor.runner import CHECKS, examine

    found = Counter(dict.fromkeys([*RULES, *(check.rule for check in CHECKS)], 0))
    for scope in Scope:
        for _ in examine(scope, 500, lambda check, _: found.update([check.rule])):
            pass
    with connection.cursor() as cursor:
        for rule, sql in RULES.items():
            cursor.execute(sql)
            found[rule] = len(cursor.fetchall())
    return found


def new_people(count: int) -> list:
    from chats.models import User

    names = [uuid.uuid4().hex for _ in range(count)]
    return User.objects.bulk_create(
        User(username=n, email=f"{n}@bench.example", first_name="A", last_name="B")
        for n in names
    )


def run_on(database_url: str, options: argparse.Namespace) -> bool:
    """Race and print the outcome; return whether there is no fault.

    This uses a separate process, because a process has one database.
    """
    command = [sys.executable, "-m", "bench.proofs.races", "--inside"]
    command += ["--rounds", str(options.rounds), "--seed", str(options.seed)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(database_url, LOG_LEVEL="CRITICAL"),
        stdout=subprocess.PIPE,
        check=True,
    )
    by_race, ended, rules = json.loads(done.stdout)
    wrong = {rule: count for rule, count in rules.items() if count}
    for title, counts in (("Rounds", by_race), ("Calls", ended), ("Rows", wrong)):
        print(f"  {title}:")
        for name, count in sorted(counts.items()):
            print(f"    {count:>7}  {name[:150]}")
    faults = sum(count for name, count in ended.items() if name.startswith("FAULT"))
    total, rows = sum(ended.values()), sum(wrong.values())
    print(f"  {total} calls, {faults} faults; {len(rules)} rules, {rows} rows wrong")
    return not faults and not rows


def arguments() -> argparse.Namespace:
    parser = parser_of("bench.proofs.races", __doc__)
    add = parser.add_argument
    add("--rounds", type=int, default=ROUNDS, help="a database (%(default)s)")
    add("--seed", type=int, default=1, help="of the order of calls (%(default)s)")
    add_usual(parser, quick="60 rounds", writes=False)
    add("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.rounds = 60 if options.quick else options.rounds
    return options


def main() -> None:
    options = arguments()
    if options.inside:
        run_inside(options.rounds, options.seed)
        return
    is_right = []
    for name, maker in makers(options).items():
        print(name)
        with maker() as url:
            is_right.append(run_on(url, options))
    sys.exit(0 if all(is_right) else "Something is wrong: see above.")


if __name__ == "__main__":
    main()
