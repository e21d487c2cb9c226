"""Do at the same moment what must not meet, 1,000 times; then look at the rows.

Each round starts a conversation and has several people, each in a thread with a
connection of its own, do things that race: send against removal, add against remove,
owners leaving, devices marking as read, one client_id at once, deletion of the
conversation or of a person against everything. What the domain refuses is an answer;
anything else raised is a fault, and so is any row that breaks a rule, found by SQL at
the end. On SQLite and on PostgreSQL. Exits with 1 if there is a fault.
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
from typing import Any

from tqdm import tqdm

from bench.report import add_usual, makers
from bench.rules import broken_rules
from bench.servers import ROOT, environment

ROUNDS = 1000
DEVICES = 50
WAIT = 60  # seconds for all threads of a round to be ready

Call = Callable[[], Any]


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
        return lambda: self.messages.mark_as_read(person, message.pk)

    def read_all(self, person: Any) -> Call:
        return lambda: self.messages.mark_conversation_as_read(person, self.room)

    # --- Races ------------------------------------------------------------------

    def sends_against_removal(self) -> list[Call]:
        going = self.others[0]
        return [*[self.send(going)] * 4, self.remove(self.owner, going)]

    def adding_against_removing(self) -> list[Call]:
        who = self.others[0]
        remove, add = self.remove(self.owner, who), self.add(self.owner, who)
        return [remove, add, remove, add, self.send(who), self.add(self.others[1], who)]

    def owners_leaving(self) -> list[Call]:
        leave = [self.remove(person, person) for person in (self.owner, *self.others)]
        return leave[: self.chance.randint(2, len(leave))]

    def devices_reading(self) -> list[Call]:
        who = self.others[0]
        calls = [self.read(who) for _ in range(DEVICES - 10)]
        return [*calls, *[self.read_all(who)] * 10, *[self.send(self.owner)] * 4]

    def one_client_id(self) -> list[Call]:
        return [self.send(self.owner, uuid.uuid4())] * 6

    def deletion_against_sends(self) -> list[Call]:
        sends = [self.send(person) for person in self.others]
        return [*sends, self.delete(self.owner), self.read_all(self.others[0])]

    def deleting_a_person(self) -> list[Call]:
        gone = self.others[0]
        add = self.add(self.owner, gone)
        end = lambda: self.users.delete_user(gone, actor=gone)  # noqa: E731
        return [end, add, self.send(gone), self.remove(self.owner, gone), add]


RACES = (
    Scene.sends_against_removal,
    Scene.adding_against_removing,
    Scene.owners_leaving,
    Scene.one_client_id,
    Scene.deletion_against_sends,
    Scene.deleting_a_person,
)
SELDOM = Scene.devices_reading  # 54 threads: one round in twenty


def together(calls: list[Call], chance: random.Random) -> Counter:
    """Call all at the same moment in random order; count how each ended."""
    from django.db import connections

    from chats.exceptions import ChatError

    barrier = Barrier(len(calls))

    def run(call: Call) -> str:
        try:
            barrier.wait(WAIT)
            call()
            return "done"
        except ChatError as refusal:
            return f"refused {refusal.status}"
        except Exception as error:
            return f"FAULT {type(error).__name__}: {error}"
        finally:
            connections.close_all()

    chance.shuffle(calls)
    with ThreadPoolExecutor(len(calls)) as pool:
        return Counter(pool.map(run, calls))


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
    print(json.dumps([by_race, ended, broken_rules()]))


def new_people(count: int) -> list:
    from chats.models import User

    names = [uuid.uuid4().hex for _ in range(count)]
    return User.objects.bulk_create(
        User(username=n, email=f"{n}@bench.example", first_name="A", last_name="B")
        for n in names
    )


def run_on(database_url: str, options: argparse.Namespace) -> bool:
    """Race in a process of its own, since a process has one database; print how it
    went; return whether all is right."""
    command = [sys.executable, "-m", "bench.races", "--inside"]
    command += ["--rounds", str(options.rounds), "--seed", str(options.seed)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(database_url, LOG_LEVEL="CRITICAL"),
        stdout=subprocess.PIPE,
        check=True,
    )
    by_race, ended, rules = json.loads(done.stdout)
    for title, counts in (("Rounds", by_race), ("Calls", ended), ("Rows", rules)):
        print(f"  {title}:")
        for name, count in sorted(counts.items()):
            print(f"    {count:>7}  {name[:150]}")
    faults = sum(count for name, count in ended.items() if name.startswith("FAULT"))
    print(f"  {sum(ended.values())} calls, {faults} faults, {sum(rules.values())} rows")
    return not faults and not sum(rules.values())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
