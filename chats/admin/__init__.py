"""The Django admin: one file per concept; writes go through ``chats.services``."""

from chats.admin import (
    conversations,
    events,
    messages,
    participants,
    sign_in,
    site,
    users,
)

__all__ = [
    "conversations",
    "events",
    "messages",
    "participants",
    "sign_in",
    "site",
    "users",
]
