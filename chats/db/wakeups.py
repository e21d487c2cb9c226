"""Wake-ups from writers to the hub of the same process.

A lost wake-up delays events but loses none: the hub reads the log every second anyway.
A typing signal may be lost, because it is worthless a moment later.
"""

from collections.abc import Callable
from typing import Protocol
from uuid import UUID, uuid4

# Tells this process's own notifications from those of others.
PROCESS_ID = uuid4().hex


class Listener(Protocol):
    """Called in the writer's thread: must be quick and may not raise."""

    def notify_new_events(self) -> None: ...

    def notify_typing(self, conversation_id: UUID, user_id: UUID) -> None: ...


_listeners: list[Listener] = []


def attach(listener: Listener) -> Callable[[], None]:
    """Notify ``listener`` of commits that appended events, and of users who are typing.

    Return a function that detaches it again.
    """
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


def notify_new_events() -> None:
    """Notify the listeners that the log has grown."""
    for listener in tuple(_listeners):
        listener.notify_new_events()


def notify_typing(conversation_id: UUID, user_id: UUID) -> None:
    """Notify the listeners that somebody is typing."""
    for listener in tuple(_listeners):
        listener.notify_typing(conversation_id, user_id)
