"""Callers take turns: nobody waits for the calls that another has queued."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest

from chats.server.turns import ClientGone, FairPool, Job, Turns
from tests.support.servers import PATIENCE


def take_all(turns: Turns) -> list:
    return list(iter(turns.take, None))


def test_callers_take_turns_and_each_keeps_its_order():
    turns = Turns()
    for item in ("a1", "a2", "a3", "b1", "c1", "c2"):
        turns.put((item[0],), item)

    assert take_all(turns) == ["a1", "b1", "c1", "a2", "c2", "a3"]
    assert not turns


def test_parts_of_a_caller_share_the_turn_of_the_caller():
    turns = Turns()
    for name in ("x", "y", "x", "z"):
        turns.put(("many", name), name)
    turns.put(("one", "w"), "w")

    assert take_all(turns) == ["x", "w", "y", "z", "x"]


def test_caller_who_may_not_is_passed_over_and_keeps_the_turn():
    turns = Turns()
    for caller in ("a", "a", "b"):
        turns.put((caller,), caller)

    taken = [turns.take(lambda name: name != "a"), turns.take(), turns.take()]

    assert taken == ["b", "a", "a"]
    assert turns.take() is None


# --- Threads -------------------------------------------------------------------


class Calls:
    """Calls that note that they run, and then wait until they are let go."""

    def __init__(self):
        self.order: list[str] = []
        self._go = threading.Semaphore(0)
        self._begun = threading.Semaphore(0)

    def make(self, name: str) -> Callable[[], None]:
        def call() -> None:
            self.order.append(name)
            self._begun.release()
            assert self._go.acquire(timeout=PATIENCE)

        return call

    def wait_for(self, count: int) -> None:
        """Wait until so many more calls have begun."""
        for _ in range(count):
            assert self._begun.acquire(timeout=PATIENCE)

    def let_go(self, count: int = 1) -> None:
        self._go.release(count)


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture(params=[1])
def pool(request) -> Iterator[FairPool]:
    pool = FairPool(request.param, "test")
    yield pool
    pool.shutdown()
    for thread in pool.threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def put(pool: FairPool, caller: str, call: Callable, is_gone=lambda: False) -> Future:
    return pool.put(Job((caller,), Future(), call, (), is_gone))


def test_another_caller_waits_for_the_running_call_only(pool, calls):
    waiting = [put(pool, "mallory", calls.make(f"m{n}")) for n in range(4)]
    calls.wait_for(1)
    waiting.append(put(pool, "alice", calls.make("alice")))
    calls.let_go(5)
    for future in waiting:
        future.result(PATIENCE)

    # One more of mallory's was next before alice came.
    assert calls.order == ["m0", "m1", "alice", "m2", "m3"]


@pytest.mark.parametrize("pool", [4], indirect=True)
def test_caller_has_half_of_the_threads_at_most(pool, calls):
    own = [put(pool, "mallory", calls.make("mallory")) for _ in range(4)]
    calls.wait_for(2)
    other = [put(pool, "alice", calls.make("alice")) for _ in range(2)]
    calls.wait_for(2)

    assert sorted(calls.order) == ["alice", "alice", "mallory", "mallory"]

    calls.let_go(6)
    for future in own + other:
        future.result(PATIENCE)
    assert calls.order.count("mallory") == 4


def test_call_whose_client_left_while_it_waited_is_not_made(pool, calls):
    running = put(pool, "mallory", calls.make("first"))
    calls.wait_for(1)
    left = [
        put(pool, "mallory", calls.make("left"), is_gone=lambda: True) for _ in range(3)
    ]
    last = put(pool, "mallory", calls.make("last"))
    calls.let_go(2)
    last.result(PATIENCE)

    assert running.result(PATIENCE) is None
    assert calls.order == ["first", "last"]
    for future in left:
        with pytest.raises(ClientGone):
            future.result(PATIENCE)


def test_call_is_awaited_with_its_result_or_its_exception(pool):
    async def both() -> tuple[int, str]:
        found = await pool.run(("alice",), divmod, 7, 2)
        try:
            await pool.run(("alice",), int, "x")
        except ValueError as error:
            return found, str(error)

    found, error = asyncio.run(both())

    assert found == (3, 1)
    assert error.startswith("invalid literal")


def test_caller_who_may_not_begin_waits_and_holds_up_nobody(calls):
    allowed = {"alice"}
    pool = FairPool(1, "test", may_begin=allowed.__contains__)
    own = [put(pool, "mallory", calls.make(f"m{number}")) for number in range(3)]
    put(pool, "alice", calls.make("alice"))
    calls.let_go(4)
    calls.wait_for(1)
    before = list(calls.order)

    allowed.add("mallory")
    pool.look_again()
    for future in own:
        future.result(PATIENCE)

    assert (before, calls.order) == (["alice"], ["alice", "m0", "m1", "m2"])
    pool.shutdown()


def test_threads_do_their_last_before_they_end():
    ended = threading.Event()
    pool = FairPool(1, "test", at_end=ended.set)
    put(pool, "alice", int).result(PATIENCE)

    pool.shutdown()

    assert ended.wait(PATIENCE)


# --- Memory --------------------------------------------------------------------


class Body:
    """What a call would keep in memory."""


def fail(body: Body) -> None:
    raise ValueError


@pytest.mark.parametrize(
    ("is_gone", "error"), [(False, ValueError), (True, ClientGone)], ids=str
)
def test_call_that_fails_leaves_its_body_to_no_garbage_collection(is_gone, error):
    """Its exception and its future held each other, and the request's body."""
    pool, body = FairPool(1, "test"), Body()
    seen = weakref.ref(body)

    async def call_once(body: Body) -> None:
        with pytest.raises(error):
            await pool.run(("a",), fail, body, is_gone=lambda: is_gone)

    gc.disable()
    try:
        asyncio.run(call_once(body))
        # The thread forgets a job with the next one.
        asyncio.run(pool_runs(pool))
        del body
        assert seen() is None
    finally:
        gc.enable()
        pool.shutdown()


async def pool_runs(pool: FairPool) -> None:
    await pool.run(("a",), int)
