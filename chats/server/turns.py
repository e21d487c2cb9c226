"""Fair scheduling: a thread pool that serves callers in turn.

A caller with a hundred waiting calls delays another caller's call only by the one that
is running.
"""

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, NamedTuple

STOP = False  # the token that ends a thread
Key = tuple[str, ...]  # a caller, or a caller and a part of their calls


class ClientGone(Exception):
    """The client has disconnected, so the call was not made."""


class Job(NamedTuple):
    """A call that waits for a thread; ``is_gone()`` is whether its client has left."""

    caller: Key
    future: Future
    function: Callable[..., Any]
    arguments: tuple
    is_gone: Callable[[], bool]

    def run(self) -> None:
        """Make the call, and pass its result or exception to the future."""
        if not self.future.set_running_or_notify_cancel():
            return
        if self.is_gone():
            self.future.set_exception(ClientGone())
            return
        try:
            result = self.function(*self.arguments)
        except BaseException as error:
            self.future.set_exception(error)
            # This avoids a reference cycle with the exception's traceback, which would
            # keep the request's body in memory until a garbage collection.
            self = None
        else:
            self.future.set_result(result)


class Turns:
    """A round-robin queue: one item of each caller before the second of any caller.

    If a caller's key has parts, the parts take turns in the same way. The items of one
    key are first in, first out. Not thread-safe.
    """

    def __init__(self) -> None:
        self._queues: dict[str, Any] = {}  # the caller whose turn it is comes first

    def __bool__(self) -> bool:
        return bool(self._queues)

    def put(self, caller: Key, item: Any) -> None:
        name, *part = caller
        if name not in self._queues:
            self._queues[name] = Turns() if part else deque()
        if part:
            self._queues[name].put(tuple(part), item)
        else:
            self._queues[name].append(item)

    def take(self, may_take: Callable[[str], bool] = lambda name: True) -> Any:
        """Return the next item of the first caller that may have one, or None."""
        name = next(filter(may_take, self._queues), None)
        if name is None:
            return None
        queue = self._queues.pop(name)
        item = queue.take() if isinstance(queue, Turns) else queue.popleft()
        if queue:
            self._queues[name] = queue
        return item


class FairPool:
    """A small thread pool in which callers take turns.

    One caller may use at most half of the threads at a time, but at least one. Any
    thread may call any method.
    """

    def __init__(
        self,
        threads: int,
        name: str,
        *,
        may_begin: Callable[[str], bool] = lambda caller: True,
        at_end: Callable[[], None] = lambda: None,
    ):
        """Create the pool; its threads start with the first call.

        ``may_begin`` returns whether a caller's next call may begin. It is called in
        any thread; call ``look_again`` when its result may have changed. ``at_end`` is
        called by each thread before it ends.
        """
        self._size, self._name = threads, name
        self._may_begin, self._at_end = may_begin, at_end
        self._most_of_one = max(1, threads // 2)
        self._lock = threading.Lock()
        self._turns = Turns()
        self._running: Counter[str] = Counter()
        self.threads: list[threading.Thread] = []
        # Each token makes a thread take jobs until it finds none that it may take.
        self._tokens: SimpleQueue[bool] = SimpleQueue()

    async def run(
        self,
        caller: Key,
        function: Callable[..., Any],
        *arguments: Any,
        is_gone: Callable[[], bool] = lambda: False,
    ) -> Any:
        """Run the function in a thread when it is the caller's turn.

        Raises what the function raises, or ClientGone if the client had disconnected
        before the turn came.
        """
        return await asyncio.wrap_future(  # no name refers to the future: see Job.run
            self.put(Job(caller, Future(), function, arguments, is_gone))
        )

    def put(self, job: Job) -> Future:
        """Queue the job until its caller's turn; return its future."""
        with self._lock:
            self._turns.put(job.caller, job)
            if not self.threads:
                self._start()
        self._tokens.put(True)
        return job.future

    def look_again(self) -> None:
        """Make the threads check the jobs again that they could not take before."""
        with self._lock:
            if self._turns:
                for _ in range(self._size):
                    self._tokens.put(True)

    def shutdown(self) -> None:
        """End the threads; waiting jobs are cancelled, and later ones are not run."""
        with self._lock:
            while job := self._turns.take():
                job.future.cancel()
        for _ in self.threads:
            self._tokens.put(STOP)

    def _start(self) -> None:
        for number in range(self._size):
            name = f"{self._name}_{number}"
            thread = threading.Thread(target=self._serve, name=name, daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self) -> None:
        while self._tokens.get() is not STOP:
            while job := self._next():
                job.run()
                self._end(job.caller[0])
        self._at_end()

    def _next(self) -> Job | None:
        with self._lock:
            job = self._turns.take(self._may_run)
            if job is not None:
                self._running[job.caller[0]] += 1
            return job

    def _end(self, name: str) -> None:
        with self._lock:
            self._running[name] -= 1
            if not self._running[name]:
                del self._running[name]

    def _may_run(self, name: str) -> bool:
        return self._running[name] < self._most_of_one and self._may_begin(name)
