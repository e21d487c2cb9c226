"""The bell between writers and the hub of the same process.

A lost ring costs latency, never an event: the hub looks by itself every so often.
A whisper (somebody types) is worth nothing later, and may be lost.
"""

from collections.abc import Callable
from typing import Protocol
from uuid import UUID, uuid4

# Tells this process's own notifications from those of others.
PROCESS_ID = uuid4().hex


class Listener(Protocol):
    """Called in the writer's thread: must be quick and may not raise."""

    def ring(self) -> None: ...

    def whisper(self, conversation_id: UUID, user_id: UUID) -> None: ...


_listeners: list[Listener] = []


def attach(listener: Listener) -> Callable[[], None]:
    """Have ``listener`` told of every commit that appended events, and of whispers.

    Returns what undoes it.
    """
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


def ring() -> None:
    """Tell the listeners that the log has grown."""
    for listener in tuple(_listeners):
        listener.ring()


def whisper(conversation_id: UUID, user_id: UUID) -> None:
    """Tell the listeners that somebody types."""
    for listener in tuple(_listeners):
        listener.whisper(conversation_id, user_id)
