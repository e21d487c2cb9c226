"""What each role may do, in a conversation and to its messages."""

import uuid

import pytest

from chats.models.rules import RULES, Participation, can, require
from chats.web.exceptions import NotAllowed

OWNER_ID, OTHER_ID = uuid.uuid4(), uuid.uuid4()
OWNER = Participation(OWNER_ID, owner_id=OWNER_ID)
OTHER = Participation(OTHER_ID, owner_id=OWNER_ID)


def allowed(participation: Participation, **what) -> set[str]:
    """Return the acts that are not refused."""
    acts = set()
    for act in RULES:
        try:
            require(act, participation, **what)
        except NotAllowed:
            continue
        acts.add(act)
    return acts


@pytest.mark.parametrize(
    ("participation", "sender_id", "acts"),
    [
        (OWNER, OTHER_ID, {"remove", "delete", "delete_message"}),
        (OWNER, OWNER_ID, {"remove", "delete", "delete_message", "edit_message"}),
        (OTHER, OTHER_ID, {"delete_message", "edit_message"}),
        (OTHER, OWNER_ID, set()),
    ],
)
def test_owner_and_sender_may_do_what_others_may_not(participation, sender_id, acts):
    everyones = {"send", "rename", "add"}

    assert allowed(participation, sender_id=sender_id) == everyones | acts


@pytest.mark.parametrize("participation", [OWNER, OTHER])
def test_can_agrees_with_what_is_required(participation):
    shown = can(participation)

    assert {act for act in shown if shown[act]} == allowed(participation) & set(shown)


def test_refusal_says_who_may():
    with pytest.raises(NotAllowed, match=r"^Only the sender can edit a message\.$"):
        require("edit_message", OWNER, sender_id=OTHER_ID)


def test_nobody_owns_a_conversation_without_an_owner():
    assert not can(Participation(OTHER_ID, owner_id=None))["delete"]
