"""Measure quick calls among slow ones: sends and pages during sign-ins and exports.

One process serves one person who sends and one who reads pages, twenty times a second
each. Meanwhile eight others a second sign in, which hashes their passwords, and one
repeatedly exports all their data. Exits with 1 if the p99 of the quick calls is more
than three times that without the others.

Latency counts from the time when a call was due, so it includes waiting for the
previous call. Slices with and without the others take turns.
"""

import argparse
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection
from multiprocessing import get_context
from typing import NamedTuple

from tqdm import tqdm

from bench.lab import charts
from bench.lab.figures import CORES, Figures, Meter, Verdict, pooled
from bench.lab.load import Connection, Load, Plan, answer, request
from bench.lab.loading import load_alone
from bench.lab.population import Place
from bench.lab.report import (
    add_usual,
    finish,
    goals_table,
    makers,
    parser_of,
    print_rows,
    write_chart,
    write_section,
)
from bench.lab.servers import Server
from bench.lab.small_dataset import PASSWORD

MESSAGES = 30_000  # in the database
PER_SECOND = 20  # sends, and pages
SIGN_INS = 8  # a second
MOST = 3.0  # times the p99 of the same call alone
QUICK_CALLS = {"send": "send", "page": "page of 50"}
COMPANY = {
    "alone": "alone",
    "sign-in": f"while {SIGN_INS} a second sign in",
    "reader": "while one exports everything",
    "all": "while both do",
}
HOW = f"""
Latency of sends and pages, {PER_SECOND} a second each, at one process: alone, while
{SIGN_INS} others a second sign in, while one exports everything of theirs over and over
(`/api/users/me/export/`, 30,000 messages), and while both do. The four take turns.
The load, PostgreSQL and the server share the processors; hashing a password takes one
for some 0.1 to 0.2 s by design. `python -m bench.speed.mixed_load --write` measures
again.
"""


class Slice(NamedTuple):
    """The quick calls of one slice, and the number of slow calls answered."""

    quick: dict[str, Figures]
    slow: int


Measured = dict[str, list[Slice]]  # by company


# --- The load -----------------------------------------------------------------


def fill(database_url: str) -> Place:
    """Fill a database, whose crowd can sign in. Call it in a separate process."""
    place = load_alone(database_url, MESSAGES, None)
    from django.contrib.auth.hashers import make_password

    from chats.models import User

    crowd = User.objects.filter(username__startswith="person-")
    crowd.update(password=make_password(PASSWORD))
    return place


def run_paced(port: int, asked: dict[str, bytes], seconds: float) -> dict[str, Load]:
    """Make each request at an even pace, on its own connection."""
    with ThreadPoolExecutor(len(asked)) as threads:
        running = {
            name: threads.submit(pace, port, data, seconds)
            for name, data in asked.items()
        }
        return {name: future.result() for name, future in running.items()}


def pace(port: int, data: bytes, seconds: float) -> Load:
    connection = Connection(port, Plan([data], True))
    latencies, errors = [], 0
    began, processor = time.perf_counter(), time.thread_time()
    for number in range(int(seconds * PER_SECOND)):
        due = began + number / PER_SECOND
        time.sleep(max(0.0, due - time.perf_counter()))
        errors += answer(connection) not in {200, 201}
        latencies.append(time.perf_counter() - due)
    connection.socket.close()
    elapsed = time.perf_counter() - began
    return Load(latencies, errors, elapsed, time.thread_time() - processor)


def keep_busy(port: int, sign_ins: list[bytes], exporter: str, seconds: float) -> int:
    """Sign in by threads, each once a second, and export with the exporter's token.

    Without a token there is no export. Return the number of responses; each MiB of an
    export counts as one.
    """
    answered: list[int] = []
    ends = time.perf_counter() + seconds

    def sign_in(data: bytes, offset: float) -> None:
        connection = Connection(port, Plan([data], True))
        due = time.perf_counter() + offset
        while due < ends:
            time.sleep(max(0.0, due - time.perf_counter()))
            answered.append(answer(connection))
            due += 1.0
        connection.socket.close()

    threads = [
        threading.Thread(target=sign_in, args=[data, number / SIGN_INS])
        for number, data in enumerate(sign_ins)
    ]
    if exporter:
        exporting = [port, exporter, ends, answered]
        threads.append(threading.Thread(target=export, args=exporting))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wrong = [status for status in answered if status != 200]
    if wrong:
        raise RuntimeError(f"{len(wrong)} slow calls failed, such as by {wrong[0]}.")
    return len(answered)


def export(port: int, token: str, ends: float, answered: list[int]) -> None:
    """Export repeatedly; record the status for each MiB."""
    while time.perf_counter() < ends:
        connection = HTTPConnection("127.0.0.1", port)
        headers = {"Authorization": f"Token {token}"}
        connection.request("GET", "/api/users/me/export/", headers=headers)
        response = connection.getresponse()
        while response.read(1024 * 1024) and time.perf_counter() < ends:
            answered.append(response.status)
        connection.close()


# --- Measuring ----------------------------------------------------------------


