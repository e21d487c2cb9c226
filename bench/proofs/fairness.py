"""Measure what one hostile account does to other users, attack by attack.

The others send, read pages and sign in at an even pace, alone and during an attack
(``bench.proofs.attacks``). Exits with 1 if the p99 of their calls is more than three
times that without an attack, if one of their calls fails, if the process uses more than
64 MiB above its use without an attack, or if it keeps descriptors afterwards. Each
database is measured directly and through nginx, with the configuration of
docs/deploy.md except TLS.
"""

import argparse
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from bench.lab import charts
from bench.lab.figures import CORES, Verdict
from bench.lab.load import Connection, Plan, answer, request
from bench.lab.report import (
    add_usual,
    finish,
    goals_table,
    makers,
    parser_of,
    print_rows,
    write_section,
)
from bench.lab.servers import ROOT, Server, until
from bench.lab.small_dataset import PASSWORD, Account, fill
from bench.proofs.attacks import ATTACKS, Target, run

MOST = 3.0  # times the p99 of the same call alone
MOST_MEMORY = 64  # MiB above idle
# Milliseconds; the least p99 to compare with, because smaller ones depend on chance.
LEAST = {"send": 10.0, "page": 10.0, "sign-in": 100.0}
PER_SECOND = {"send": 20, "page": 20, "sign-in": 0.5}
GUESTS = 4  # people who sign in, each from their own address
HOME = "127.0.1.1"  # the address of the other people
# The server's defaults.
LIMITS = {
    "THROTTLE_ANON": "1200/min",
    "THROTTLE_USER": "12000/min",
    "THROTTLE_SEND": "6000/min",
    "THROTTLE_SIGN_IN": "60/min",
}
LONG_MESSAGES = 1500  # of 10,000 characters, in a conversation of the attacker's
LONG_EVENTS = 300  # messages of 10,000 characters that are in the log
VIAS = ("directly", "nginx")
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


class Seen(NamedTuple):
    """One slice: the others' latencies (ms) by call, and the process's resources."""

    latencies: dict[str, list[float]]
    errors: int
    memory: float  # MiB of the process, at most
    descriptors: int  # kept afterwards
    attacks: int


# --- The database and nginx -----------------------------------------------------


def fill_all(url: str) -> list[Account]:
    """Fill an empty database; the first account's conversation has long messages."""
    accounts = fill(url)
    from datetime import timedelta

    from django.utils import timezone

    from chats.models import Conversation, Message
    from chats.services.messages import send_message

    place = Conversation.objects.get(pk=accounts[0].conversation_id)
    start, first = timezone.now() - timedelta(hours=1), place.last_seq + 1
    for begin in range(first, first + LONG_MESSAGES, 100):
        Message.objects.bulk_create(
            Message(
                conversation=place,
                seq=seq,
                sender_id=place.owner_id,
                message_body="a" * 10_000,
                sent_at=start + timedelta(seconds=seq),
            )
            for seq in range(begin, begin + 100)
        )
    newest = Message.objects.filter(conversation=place).order_by("-seq")[0]
    Conversation.objects.filter(pk=place.pk).update(
        last_seq=newest.seq, last_message=newest
    )
    for _ in range(LONG_EVENTS):
        send_message(place.owner, place.pk, message_body="a" * 10_000)
    return accounts


