"""Examples for the schema, all from the same conversation."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer

NINA_ID = "01a20a3a-7aa8-7c6e-9a53-0f6d3c1b2a10"
OMAR_ID = "01a20a3a-80bd-7d11-8e42-5b7a9c0d1e2f"
PICNIC_ID = "01a20a3a-8ed4-7b3c-a1f0-6c2d4e8f9a0b"
MESSAGE_ID = "01a20a3a-8f4d-7e5d-b2c3-7d8e9f0a1b2c"
CLIENT_ID = "3f2b8c1e-9d4a-4e6f-8a7b-1c2d3e4f5a6b"
NOON = "2026-11-23T12:00:00.000000Z"

SIGN_UP = {
    "username": "nina",
    "email": "nina@example.org",
    "password": "quiet-Meadow-42",
    "first_name": "Nina",
    "last_name": "Example",
}
LOGIN = {"username": "nina", "password": "quiet-Meadow-42"}
ISSUE_TOKEN = {**LOGIN, "name": "laptop"}
PROOF = {"current_password": "quiet-Meadow-42"}
START = {
    "participant_ids": [OMAR_ID],
    "title": "Picnic",
    "client_id": "7c1d5e2a-4b8f-4c3d-9e6a-0f1b2c3d4e5f",
}
SEND = {
    "conversation": PICNIC_ID,
    "message_body": "Saturday at noon?",
    "client_id": CLIENT_ID,
}

PUBLIC_USER = {
    "user_id": NINA_ID,
    "username": "nina",
    "first_name": "Nina",
    "last_name": "Example",
    "role": "guest",
    "is_online": True,
    "last_seen_at": NOON,
}
USER = PUBLIC_USER | {
    "email": "nina@example.org",
    "phone_number": None,
    "created_at": NOON,
    "updated_at": NOON,
}
NEW_TOKEN = {
    "token_id": "01a20a3a-9001-7a2b-8c3d-8e9f0a1b2c3d",
    "name": "laptop",
    "prefix": "Zk3vQ8aB",
    "created_at": NOON,
    "expires_at": "2027-11-23T12:00:00.000000Z",
    "last_used_at": None,
    "token": "Zk3vQ8aB-shown-this-once",
}
MESSAGE = {
    "message_id": MESSAGE_ID,
    "conversation": PICNIC_ID,
    "sender": PUBLIC_USER,
    "seq": 1,
    "message_body": "Saturday at noon?",
    "sent_at": NOON,
    "edited_at": None,
    "deleted_at": None,
    "is_read": True,
    "client_id": CLIENT_ID,
}
PARTICIPANT = PUBLIC_USER | {
    "joined_at": NOON,
    "joined_seq": 0,
    "last_read_seq": 1,
}
CONVERSATION = {
    "conversation_id": PICNIC_ID,
    "title": "Picnic",
    "owner": NINA_ID,
    "participants": [PARTICIPANT],
    "participant_count": 2,
    "last_message": MESSAGE,
    "last_seq": 1,
    "last_read_seq": 1,
    "unread_count": 0,
    "created_at": NOON,
    "updated_at": NOON,
    "can": dict.fromkeys(("send", "rename", "add", "remove", "delete"), True),
}
CONVERSATION_DETAIL = CONVERSATION | {"messages": [MESSAGE]}
MARKED = {
    "conversation_id": PICNIC_ID,
    "last_read_seq": 1,
    "marked": 1,
    "unread_count": 0,
}
EVENT_PAGE = {
    "events": [
        {
            "id": "1-2",
            "type": "message.created",
            "conversation_id": PICNIC_ID,
            "created_at": NOON,
            "actor_id": NINA_ID,
            "message": {k: v for k, v in MESSAGE.items() if k != "is_read"},
        }
    ],
    "cursor": "1-2",
    "more": False,
}


def shown_as(example: dict[str, Any], **options: Any):
    """Decorate a serializer with its example and other options for the schema."""
    return extend_schema_serializer(
        examples=[OpenApiExample("Example", example)], **options
    )
