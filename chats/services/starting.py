"""Starting a conversation once, however often a client retries."""

import hashlib
import json
from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef

from chats.models import Participant, StartedConversation, User
from chats.services.conversations import locked_people, start_conversation
from chats.web.exceptions import Conflict


def start_conversation_once(
    actor: User,
    *,
    participant_ids: Iterable[UUID],
    title: str = "",
    client_id: UUID | None = None,
) -> tuple[UUID, bool]:
    """Start a conversation, unless the actor did so with this ``client_id`` before.

    Under the actor's lock: of several such calls at once, one starts it. Returns its
    id and whether it is new. Raises Conflict if the first call asked for something
    different, or if the actor no longer takes part because the conversation was deleted
    or left. Raises ChatError as ``start_conversation`` does.
    """
    ids = {*participant_ids, actor.pk}
    if client_id is None:
        return start_conversation(actor, participant_ids=ids, title=title).pk, True
    return _start_once(actor, ids, title, client_id)


@transaction.atomic
def _start_once(
    actor: User, ids: set[UUID], title: str, client_id: UUID
) -> tuple[UUID, bool]:
    locked_people(ids)
    asked = _digest(ids, title)
    first = StartedConversation.objects.filter(user=actor, client_id=client_id).first()
    if first:
        _require_same(first, asked)
        return first.conversation_id, False
    conversation = start_conversation(actor, participant_ids=ids, title=title)
    StartedConversation.objects.create(
        user=actor,
        client_id=client_id,
        conversation_id=conversation.pk,
        digest=asked,
    )
    return conversation.pk, True


def count_strangers(actor: User, user_ids: Iterable[UUID]) -> int:
    """Return how many of these active users share no conversation with the actor.

    It looks each of their conversations up in participant_unique, until one is shared:
    SQLite would collect all of the actor's again for each user.
    """
    mine = Participant.objects.filter(
        user=actor, conversation_id=OuterRef("conversation_id")
    )
    shared = Participant.objects.filter(Exists(mine), user_id=OuterRef("pk"))
    people = User.objects.active().filter(~Exists(shared), pk__in=list(user_ids))
    return people.exclude(pk=actor.pk).count()


def _require_same(first: StartedConversation, asked: str) -> None:
    if first.digest != asked:
        raise Conflict("This client_id was used for another conversation.")
    taking_part = Participant.objects.filter(
        conversation_id=first.conversation_id, user_id=first.user_id
    )
    if not taking_part.exists():
        raise Conflict(
            "The conversation started with this client_id was deleted, or you left it."
        )


def _digest(participant_ids: set[UUID], title: str) -> str:
    """Return a digest of the request, which does not depend on the order of the ids."""
    asked = json.dumps([title, sorted(map(str, participant_ids))])
    return hashlib.sha256(asked.encode()).hexdigest()