@contextmanager
def nginx(upstream: int) -> Iterator[int]:
    """Run nginx as in docs/deploy.md, but without TLS; yield its port."""
    page = (ROOT / "docs" / "deploy.md").read_text()
    config = re.search(r"```nginx\n(.*?)```", page, re.DOTALL)[1]
    port = Server("").port
    config = re.sub(
        r"server 127\.0\.0\.1:8000[^;]*;", f"server 127.0.0.1:{upstream};", config
    )
    config = re.sub(r" server 127\.0\.0\.1:8001[^;]*;", "", config)
    config = re.sub(r"^server \{ listen 80;.*$", "", config, flags=re.MULTILINE)
    config = re.sub(r"^\s*ssl_.*$", "", config, flags=re.MULTILINE)
    config = re.sub(r"listen 443 [^;]*;", f"listen 127.0.0.1:{port};", config)
    with tempfile.TemporaryDirectory(prefix="bench-nginx-") as directory:
        file = Path(directory, "nginx.conf")
        paths = "".join(
            f"{name}_temp_path {directory}/{name};"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        file.write_text(
            f"daemon off; pid {directory}/pid; error_log {directory}/log;\n"
            "worker_rlimit_nofile 20000; events { worker_connections 8000; }\n"
            f"http {{ access_log off; {paths}\n{config} }}\n"
        )
        process = subprocess.Popen([shutil.which("nginx"), "-c", str(file)])
        try:
            until(lambda: _is_open(port))
            yield port
        finally:
            process.terminate()
            process.wait()


def _is_open(port: int) -> bool:
    try:
        Connection(port, Plan([], False)).socket.close()
    except OSError:
        return False
    return True


# --- The others -----------------------------------------------------------------


class Other(NamedTuple):
    """A person who repeats one call, from their own address."""

    call: str
    request: bytes
    address: str


def run_others(
    port: int, people: list[Other], seconds: float
) -> list[tuple[str, list[float], int]]:
    """Return for each person the call, its latencies (ms), and the number of errors."""
    with ThreadPoolExecutor(len(people)) as threads:
        return list(threads.map(lambda one: pace(port, one, seconds), people))


def pace(port: int, one: Other, seconds: float) -> tuple[str, list[float], int]:
    """Call at an even pace on one connection; latency counts from the due time."""
    rate, plan = PER_SECOND[one.call], Plan([one.request], True)
    connection, latencies, errors = Connection(port, plan, one.address), [], 0
    began = time.perf_counter()
    for number in range(max(1, int(seconds * rate))):
        due = began + number / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        status = answer(connection)
        errors += status not in {200, 201}
        latencies.append(1000 * (time.perf_counter() - due))
        if status == -1 or one.call == "sign-in":  # idle ones are closed
            connection.socket.close()
            connection = Connection(port, plan, one.address)
    connection.socket.close()
    return one.call, latencies, errors


def sign_in_of(guest: Account) -> bytes:
    identity = {"username": guest.username, "password": PASSWORD}
    return request("POST", "/api/auth/login/", "", identity)


# --- Measuring ------------------------------------------------------------------


class Watch:
    """Samples a process's memory, in MiB, until ``stop``."""

    def __init__(self, pid: int):
        self._file = Path(f"/proc/{pid}/statm")
        self._most = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> float:
        """Return the maximum."""
        self._over.set()
        self._thread.join()
        return self._most

    def _run(self) -> None:
        while not self._over.wait(0.02):
            pages = int(self._file.read_text().split()[1])
            self._most = max(self._most, pages * PAGE_SIZE / 2**20)


class Bench:
    """One database and one server, reached directly or through nginx."""

    def __init__(self, url: str, via: str, accounts: list[Account], stack: ExitStack):
        proxies = "1" if via == "nginx" else "0"
        server = Server(url, TRUSTED_PROXIES=proxies, **LIMITS)
        self._server = stack.enter_context(server)
        self.port = self._server.port
        if via == "nginx":
            self.port = stack.enter_context(nginx(self._server.port))
        context = get_context("spawn")
        self._pool = stack.enter_context(ProcessPoolExecutor(2, mp_context=context))
        self._attacker, *rest = accounts
        sender, reader, *guests = rest[20 : 22 + GUESTS]
        text = {"conversation": sender.conversation_id, "message_body": "Hello."}
        page = f"/api/messages/?conversation_id={reader.conversation_id}&page_size=50"
        self._others = [
            Other("send", request("POST", "/api/messages/", sender.token, text), HOME),
            Other("page", request("GET", page, reader.token), HOME),
            *(
                Other("sign-in", sign_in_of(guest), f"127.0.2.{number}")
                for number, guest in enumerate(guests, start=1)
            ),
        ]

    def slice(self, attack: str, seconds: float) -> Seen:
        """Measure the others for some seconds, during ``attack`` if it is not ""."""
        descriptors, watch = self._descriptors(), Watch(self._server.pid)
        target, hostile = Target(self.port, self._attacker), None
        if attack:
            hostile = self._pool.submit(run, attack, target, seconds + 2)
            time.sleep(1)
        seen = self._pool.submit(run_others, self.port, self._others, seconds).result()
        sent = hostile.result() if hostile else 0
        latencies = {call: [] for call in PER_SECOND}
        for call, found, _ in seen:
            latencies[call] += found
        errors = sum(failed for _, _, failed in seen)
        return Seen(latencies, errors, watch.stop(), self._kept(descriptors), sent)

    def _kept(self, before: int) -> int:
        """Return how many more descriptors the server has, after at most 15 s."""
        ends = time.monotonic() + 15
        while (more := self._descriptors() - before) > 4 and time.monotonic() < ends:
            time.sleep(0.1)
        return max(0, more - 4)

    def _descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self._server.pid}/fd"))


Measured = dict[str, list[Seen]]  # by attack; "" is alone


