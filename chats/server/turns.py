"""Who is served next: threads that take the callers in turn, not the calls.

A caller with a hundred calls waiting holds up another's one call by the call that
runs, and by no more.
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
    """Nobody waits for the answer any more, so the call was not made."""


class Job(NamedTuple):
    """A call that waits for a thread; ``is_gone`` tells whether its client has left."""

    caller: Key
    future: Future
    function: Callable[..., Any]
    arguments: tuple
    is_gone: Callable[[], bool]

    def run(self) -> None:
        """Run the call, and give its result or its exception to the future."""
        if not self.future.set_running_or_notify_cancel():
            return
        if self.is_gone():
            self.future.set_exception(ClientGone())
            return
        try:
            result = self.function(*self.arguments)
        except BaseException as error:
            self.future.set_exception(error)
            # Not in a circle with its own traceback, in which the request's body would
            # wait for the garbage collection.
            self = None
        else:
            self.future.set_result(result)


class Turns:
    """Items by caller, taken in turn: one of each before the second of any.

    Within a caller the parts of their calls take turns likewise, and within a part
    the first comes first. Not safe for threads.
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
        """Return the next item of the first caller who may have one; else None."""
        name = next(filter(may_take, self._queues), None)
        if name is None:
            return None
        queue = self._queues.pop(name)
        item = queue.take() if isinstance(queue, Turns) else queue.popleft()
        if queue:
            self._queues[name] = queue
        return item


class FairPool:
    """A few threads, in which the callers take turns.

    One caller has at most half of the threads at a time, but always one. Any thread
    may call any method.
    """

    def __init__(
        self,
        threads: int,
        name: str,
        *,
        may_begin: Callable[[str], bool] = lambda caller: True,
        at_end: Callable[[], None] = lambda: None,
    ):
        """Make the pool; its threads start with the first call.

        ``may_begin`` is asked, in any thread, whether a caller's next call may begin;
        ``look_again`` says that the answer may have changed. ``at_end`` is called by
        each thread before it ends.
        """
        self._size, self._name = threads, name
        self._may_begin, self._at_end = may_begin, at_end
        self._most_of_one = max(1, threads // 2)
        self._lock = threading.Lock()
        self._turns = Turns()
        self._running: Counter[str] = Counter()
        self.threads: list[threading.Thread] = []
        # Each has a thread look for jobs until it finds none that it may take.
        self._tokens: SimpleQueue[bool] = SimpleQueue()

    async def run(
        self,
        caller: Key,
        function: Callable[..., Any],
        *arguments: Any,
        is_gone: Callable[[], bool] = lambda: False,
    ) -> Any:
        """Run the function in a thread when it is the caller's turn.

        Raises what the function raises, and ClientGone if the client had left before
        its turn came.
        """
        return await asyncio.wrap_future(  # no name refers to the future: see Job.run
            self.put(Job(caller, Future(), function, arguments, is_gone))
        )

    def put(self, job: Job) -> Future:
        """Have the job run when it is its caller's turn; return its future."""
        with self._lock:
            self._turns.put(job.caller, job)
            if not self.threads:
                self._start()
        self._tokens.put(True)
        return job.future

    def look_again(self) -> None:
        """Have the threads look for jobs that they passed over."""
        with self._lock:
            if self._turns:
                for _ in range(self._size):
                    self._tokens.put(True)

    def shutdown(self) -> None:
        """Let the threads end; what waits is cancelled, what is put later not run."""
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
