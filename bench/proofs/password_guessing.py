"""Guess passwords in bursts at four processes; count how many guesses are evaluated.

The guesses alternate between the ways to sign in (session, token, admin, browsable
API), and vary the spelling of the username or e-mail, the User-Agent and
X-Forwarded-For. There are three attacks, each on another person: with headers that the
servers do not trust, from all addresses of one IPv6 network, and from a new address for
each guess.

The servers' hasher records each password that it evaluates, because the responses do
not show it. Username and e-mail have an allowance each, so twice as many guesses are
evaluated. Exits with 1 if more guesses than allowed were evaluated, or none, or if the
right password, which is guessed last, was evaluated.
"""

import argparse
import http.client
import itertools
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from bench.lab import recording_hasher
from bench.lab.report import add_usual, makers, parser_of
from bench.lab.servers import Server, environment, run_python

PROCESSES = 4
AT_ONCE = 48  # concurrent guesses
PASSWORD = "the-right-0ne-of-all"
CSRF = "c" * 32
REFUSED = ("Too many failed attempts", "throttled")


class Attack(NamedTuple):
    """A way to look like many clients, and the evaluations that it is allowed."""

    name: str
    proxies: int  # number of trusted reverse proxies
    allowance: int  # evaluations, by both identifiers
    forwarded: str  # X-Forwarded-For of guess number {n}, of {a}.{b} below 65,536


ATTACKS = (
    Attack("untrusted headers", 0, 10, "203.0.{a}.{b}"),
    Attack("one IPv6 network", 1, 10, "198.51.100.9, [2001:db8:1:1::{a:x}:{b:x}]:443"),
    Attack("many addresses", 1, 100, "127.0.0.1, 203.0.{a}.{b}"),
)


class Endpoint(NamedTuple):
    """A route that takes a password, and the format of its body."""

    path: str
    is_form: bool
    name: str = "username"  # of the field with the name or e-mail


ENDPOINTS = (
    Endpoint("/api/auth/login/", is_form=False),
    Endpoint("/api/auth/login/", is_form=False, name="email"),
    Endpoint("/api/auth/tokens/", is_form=False),
    Endpoint("/admin/login/", is_form=True),
    Endpoint("/api-auth/login/", is_form=True),
)


def guess(url: str, person: str, number: int, password: str, attack: Attack) -> str:
    """Send one guess; return "refused" or the status of the response."""
    endpoint = ENDPOINTS[number % len(ENDPOINTS)]
    identity = {endpoint.name: spelling(person, number)}
    fields = identity | {"password": password, "name": "x"}
    headers = {
        "User-Agent": f"browser/{number}",
        "X-Forwarded-For": attack.forwarded.format(a=number // 256, b=number % 256),
        "X-Real-IP": f"192.0.2.{number % 256}",
        "Forwarded": f"for=192.0.2.{number % 256}",
    }
    if endpoint.is_form:
        body = urlencode(fields | {"csrfmiddlewaretoken": CSRF})
        headers |= {"Cookie": f"csrftoken={CSRF}"}
        headers |= {"Content-Type": "application/x-www-form-urlencoded"}
    else:
        body = json.dumps(fields)
        headers |= {"Content-Type": "application/json"}
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
    try:
        connection.request("POST", endpoint.path, body, headers)
        response = connection.getresponse()
        text = response.read().decode()
    finally:
        connection.close()
    refused = response.status == 429 or any(word in text for word in REFUSED)
    return "refused" if refused else str(response.status)


def spelling(person: str, number: int) -> str:
    """Return the person's name or e-mail in mixed case."""
    text = f"{person}@bench.example" if number % 2 else person
    mixed = random.Random(number)
    return "".join(mixed.choice((char.lower(), char.upper())) for char in text)


def run(attack: Attack, guesses: int, database_url: str, record: Path) -> bool:
    """Attack a new person with ``guesses``; return whether the limit held."""
    person = f"victim{ATTACKS.index(attack)}"
    make_person(database_url, person, record)
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                Server(
                    database_url,
                    TRUSTED_PROXIES=str(attack.proxies),
                    **recording_environment(record),
                )
            )
            for _ in range(PROCESSES)
        ]
        urls = itertools.cycle(server.url for server in servers)
        record.write_text("")
        began = time.monotonic()
        answers = burst(urls, person, guesses, attack)
        answers[guess(next(urls), person, guesses, PASSWORD, attack)] += 1
        took = time.monotonic() - began
    return report(attack, answers, record.read_text().splitlines(), took)


def burst(urls: Iterator[str], person: str, guesses: int, attack: Attack) -> Counter:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        sent = [
            pool.submit(guess, next(urls), person, n, f"guess {n}", attack)
            for n in range(guesses)
        ]
        return Counter(item.result() for item in sent)


def report(attack: Attack, answers: Counter, passwords: list[str], took: float) -> bool:
    evaluated, is_open = len(passwords), PASSWORD in passwords
    holds = 0 < evaluated <= attack.allowance and not is_open
    seen = ", ".join(f"{count} {what}" for what, count in sorted(answers.items()))
    print(
        f"{attack.name}: {answers.total()} guesses in {took:.1f} s, {evaluated} "
        f"evaluated of {attack.allowance} allowed ({seen})"
        f"{'' if holds else ' FAILED'}"
    )
    return holds


def recording_environment(record: Path) -> dict[str, str]:
    settings = "bench.lab.recording_hasher_settings"
    return {"DJANGO_SETTINGS_MODULE": settings, recording_hasher.FILE: str(record)}


def make_person(database_url: str, username: str, record: Path) -> None:
    """Create a user who can sign in at every endpoint."""
    about = {
        "USERNAME": username,
        "EMAIL": f"{username}@bench.example",
        "FIRST_NAME": "Vic",
        "LAST_NAME": "Tim",
        "PASSWORD": PASSWORD,
    }
    settings = {f"DJANGO_SUPERUSER_{name}": value for name, value in about.items()}
    settings |= recording_environment(record)
    command = ("manage.py", "createsuperuser", "--noinput", "--verbosity", "0")
    run_python(*command, env=environment(database_url, **settings))


def arguments() -> argparse.Namespace:
    parser = parser_of("bench.proofs.password_guessing", __doc__)
    add = parser.add_argument
    add("--guesses", type=int, default=2000, help="a database (default: %(default)s)")
    add_usual(parser, quick="300 guesses", writes=False)
    options = parser.parse_args()
    options.guesses = 300 if options.quick else options.guesses
    return options


def main() -> int:
    options = arguments()
    each = max(1, options.guesses // len(ATTACKS))
    held = []
    for name, maker in makers(options).items():
        print(name)
        with maker() as url, tempfile.TemporaryDirectory() as directory:
            record = Path(directory) / "evaluated"
            held += [run(attack, each, url, record) for attack in ATTACKS]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