class Bench:
    """One database, one server, and two processes that make calls."""

    def __init__(self, url: str, place: Place, stack: ExitStack):
        context = get_context("spawn")
        self._server = stack.enter_context(Server(url))
        self._pool = stack.enter_context(ProcessPoolExecutor(2, mp_context=context))
        self._meter = Meter([self._server.pid], url, stack)
        text = {"conversation": place.large, "message_body": "In the middle of it."}
        page = f"/api/messages/?conversation_id={place.large}&page_size=50"
        token = place.first.token
        self._quick = {
            "send": request("POST", "/api/messages/", token, text),
            "page": request("GET", page, token),
        }
        self._sign_ins = [
            request("POST", "/api/auth/login/", "", identity)
            for number in range(SIGN_INS)
            for identity in [{"username": f"person-{number}", "password": PASSWORD}]
        ]
        self._exporter = place.first.token

    def measure(self, company: str, seconds: float) -> Slice:
        before = self._meter.read()
        port, slow = self._server.port, None
        if company != "alone":
            sign_ins = self._sign_ins if company in {"sign-in", "all"} else []
            exporter = self._exporter if company in {"reader", "all"} else ""
            slow = self._pool.submit(keep_busy, port, sign_ins, exporter, seconds)
        quick = self._pool.submit(run_paced, port, self._quick, seconds).result()
        answered = slow.result() if slow else 0
        used = self._meter.since(before)
        figures = {name: Figures(*load, *used) for name, load in quick.items()}
        return Slice(figures, answered)


def measure(name: str, maker: Callable, options: argparse.Namespace) -> Measured:
    measured: Measured = {company: [] for company in COMPANY}
    context = get_context("spawn")
    with ExitStack() as stack:
        url = stack.enter_context(maker())
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            place = pool.submit(fill, url).result()
        bench = Bench(url, place, stack)
        bench.measure("all", 1.0)  # warms up
        order = list(COMPANY) * options.rounds
        for company in tqdm(order, desc=name, unit="slice"):
            measured[company].append(bench.measure(company, options.seconds))
    return measured


# --- The report ---------------------------------------------------------------


def figures_of(measured: Measured, company: str, call: str) -> Figures:
    return pooled(part.quick[call] for part in measured[company])


def verdicts(everything: dict[str, Measured]) -> Iterator[Verdict]:
    """Judge the p99 of each quick call among all others; with errors it is missed."""
    for name, measured in everything.items():
        for call, words in QUICK_CALLS.items():
            alone, among = (figures_of(measured, c, call) for c in ("alone", "all"))
            times = round(among.percentile(99) / alone.percentile(99), 2)
            errors = alone.errors + among.errors
            goal = f"{name}, {words}: p99 among others ÷ alone ≤ {MOST:g}"
            figure = f"{times:.2f}" + (f", {errors} errors" if errors else "")
            yield Verdict(goal, figure, times <= MOST and not errors)


HEAD = ("call", "p50 ms", "p99 ms", "worst ms", "p99 ÷ alone", "slow ones a second")


def rows_of(measured: Measured) -> Iterator[list[str]]:
    for call, words in QUICK_CALLS.items():
        alone = figures_of(measured, "alone", call).percentile(99)
        for company, description in COMPANY.items():
            found = figures_of(measured, company, call)
            slow = sum(part.slow for part in measured[company]) / found.elapsed
            yield [
                f"{words}, {description}",
                *(f"{found.percentile(percent):.1f}" for percent in (50, 99, 100)),
                f"{found.percentile(99) / alone:.2f}",
                f"{slow:.1f}",
            ]


def write_page(everything: dict[str, Measured]) -> None:
    parts = [HOW, goals_table(verdicts(everything)), ""]
    for name, measured in everything.items():
        groups = [
            charts.Group(words, bars_of(measured, call))
            for call, words in QUICK_CALLS.items()
        ]
        title = f"Quick calls among slow ones, {name}"
        drawing = charts.bar_chart(title, "p99, ms", groups)
        file = f"mixed-{name.lower()}"
        parts.append(write_chart(file, f"quick among slow on {name}", drawing))
        table = charts.markdown_table(HEAD, rows_of(measured))
        parts += [f"### {name}, quick among slow\n", table, ""]
    write_section(
        "bench.speed.mixed_load", "The quick among the slow", "\n".join(parts)
    )


def bars_of(measured: Measured, call: str) -> list[charts.Bar]:
    return [
        charts.Bar(company, figures_of(measured, company, call).percentile(99))
        for company in COMPANY
    ]


def arguments() -> argparse.Namespace:
    parser = parser_of("bench.speed.mixed_load", __doc__)
    add = parser.add_argument
    add("--rounds", type=int, help="slices of each kind (4)")
    add("--seconds", type=float, help="of each slice (8)")
    add_usual(parser, quick="2 slices of 4 seconds")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 4)
    options.seconds = options.seconds or (4.0 if options.quick else 8.0)
    return options


def main() -> None:
    options = arguments()
    print(f"{CORES} processors; load before: {os.getloadavg()[0]:.1f}")
    measured = {
        name: measure(name, maker, options) for name, maker in makers(options).items()
    }
    for name, found in measured.items():
        print(f"\n{name}")
        print_rows(HEAD, rows_of(found))
    if options.write:
        write_page(measured)
    finish(verdicts(measured))


if __name__ == "__main__":
    main()
