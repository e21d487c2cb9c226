"""Bodies of calls and of answers, as the contract has them."""

from datetime import datetime

from chats.models import Conversation, Message, Participant, User
from tests.support.factories import PASSWORD

SIGN_UP = {
    "username": "carol",
    "email": "carol@example.org",
    "password": PASSWORD,
    "first_name": "Carol",
    "last_name": "Jones",
}
# What createsuperuser asks for beside the username.
SUPERUSER = {"email": "root@example.org", "first_name": "Ada", "last_name": "Root"}
UNAUTHENTICATED = {
    "detail": "Authentication credentials were not provided.",
    "code": "not_authenticated",
}
REQUIRED = ["This field is required."]
NULL = ["This field may not be null."]
OWNER_CAN = {"send": True, "rename": True, "add": True, "remove": True, "delete": True}
GUEST_CAN = OWNER_CAN | {"remove": False, "delete": False}


def no_choice(value: str) -> list[str]:
    return [f"Select a valid choice. {value} is not one of the available choices."]


def rfc3339(time: datetime | None) -> str | None:
    return time and time.isoformat().replace("+00:00", "Z")


def user_body(user: User, *, is_online: bool = True) -> dict:
    """Return what everybody may know of a person."""
    return {
        "user_id": str(user.pk),
        "username": user.username,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "role": user.role,
        "is_online": is_online,
        "last_seen_at": rfc3339(user.last_seen_at),
    }


def message_body(message: Message, *, is_read: bool = True) -> dict:
    """Return the body of a message as one reader gets it."""
    return {
        "message_id": str(message.pk),
        "conversation": str(message.conversation_id),
        "sender": user_body(message.sender),
        "seq": message.seq,
        "message_body": message.message_body,
        "sent_at": rfc3339(message.sent_at),
        "edited_at": rfc3339(message.edited_at),
        "deleted_at": rfc3339(message.deleted_at),
        "client_id": message.client_id and str(message.client_id),
        "is_read": is_read,
    }


def participant_body(participant: Participant) -> dict:
    return user_body(participant.user) | {
        "joined_at": rfc3339(participant.joined_at),
        "joined_seq": participant.joined_seq,
        "last_read_seq": participant.last_read_seq,
    }


def conversation_body(conversation: Conversation, reader: User) -> dict:
    """Return a conversation of at most 10 participants as ``reader`` gets it."""
    conversation = Conversation.objects.get(pk=conversation.pk)
    people = conversation.participations.select_related("user").order_by("id")
    last = conversation.messages.order_by("seq").last()
    cursor = people.get(user=reader).last_read_seq
    return {
        "conversation_id": str(conversation.pk),
        "title": conversation.title,
        "owner": str(conversation.owner_id),
        "participants": [participant_body(person) for person in people],
        "participant_count": len(people),
        "last_message": last and message_as_read_by(reader, last, cursor),
        "last_seq": last.seq if last else 0,
        "created_at": rfc3339(conversation.created_at),
        "updated_at": rfc3339(conversation.updated_at),
        "last_read_seq": cursor,
        "unread_count": conversation.messages.filter(seq__gt=cursor).count(),
        "can": OWNER_CAN if conversation.owner == reader else GUEST_CAN,
    }


def detail_body(conversation: Conversation, reader: User) -> dict:
    """Return a conversation of at most 50 messages as ``reader`` gets it."""
    cursor = conversation.participations.get(user=reader).last_read_seq
    newest_first = conversation.messages.order_by("-seq")
    return conversation_body(conversation, reader) | {
        "messages": [
            message_as_read_by(reader, message, cursor) for message in newest_first
        ]
    }


def message_as_read_by(reader: User, message: Message, cursor: int) -> dict:
    is_read = message.sender == reader or message.seq <= cursor
    return message_body(message, is_read=is_read)
