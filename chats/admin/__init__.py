"""The Django admin, one module a concept; ``chats.services`` makes all changes."""

from chats.admin import (
    audit,
    conversations,
    events,
    groups,
    messages,
    participants,
    sign_in,
    site,
    users,
)

__all__ = [
    "audit",
    "conversations",
    "events",
    "groups",
    "messages",
    "participants",
    "sign_in",
    "site",
    "users",
]
