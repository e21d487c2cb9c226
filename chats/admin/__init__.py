"""The Django admin: one file per concept; writes go through ``chats.services``."""

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
