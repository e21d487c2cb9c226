"""The database schema: tables, constraints, indexes and their querysets."""

from chats.models.activity import HourlyCount
from chats.models.audit import AuditEntry
from chats.models.conversations import Conversation, StartedConversation
from chats.models.events import Event, EventLog, TypingSignal
from chats.models.messages import Message
from chats.models.participants import Participant, PastParticipant
from chats.models.sessions import UserSession
from chats.models.sign_in import AccessToken, SignInAttempts
from chats.models.users import User

__all__ = [
    "AccessToken",
    "AuditEntry",
    "Conversation",
    "Event",
    "EventLog",
    "HourlyCount",
    "Message",
    "Participant",
    "PastParticipant",
    "SignInAttempts",
    "StartedConversation",
    "TypingSignal",
    "User",
    "UserSession",
]
