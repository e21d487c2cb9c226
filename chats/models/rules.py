"""What a participant may do in a conversation, in one table.

Services check it under the conversation's lock; responses show it as ``can``.
"""

from uuid import UUID

from chats.web.exceptions import NotAllowed

# Acts that only the owner may do, each with the message for other participants.
OWNERS_ONLY = {
    "remove": "Only the owner can remove other participants.",
    "delete": "Only the owner can delete a conversation; others can leave it.",
}
OWNER_CAN = dict.fromkeys(("send", "rename", "add", "remove", "delete"), True)
OTHERS_CAN = {act: act not in OWNERS_ONLY for act in OWNER_CAN}


def capabilities(owner_id: UUID | None, participant_id: UUID) -> dict[str, bool]:
    """Return what a participant may do; the caller has checked that they are one."""
    can = OWNER_CAN if participant_id == owner_id else OTHERS_CAN
    return can.copy()


def require(act: str, owner_id: UUID | None, participant_id: UUID) -> None:
    """Raise NotAllowed unless the participant may do ``act``."""
    if not capabilities(owner_id, participant_id)[act]:
        raise NotAllowed(OWNERS_ONLY[act])
