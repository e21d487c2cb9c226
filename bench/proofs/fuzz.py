"""Call all operations of the schema with valid and invalid data; nothing may break.

Schemathesis makes the calls, as four kinds of caller, on SQLite and on PostgreSQL: with
the schema's examples, with boundary values, at random, and in chains, where the ids of
one response are used in the next call. Exits with 1 if a response is a 5xx, does not
match the schema (status, content type, body), or admits a caller who is not signed in.

The endless stream is excluded, and so are two checks: positive_data_acceptance, because
no schema can say which ids exist; and negative_data_rejection, because an empty query
parameter counts as missing, as forms send it, and a number is accepted as a name.
"""

import argparse
import itertools
import json
import os
import random
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.transport.wsgi import WSGI_TRANSPORT
from tqdm import tqdm

from bench.lab.report import add_usual, makers, parser_of
from bench.lab.servers import ROOT, environment

CALLERS = ("anonymous", "guest", "admin", "superuser")
EXAMPLES = 30  # of each operation, besides boundary values: 24,000 calls
LEFT_OUT = ("positive_data_acceptance", "negative_data_rejection")
PHASES = ("examples", "coverage", "fuzzing", "stateful")
# The fields of bodies with ids; in paths, all parameters are ids.
ID_FIELDS = ("conversation", "conversation_id", "user_id", "participant_ids")
FAMILIAR = 0.7  # share of ids that exist and that the caller may see


def send_in_process(case, *, send=WSGI_TRANSPORT.send, **options):
    """Send without options for sockets.

    Schemathesis 4.32 removes them from its in-process calls, but not from those that
    probe without credentials.
    """
    for name in ("max_redirects", "verify", "cert", "proxies"):
        options.pop(name, None)
    return send(case, **options)


WSGI_TRANSPORT.send = send_in_process


@dataclass
class Findings:
    """The calls of a run, and the faults found."""

    calls: Counter = field(default_factory=Counter)  # by phase
    answers: Counter = field(default_factory=Counter)  # by operation and status
    faults: Counter = field(default_factory=Counter)  # by their description

    def note(self, event: events.EngineEvent) -> None:
        if isinstance(event, events.NonFatalError | events.FatalError):
            self.faults[f"The run itself failed: {vars_of(event)}"] += 1
        if not isinstance(event, events.ScenarioFinished):
            return
        recorder = event.recorder
        self.calls[event.phase.value] += len(recorder.interactions)
        for case_id, interaction in recorder.interactions.items():
            label = recorder.cases[case_id].value.operation.label
            answer = interaction.response
            self.answers[label, answer.status_code if answer else 0] += 1
        for check in itertools.chain.from_iterable(recorder.checks.values()):
            if check.failure_info is not None:
                self.faults[described(check)] += 1


def vars_of(event: events.EngineEvent) -> str:
    names = [name for name in event.__slots__ if name not in {"id", "timestamp"}]
    return str({name: str(getattr(event, name, "")) for name in names})


def described(check) -> str:
    failure, call = check.failure_info.failure, check.failure_info.code_sample
    return f"{check.name}: {failure.title}\n{failure.message}\n{call}"


class World:
    """A caller with their own data, which is created again after calls deleted it."""

    def __init__(self, caller: str, seed: int):
        self.caller, self.random = caller, random.Random(seed)
        self.token: Any = None
        self.secret = ""
        self.ids: dict[str, list[str]] = {}

    def is_whole(self) -> bool:
        """Return whether the caller still has their token, role and conversation."""
        from chats.models import AccessToken, Conversation

        if self.token is None:
            return False
        conversation_id = self.ids["conversation_id"][0]
        tokens = AccessToken.objects.valid().filter(
            pk=self.token.pk, user__role=self.token.user.role
        )
        mine = Conversation.objects.visible_to(self.token.user)
        return tokens.exists() and mine.filter(pk=conversation_id).exists()

    def make(self) -> None:
        from chats.models import AccessToken, UserSession
        from chats.services import conversations, messages

        me, friend, stranger = self._person(self.caller), self._person(), self._person()
        self.token, self.secret = AccessToken.objects.issue(me, "fuzz", None)
        other_token, _ = AccessToken.objects.issue(me, "another", None)
        session = UserSession.objects.create(
            session_key=uuid.uuid4().hex,
            user=me,
            user_agent="Firefox/1",
            expire_date=other_token.expires_at,
        )
        start = conversations.start_conversation
        mine = start(me, participant_ids=[friend.pk], title="Mine")
        theirs = start(friend, participant_ids=[me.pk], title="Theirs")
        sent = [
            messages.send_message(person, conversation.pk, message_body="Hello")[0].pk
            for conversation in (mine, theirs)
            for person in (me, friend)
        ]
        people = [me.pk, friend.pk, stranger.pk]
        rooms = [str(mine.pk), str(theirs.pk)]
        self.ids = {
            "conversation_id": rooms,
            "conversation": rooms,
            "message_id": [str(pk) for pk in sent],
            "token_id": [str(other_token.pk)],
            "session_id": [str(session.session_id), str(other_token.pk)],
            "user_id": [str(pk) for pk in people],
            "participant_ids": [str(pk) for pk in people],
        }

    def _person(self, caller: str = "guest") -> Any:
        from chats.models import User

        name = f"{caller}-{uuid.uuid4().hex}"
        names = {"email": f"{name}@bench.example", "first_name": "A", "last_name": "B"}
        person = User(username=name, **names)
        if caller in {"admin", "superuser"}:
            person.role = User.Role.ADMIN
            person.is_superuser = person.is_staff = caller == "superuser"
        person.save(force_insert=True)
        return person

    # --- Called by schemathesis before each case ---------------------------------

    def get(self, case, context) -> "World":
        from chats.models import SignInAttempts

        SignInAttempts.objects.all().delete()  # otherwise sign-ins would soon be 429
        if not self.is_whole():
            self.make()
        return self

    def set(self, case, data: "World", context) -> None:
        """Authenticate the call, and replace most of its ids by existing ones."""
        if self.caller != "anonymous":
            case.headers["Authorization"] = f"Token {self.secret}"
        # In-process calls do not decode compressed responses.
        case.headers["Accept-Encoding"] = "identity"
        for name in case.path_parameters or {}:
            if name in self.ids and self.random.random() < FAMILIAR:
                case.path_parameters[name] = self.random.choice(self.ids[name])
        body = case.body if isinstance(case.body, dict) else {}
        for name in ID_FIELDS:
            if name in body and self.random.random() < FAMILIAR:
                chosen = self.random.choice(self.ids[name])
                body[name] = [chosen] if name == "participant_ids" else chosen