def measure(
    name: str, maker: Callable, options: argparse.Namespace
) -> dict[str, Measured]:
    measured = {}
    context = get_context("spawn")
    with maker() as url:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            accounts = pool.submit(fill_all, url).result()
        for via in options.via:
            with ExitStack() as stack:
                bench = Bench(url, via, accounts, stack)
                bench.slice("", 3.0)  # warms up
                found: Measured = {attack: [] for attack in ("", *options.attack)}
                order = [each for a in options.attack for each in ("", a)]
                for attack in tqdm(order * options.rounds, desc=f"{name}, {via}"):
                    found[attack].append(bench.slice(attack, options.seconds))
                measured[f"{name}, {via}"] = found
    return measured


# --- The report -----------------------------------------------------------------


def p99(slices: list[Seen], call: str) -> float:
    ordered = sorted(each for seen in slices for each in seen.latencies[call])
    return ordered[min(len(ordered) * 99 // 100, len(ordered) - 1)]


def growth(measured: Measured, attack: str) -> float:
    """Return how many MiB more the process used during the attack than before any.

    People also sign in before an attack, and hashing a password takes 100 MiB by
    design.
    """
    idle, attacked = measured[""][0], measured[attack]
    return max(seen.memory for seen in attacked) - idle.memory


def times(measured: Measured, attack: str, call: str) -> float:
    alone = max(p99(measured[""], call), LEAST[call])
    return p99(measured[attack], call) / alone


HEAD = (
    "attack",
    *(f"{c} p99 ms (x alone)" for c in PER_SECOND),
    "errors",
    "MiB",
    "descriptors",
)


def rows_of(measured: Measured) -> Iterator[list[str]]:
    for attack, slices in measured.items():
        yield [
            attack or "alone",
            *(
                f"{p99(slices, call):.1f} ({times(measured, attack, call):.2f})"
                for call in PER_SECOND
            ),
            str(sum(seen.errors for seen in slices)),
            f"{growth(measured, attack):.0f}",
            str(max(seen.descriptors for seen in slices)),
        ]


def verdicts(everything: dict[str, Measured]) -> Iterator[Verdict]:
    for name, measured in everything.items():
        for attack, slices in measured.items():
            if not attack:
                continue
            worst = max(round(times(measured, attack, c), 2) for c in PER_SECOND)
            errors = sum(seen.errors for seen in slices)
            memory = growth(measured, attack)
            kept = max(seen.descriptors for seen in slices)
            figure = f"{worst:.2f}, {errors} errors, {memory:.0f} MiB, {kept} kept"
            is_met = worst <= MOST and not errors and memory <= MOST_MEMORY and not kept
            goal = f"{name}, {attack}: p99 ÷ alone ≤ {MOST:g}, ≤ {MOST_MEMORY} MiB"
            yield Verdict(goal, figure, is_met)


def write_page(everything: dict[str, Measured]) -> None:
    parts = [HOW, goals_table(verdicts(everything)), ""]
    for name, measured in everything.items():
        parts += [f"### {name}\n", charts.markdown_table(HEAD, rows_of(measured)), ""]
    write_section("bench.proofs.fairness", "One hostile account", "\n".join(parts))


HOW = f"""
Latency of the others' sends and pages, 20 a second each, and sign-ins, 2 a second, at
one process, while one account attacks from an address of its own. Where a call alone
has a p99 below {LEAST["send"]:g} ms ({LEAST["sign-in"]:g} for a sign-in), that is what
it is compared with. `python -m bench.proofs.fairness --write` measures again.
"""


def arguments() -> argparse.Namespace:
    parser = parser_of("bench.proofs.fairness", __doc__)
    add = parser.add_argument
    add("--rounds", type=int, help="slices of each attack (2)")
    add("--seconds", type=float, help="of each slice (8)")
    add("--attack", nargs="+", choices=list(ATTACKS), default=list(ATTACKS))
    add("--via", nargs="+", choices=VIAS, default=list(VIAS))
    add_usual(parser, quick="1 slice of 4 seconds of each")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 2)
    options.seconds = options.seconds or (4.0 if options.quick else 8.0)
    if "nginx" in options.via and not shutil.which("nginx"):
        parser.error("nginx is not installed; try --via directly")
    return options


def main() -> None:
    options = arguments()
    print(f"{CORES} processors; load before: {os.getloadavg()[0]:.1f}")
    measured = {}
    for name, maker in makers(options).items():
        measured |= measure(name, maker, options)
    for name, found in measured.items():
        print(f"\n{name}")
        print_rows(HEAD, rows_of(found))
    if options.write:
        write_page(measured)
    finish(verdicts(measured))


if __name__ == "__main__":
    main()
