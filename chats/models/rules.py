"""What a participant may do in a conversation and to its messages: the one table of it.

Services check it under the conversation's lock; responses show it as ``can``.
"""

from enum import Enum, auto
from typing import NamedTuple
from uuid import UUID

from chats.web.exceptions import NotAllowed


class Role(Enum):
    """The part that somebody has in a conversation."""

    OWNER = auto()
    PARTICIPANT = auto()


class Participation(NamedTuple):
    """The columns that a participant's rights depend on.

    ``owner_id`` is the conversation's.
    """

    user_id: UUID
    owner_id: UUID | None

    @property
    def role(self) -> Role:
        return Role.OWNER if self.user_id == self.owner_id else Role.PARTICIPANT


class Rule(NamedTuple):
    """The roles that may do something, and the error for everyone else.

    With ``is_for_sender``, so may the sender of the message it is done to. Such acts
    differ by message and are not part of ``can``.
    """

    roles: frozenset[Role]
    refusal: str = ""
    is_for_sender: bool = False


EVERYONE = frozenset(Role)
OWNER = frozenset({Role.OWNER})
NO_ROLE: frozenset[Role] = frozenset()

RULES = {
    "send": Rule(EVERYONE),
    "rename": Rule(EVERYONE),
    "add": Rule(EVERYONE),
    "remove": Rule(OWNER, "Only the owner can remove other participants."),
    "delete": Rule(
        OWNER, "Only the owner can delete a conversation; others can leave it."
    ),
    "edit_message": Rule(
        NO_ROLE, "Only the sender can edit a message.", is_for_sender=True
    ),
    "delete_message": Rule(
        OWNER,
        "Only the sender or the conversation's owner can delete a message.",
        is_for_sender=True,
    ),
}
_CAN = {
    role: {
        act: role in rule.roles for act, rule in RULES.items() if not rule.is_for_sender
    }
    for role in Role
}


def can(participation: Participation) -> dict[str, bool]:
    """Return whether the participant may do each of the acts in the conversation."""
    return _CAN[participation.role].copy()


def require(
    act: str, participation: Participation, *, sender_id: UUID | None = None
) -> None:
    """Raise NotAllowed unless the participant may do this.

    ``sender_id`` is the sender of the message that it is done to.
    """
    rule = RULES[act]
    is_sender = rule.is_for_sender and participation.user_id == sender_id
    if participation.role not in rule.roles and not is_sender:
        raise NotAllowed(rule.refusal)
