"""The bell between writers and the hub of the same process.

A lost ring costs latency, never an event: the hub looks by itself every so often.
"""

from collections.abc import Callable

_listeners: list[Callable[[], None]] = []


def on_ring(listener: Callable[[], None]) -> None:
    """Have ``listener`` called after every commit that appended events.

    It is called in the writer's thread: it must be quick and may not raise.
    """
    _listeners.append(listener)


def off_ring(listener: Callable[[], None]) -> None:
    """Undo ``on_ring``."""
    _listeners.remove(listener)


def ring() -> None:
    """Tell every listener that the log has grown."""
    for listener in tuple(_listeners):
        listener()
