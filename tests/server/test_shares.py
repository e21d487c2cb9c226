"""What one caller may have under way: calls, and bytes in memory."""

import asyncio
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any

import pytest

from chats.server import shares as shares_module
from chats.server.shares import Busy, Share, Shares


@pytest.fixture
def shares(monkeypatch) -> Shares:
    monkeypatch.setattr(shares_module, "MOST_CALLS", 3)
    monkeypatch.setattr(shares_module, "MOST_CALLS_OF_ALL", 5)
    monkeypatch.setattr(shares_module, "FEW_CALLS", 1)
    monkeypatch.setattr(shares_module, "MOST_BYTES", 100)
    monkeypatch.setattr(shares_module, "MOST_BYTES_OF_ALL", 250)
    return Shares()


def run(test: Coroutine) -> Any:
    return asyncio.run(asyncio.wait_for(test, 10))


def refuses(shares: Shares, name: str) -> bool:
    try:
        with shares.call_of(name):
            return False
    except Busy:
        return True


def test_calls_of_a_caller_and_of_all_are_bounded(shares):
    with ExitStack() as stack:
        for name in ("mallory", "mallory", "mallory", "accomplice", "accomplice"):
            stack.enter_context(shares.call_of(name))

        assert refuses(shares, "mallory")
        assert refuses(shares, "accomplice")
        assert not refuses(shares, "alice")  # who has none under way

    assert shares._shares == {}
    assert shares.calls == 0


# --- Bytes ----------------------------------------------------------------------


async def send_body(shares: Shares, share: Share, size: int, log: list, go) -> None:
    await shares.announce(share, size)
    log.append(size)
    await go.wait()
    shares.withdraw(share, size)


def test_bodies_of_a_caller_wait_for_each_other(shares):
    async def three_bodies() -> list[list[int]]:
        log, go, seen = [], asyncio.Event(), []
        with shares.call_of("mallory") as share, shares.call_of("alice") as other:
            sizes = [(share, 60), (share, 50), (other, 90)]
            bodies = [
                asyncio.create_task(send_body(shares, who, size, log, go))
                for who, size in sizes
            ]
            await asyncio.sleep(0)
            seen.append(list(log))
            go.set()
            await asyncio.gather(*bodies)
        return [*seen, log]

    assert run(three_bodies()) == [[60, 90], [60, 90, 50]]
    assert shares._shares == {}


def test_one_body_is_let_in_whatever_its_size(shares):
    async def one() -> None:
        with shares.call_of("alice") as share:
            await shares.announce(share, 1000)
            assert share.announced == 1000

    run(one())


def test_caller_has_no_room_until_answers_are_read(monkeypatch):
    monkeypatch.setattr(shares_module, "MOST_BYTES", 100)
    told = []
    shares = Shares(on_room=lambda: told.append(shares.has_room("mallory")))

    with shares.hold("mallory", 60, cut=int), shares.hold("mallory", 60, cut=int):
        unread = shares.has_room("mallory"), shares.has_room("alice")

    with shares.hold("mallory", 120, cut=int, is_body=True):
        assert shares.has_room("mallory")  # a call must not wait for its own body
    assert (unread, told) == ((False, True), [True])
    assert (shares.size, shares._shares) == (0, {})


def test_oldest_that_the_caller_with_the_most_holds_is_cut(shares):
    cut = []
    with (
        shares.hold("mallory", 90, lambda: cut.append("mallory's first")),
        shares.hold("mallory", 90, lambda: cut.append("mallory's second")),
        shares.hold("alice", 60, lambda: cut.append("alice's")),
    ):
        before = list(cut)
        with shares.hold("bob", 11, lambda: cut.append("bob's")):
            assert (before, cut) == ([], ["mallory's first"])
            assert shares.size == 161  # what is cut off counts no more

    assert (shares.size, shares._shares) == (0, {})


def test_body_that_comes_counts_as_it_comes_and_can_be_cut(shares):
    cut = []
    with (
        shares.hold("mallory", 0, lambda: cut.append("mallory's")) as body,
        shares.hold("alice", 70, lambda: cut.append("alice's")),
    ):
        shares.grow(body, 150)
        assert (cut, shares.size) == ([], 220)
        shares.grow(body, 40)
        assert (cut, shares.size) == (["mallory's"], 70)
        shares.grow(body, 40)
        assert shares.size == 70


# --- Refusals -------------------------------------------------------------------


def test_refusals_of_a_caller_come_at_intervals_and_are_bounded(shares, monkeypatch):
    monkeypatch.setattr(shares_module, "REFUSE_AFTER", 0.02)
    monkeypatch.setattr(shares_module, "REFUSE_EVERY", 0.02)
    monkeypatch.setattr(shares_module, "MOST_REFUSALS", 3)

    async def refuse() -> list[tuple]:
        clock = asyncio.get_running_loop().time
        began, ended = clock(), []

        async def one(caller: str) -> None:
            is_sent = await shares.delay_refusal(caller)
            ended.append((caller, is_sent, round((clock() - began) / 0.02)))

        await asyncio.gather(*(one(caller) for caller in ("m", "m", "m", "m", "a")))
        return ended

    ended = run(refuse())

    waits = [wait for caller, is_sent, wait in ended if caller == "m" and is_sent]
    assert waits == sorted(waits)
    assert len(waits) == 3
    assert waits[2] >= 3
    assert ended[0] == ("m", False, 0)  # the fourth, at once
    assert shares._shares == {}
