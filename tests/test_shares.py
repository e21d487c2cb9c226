"""What one caller may have under way: calls, and bytes in memory."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from chats import shares as shares_module
from chats.shares import Busy, Share, Shares


@pytest.fixture
def shares(monkeypatch) -> Shares:
    monkeypatch.setattr(shares_module, "MOST_CALLS", 2)
    monkeypatch.setattr(shares_module, "MOST_CALLS_OF_ALL", 3)
    monkeypatch.setattr(shares_module, "MOST_BYTES", 100)
    monkeypatch.setattr(shares_module, "MOST_BYTES_OF_ALL", 250)
    return Shares()


def run(test: Coroutine) -> Any:
    return asyncio.run(asyncio.wait_for(test, 10))


def test_calls_of_a_caller_and_of_all_are_bounded(shares):
    with shares.call_of("mallory"), shares.call_of("mallory"):
        with pytest.raises(Busy), shares.call_of("mallory"):
            pytest.fail("let in")
        with shares.call_of("alice"), pytest.raises(Busy), shares.call_of("bob"):
            pytest.fail("let in")
        with shares.call_of("alice"):
            pass

    assert shares._shares == {}


async def hold(shares: Shares, share: Share, size: int, log: list, go) -> None:
    await shares.take_room(share, size)
    log.append(size)
    await go.wait()
    shares.give_room_back(share, size)


def test_bytes_of_a_caller_wait_for_room(shares):
    async def three_bodies() -> list[list[int]]:
        log, go, seen = [], asyncio.Event(), []
        with shares.call_of("mallory") as share, shares.call_of("alice") as other:
            sizes = [(share, 60), (share, 50), (other, 90)]
            holds = [
                asyncio.create_task(hold(shares, who, size, log, go))
                for who, size in sizes
            ]
            await asyncio.sleep(0)
            seen.append(list(log))
            go.set()
            await asyncio.gather(*holds)
        return [*seen, log]

    assert run(three_bodies()) == [[60, 90], [60, 90, 50]]
    assert (shares.size, shares._shares) == (0, {})


def test_one_body_is_let_in_whatever_its_size(shares):
    async def one() -> None:
        with shares.call_of("alice") as share:
            await shares.take_room(share, 240)
            assert share.size == 240

    run(one())


def test_bytes_of_all_are_bounded(shares):
    async def two() -> None:
        with shares.call_of("alice") as share, shares.call_of("mallory") as other:
            await shares.take_room(other, 200)
            await shares.take_room(share, 50)
            with pytest.raises(Busy):
                await shares.take_room(share, 1)

    run(two())


def test_caller_has_no_room_until_answers_are_read(monkeypatch):
    monkeypatch.setattr(shares_module, "MOST_BYTES", 100)
    told = []
    shares = Shares(on_room=lambda: told.append(shares.has_room("mallory")))

    with shares.call_of("mallory") as share:
        with shares.unread(share, 60, cut=int), shares.unread(share, 60, cut=int):
            unread = shares.has_room("mallory"), shares.has_room("alice")
        assert (unread, told) == ((False, True), [True])


def test_oldest_answer_of_the_caller_with_the_most_is_cut(shares):
    cut = []
    with shares.call_of("mallory") as much, shares.call_of("alice") as little:
        with (
            shares.unread(much, 90, lambda: cut.append("mallory's first")),
            shares.unread(much, 90, lambda: cut.append("mallory's second")),
            shares.unread(little, 71, lambda: cut.append("alice's")),
        ):
            assert cut == ["mallory's first"]
        assert shares.size == 0


def test_refusals_of_a_caller_come_at_intervals(shares, monkeypatch):
    monkeypatch.setattr(shares_module, "REFUSE_AFTER", 0.02)
    monkeypatch.setattr(shares_module, "REFUSE_EVERY", 0.02)

    async def refuse() -> list[float]:
        clock = asyncio.get_running_loop().time
        began, ended = clock(), []

        async def one(caller: str) -> None:
            await shares.delay_refusal(caller)
            ended.append((caller, round((clock() - began) / 0.02)))

        await asyncio.gather(*(one(caller) for caller in ("m", "m", "m", "a")))
        return ended

    ended = run(refuse())

    waits = {caller: [n for who, n in ended if who == caller] for caller in "ma"}
    assert waits["m"] == sorted(waits["m"])
    assert waits["m"][2] >= 3
    assert waits["a"][0] < waits["m"][2]
    assert shares._shares == {}