def provider_of(world: World) -> type:
    """Return a class for schemathesis, which creates one instance of it."""
    return type("Caller", (), {"get": world.get, "set": world.set})


@contextmanager
def closed_after() -> Iterator[None]:
    """Close the database connections opened in the block.

    Schemathesis's threads end without closing theirs, and Django then has no reference
    to them.
    """
    from django.db.backends.signals import connection_created

    made = []

    def keep(connection, **_):
        made.append(connection.connection)

    connection_created.connect(keep)
    try:
        yield
    finally:
        connection_created.disconnect(keep)
        for connection in made:
            connection.close()


def fuzz(
    application: Any, caller: str, *, examples: int, seed: int, phases=PHASES
) -> Findings:
    """Call the WSGI application as this kind of caller; the seed decides the calls."""
    generation = {"max-examples": examples, "deterministic": True, "database": "none"}
    config = SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "continue-on-failure": True,
            "generation": generation | {"no-shrink": True},
            "checks": {name: {"enabled": False} for name in LEFT_OUT},
            "phases": {name: {"enabled": name in phases} for name in PHASES},
        }
    )
    url = "/api/schema/?format=json"
    schema = schemathesis.openapi.from_wsgi(url, application, config=config)
    schema = schema.exclude(path="/api/events/")
    schema.auth(refresh_interval=None)(provider_of(World(caller, seed)))
    findings = Findings()
    with closed_after(), tqdm(desc=f"Calling as {caller}", unit="") as bar:
        for event in from_schema(schema).execute():
            findings.note(event)
            bar.update(findings.calls.total() - bar.n)
    return findings


# --- The program ----------------------------------------------------------------


def run_inside(caller: str, examples: int, seed: int) -> None:
    """Fuzz in this process, on the database of the environment; print the findings."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "messaging_app.settings"
    from messaging_app.wsgi import application

    findings = fuzz(application, caller, examples=examples, seed=seed)
    answers = [[*key, count] for key, count in sorted(findings.answers.items())]
    print(json.dumps([findings.calls, answers, findings.faults]))


def run_on(database_url: str, caller: str, options: argparse.Namespace) -> Findings:
    """Fuzz in a separate process, because a process has one database."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "bench.proofs.fuzz",
        "--inside",
        caller,
    ]
    command += ["--examples", str(options.examples), "--seed", str(options.seed)]
    settings = {"LOG_LEVEL": "CRITICAL", "EMAIL_URL": "dummymail://"}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(database_url, **settings),
        stdout=subprocess.PIPE,
        check=True,
    )
    calls, answers, faults = json.loads(done.stdout)
    by_answer = Counter({(label, status): count for label, status, count in answers})
    return Findings(Counter(calls), by_answer, Counter(faults))


def print_answers(findings: Findings) -> None:
    """Print how often each operation returned each status."""
    by_label: dict[str, list[str]] = {}
    for (label, status), count in sorted(findings.answers.items()):
        by_label.setdefault(label, []).append(f"{status}: {count}")
    for label, counts in by_label.items():
        print(f"  {label:60}", ", ".join(counts))


def print_row(cells: list) -> None:
    print(f"{cells[0]:12}", f"{cells[1]:10}", *(f"{cell:>9}" for cell in cells[2:]))


def arguments() -> argparse.Namespace:
    parser = parser_of("bench.proofs.fuzz", __doc__)
    add = parser.add_argument
    add("--examples", type=int, default=EXAMPLES, help="an operation (%(default)s)")
    add("--seed", type=int, default=1, help="decides the calls (%(default)s)")
    add("--callers", nargs="+", choices=CALLERS, default=CALLERS, help="only these")
    add("--answers", action="store_true", help="print how each operation answered")
    add_usual(parser, quick="5 examples an operation", writes=False)
    add("--inside", choices=CALLERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.examples = 5 if options.quick else options.examples
    return options


def main() -> None:
    options = arguments()
    if options.inside:
        run_inside(options.inside, options.examples, options.seed)
        return
    print_row(["", "", *PHASES, "all", "faults"])
    total, faults = 0, Counter()
    for name, maker in makers(options).items():
        with maker() as url:
            for caller in options.callers:
                found = run_on(url, caller, options)
                counts = [found.calls[phase] for phase in PHASES]
                print_row([name, caller, *counts, sum(counts), found.faults.total()])
                if options.answers:
                    print_answers(found)
                total, faults = total + sum(counts), faults + found.faults
    for fault, count in faults.most_common():
        print(f"\n{count} times: {fault}")
    print(f"{total} calls, {faults.total()} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
