"""What a participant may do in a conversation: the one table of it.

Services ask it under the conversation's lock; answers show it as ``can``.
"""

from uuid import UUID

from chats.web.exceptions import NotAllowed

# What the owner alone may do, and what the others are told.
OWNERS_ONLY = {
    "remove": "Only the owner can remove other participants.",
    "delete": "Only the owner can delete a conversation; others can leave it.",
}
OWNER_CAN = dict.fromkeys(("send", "rename", "add", "remove", "delete"), True)
OTHERS_CAN = {act: act not in OWNERS_ONLY for act in OWNER_CAN}


def capabilities(owner_id: UUID | None, participant_id: UUID) -> dict[str, bool]:
    """Return what a participant may do; participation itself is the caller's check."""
    can = OWNER_CAN if participant_id == owner_id else OTHERS_CAN
    return can.copy()


def require(act: str, owner_id: UUID | None, participant_id: UUID) -> None:
    """Raise NotAllowed unless the participant may do this."""
    if not capabilities(owner_id, participant_id)[act]:
        raise NotAllowed(OWNERS_ONLY[act])
