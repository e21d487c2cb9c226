"""What must be true of the rows, as SQL that finds the rows that break it.

Each statement runs on SQLite and PostgreSQL, over a range of ids (``low`` excluded,
``high`` included), and reads one snapshot. It may use the facts of the log: ``pruned``,
the last id that is no longer kept; ``newest``, the last id; ``since``, the time from
which on the log is complete.
"""

from dataclasses import dataclass
from enum import Enum


class Scope(Enum):
    """The table and the key of the ranges; empty if there are no ranges."""

    CONVERSATIONS = ("chats_conversation", "conversation_id")
    PEOPLE = ("chats_user", "user_id")
    LOG = ("", "")


@dataclass(frozen=True)
class Check:
    """One invariant. ``sql``, one statement or one for each database, selects the
    columns that ``finding`` names by position."""

    name: str
    rule: str
    finding: str
    sql: str | dict[str, str]
    scope: Scope = Scope.CONVERSATIONS


def within(table: str = "", key: str = "conversation_id") -> str:
    column = f"{table}.{key}" if table else key
    return f"{column} > %(low)s AND {column} <= %(high)s"


CONVERSATIONS = (
    Check(
        "seq",
        "Messages are numbered 1 to last_seq without a gap.",
        "conversation {0}: last_seq {1}, but {2} messages up to seq {3}",
        f"""
        SELECT c.conversation_id, c.last_seq, COALESCE(m.amount, 0), COALESCE(m.top, 0)
        FROM chats_conversation c LEFT JOIN (
            SELECT conversation_id, COUNT(*) AS amount, MAX(seq) AS top
            FROM chats_message WHERE {within()} GROUP BY conversation_id
        ) m ON m.conversation_id = c.conversation_id
        WHERE {within("c")} AND c.deleted_at IS NULL AND (
            COALESCE(m.amount, 0) <> c.last_seq OR COALESCE(m.top, 0) <> c.last_seq)
        """,
    ),
    Check(
        "sent_at",
        "Times rise with seq.",
        "conversation {0}: seq {1} was not sent later than the one before it",
        f"""
        SELECT conversation_id, seq FROM (
            SELECT conversation_id, seq, sent_at, LAG(sent_at) OVER (
                PARTITION BY conversation_id ORDER BY seq) AS earlier
            FROM chats_message WHERE {within()}
        ) AS m WHERE sent_at <= earlier
        """,
    ),
    Check(
        "last_message",
        "last_message is the message with seq = last_seq.",
        "conversation {0}: last_seq {1}, but last_message {2} has seq {3}",
        f"""
        SELECT c.conversation_id, c.last_seq, c.last_message_id, m.seq
        FROM chats_conversation c LEFT JOIN chats_message m
            ON m.message_id = c.last_message_id
            AND m.conversation_id = c.conversation_id
        WHERE {within("c")} AND c.deleted_at IS NULL AND (
            c.last_seq = 0 AND c.last_message_id IS NOT NULL
            OR c.last_seq <> 0 AND (m.seq IS NULL OR m.seq <> c.last_seq))
        """,
    ),
    Check(
        "last_read_seq",
        "Read cursors are from joined_seq to last_seq; joined_seq is at least 0.",
        "conversation {0}: {1} joined at seq {2} and has read up to {3} of {4}",
        f"""
        SELECT c.conversation_id, p.user_id, p.joined_seq, p.last_read_seq, c.last_seq
        FROM chats_participant p
        JOIN chats_conversation c ON c.conversation_id = p.conversation_id
        WHERE {within("p")}
        AND (p.joined_seq < 0 OR p.last_read_seq < p.joined_seq
            OR p.last_read_seq > c.last_seq)
        """,
    ),
    Check(
        "participant_count",
        "participant_count is the number of participants.",
        "conversation {0}: participant_count {1}, but {2} participants",
        f"""
        SELECT c.conversation_id, c.participant_count, COALESCE(p.amount, 0)
        FROM chats_conversation c LEFT JOIN (
            SELECT conversation_id, COUNT(*) AS amount
            FROM chats_participant WHERE {within()} GROUP BY conversation_id
        ) p ON p.conversation_id = c.conversation_id
        WHERE {within("c")} AND COALESCE(p.amount, 0) <> c.participant_count
        """,
    ),
    Check(
        "owner",
        "The owner is a participant; only empty conversations have no owner.",
        "conversation {0}: owner {1} is not a participant, or is missing",
        f"""
        SELECT c.conversation_id, c.owner_id FROM chats_conversation c
        LEFT JOIN chats_participant p
            ON p.conversation_id = c.conversation_id AND p.user_id = c.owner_id
        WHERE {within("c")} AND p.id IS NULL AND (
            c.owner_id IS NOT NULL
            OR EXISTS (SELECT 1 FROM chats_participant other
                WHERE other.conversation_id = c.conversation_id))
        """,
    ),
    Check(
        "conversation_absent",
        "Messages and participants belong to an existing conversation.",
        "conversation {0} does not exist, but has rows in {1}",
        f"""
        SELECT conversation_id, 'chats_message' FROM chats_message WHERE {within()}
        EXCEPT SELECT conversation_id, 'chats_message'
            FROM chats_conversation WHERE {within()}
        UNION ALL
        SELECT p.conversation_id, 'chats_participant' FROM chats_participant p
            LEFT JOIN chats_conversation c ON c.conversation_id = p.conversation_id
            WHERE {within("p")} AND c.conversation_id IS NULL
        """,
    ),
    Check(
        "deleted_conversation",
        "Deleted conversations have no participants, and at most their last messages.",
        "conversation {0} is deleted, but has {1} participants, or its {2} messages "
        "up to seq {3} are not the last of {4}",
        f"""
        SELECT c.conversation_id, COALESCE(p.amount, 0), COALESCE(m.amount, 0),
            COALESCE(m.top, 0), c.last_seq
        FROM chats_conversation c LEFT JOIN (
            SELECT conversation_id, COUNT(*) AS amount, MIN(seq) AS low, MAX(seq) AS top
            FROM chats_message WHERE conversation_id IN (
                SELECT conversation_id FROM chats_conversation
                WHERE deleted_at IS NOT NULL AND {within()}
            ) GROUP BY conversation_id
        ) m ON m.conversation_id = c.conversation_id LEFT JOIN (
            SELECT conversation_id, COUNT(*) AS amount
            FROM chats_participant WHERE {within()} GROUP BY conversation_id
        ) p ON p.conversation_id = c.conversation_id
        WHERE {within("c")} AND c.deleted_at IS NOT NULL AND (
            p.amount > 0 OR m.top <> c.last_seq OR m.amount <> m.top - m.low + 1)
        """,
    ),
    Check(
        "has_unread",
        "has_unread is true if and only if the cursor is before last_seq.",
        "conversation {0}: has_unread of {1} is wrong",
        f"""
        SELECT p.conversation_id, p.user_id FROM chats_participant p
        JOIN chats_conversation c ON c.conversation_id = p.conversation_id
        WHERE {within("p")} AND p.has_unread <> (p.last_read_seq < c.last_seq)
        """,
    ),
    Check(
        "active_hour",
        "active_hour is the hour of the conversation's last activity.",
        "conversation {0}: active_hour of {1} is {2}, not {3}",
        {
            vendor: f"""
            SELECT p.conversation_id, p.user_id, p.active_hour, {hour}
            FROM chats_participant p
            JOIN chats_conversation c ON c.conversation_id = p.conversation_id
            WHERE {within("p")} AND p.active_hour <> {hour}"""
            for vendor, hour in (
                ("sqlite", "CAST(strftime('%%s', c.updated_at) AS INTEGER) / 3600"),
                ("postgresql", "FLOOR(EXTRACT(EPOCH FROM c.updated_at) / 3600)"),
            )
        },
    ),
)

EVENTS = (
    Check(
        "event_missing",
        "Every message since the start of the log has a message.created.",
        "conversation {0}: no message.created for seq {1}, message {2}",
        f"""
        SELECT m.conversation_id, m.seq, m.message_id FROM chats_message m
        WHERE m.message_id IN (
            SELECT message_id FROM chats_message
                WHERE {within()} AND sent_at > %(since)s
            EXCEPT SELECT message_id FROM chats_event
                WHERE {within()} AND type = 'message.created')
        -- What was there before its conversation came into the log, came by import.
        AND NOT EXISTS (
            SELECT 1 FROM chats_event e
            WHERE e.conversation_id = m.conversation_id
            AND e.type = 'conversation.created' AND e.created_at >= m.sent_at)
        """,
    ),
    Check(
        "event_order",
        "The log has each message of a conversation once, in the order of seq.",
        "conversation {0}: event {1} creates seq {2} after seq {3}",
        f"""
        SELECT conversation_id, event_id, seq, earlier FROM (
            SELECT e.conversation_id, e.event_id, m.seq, LAG(m.seq) OVER (
                PARTITION BY e.conversation_id ORDER BY e.event_id) AS earlier
            FROM chats_event e JOIN chats_message m ON m.message_id = e.message_id
            WHERE {within("e")} AND {within("m")} AND e.type = 'message.created'
        ) AS told WHERE seq <= earlier
        """,
    ),
    Check(
        "event_life",
        "A conversation's events begin with its creation and end with its deletion.",
        "conversation {0}: event {1} is {2} after {3}",
        f"""
        SELECT conversation_id, event_id, type, earlier FROM (
            SELECT conversation_id, event_id, type, LAG(type) OVER (
                PARTITION BY conversation_id ORDER BY event_id) AS earlier
            FROM chats_event WHERE {within()}
        ) AS told WHERE earlier IS NOT NULL
        AND (earlier = 'conversation.deleted') <> (type = 'conversation.created')
        """,
    ),
    Check(
        "event_of_nothing",
        "Events belong to conversations that exist or have a deletion event.",
        "conversation {0} does not exist, but has events and no conversation.deleted",
        f"""
        SELECT conversation_id FROM chats_event WHERE {within()}
        EXCEPT SELECT conversation_id FROM chats_conversation
            WHERE {within()} AND deleted_at IS NULL
        EXCEPT SELECT conversation_id FROM chats_event
            WHERE {within()} AND type = 'conversation.deleted'
        """,
    ),
    Check(
        "event_of_no_message",
        "Events of existing conversations belong to existing messages.",
        "conversation {0}: event {1} is of message {2}, which does not exist",
        f"""
        SELECT e.conversation_id, e.event_id, e.message_id FROM chats_event e
        JOIN chats_conversation c ON c.conversation_id = e.conversation_id
            AND c.deleted_at IS NULL
        LEFT JOIN chats_message m ON m.message_id = e.message_id
            AND m.conversation_id = e.conversation_id AND {within("m")}
        WHERE {within("e")} AND e.message_id IS NOT NULL AND m.message_id IS NULL
        """,
    ),
)

SPANS = (
    Check(
        "first_event_id",
        "Participations begin with the event of joining.",
        "conversation {0}: participation of {1} begins with event {2}, which is "
        "not their joining",
        f"""
        SELECT p.conversation_id, p.user_id, p.first_event_id FROM chats_participant p
        LEFT JOIN chats_event e ON e.event_id = p.first_event_id
        WHERE {within("p")} AND (
            p.first_event_id < 1 OR p.first_event_id > %(newest)s
            OR p.first_event_id > %(pruned)s AND (
                e.event_id IS NULL OR e.conversation_id <> p.conversation_id
                OR e.type <> 'conversation.created' AND (
                    e.type <> 'participant.added'
                    OR e.user_id IS NULL OR e.user_id <> p.user_id)))
        """,
    ),
    Check(
        "past_span",
        "Past participations end, after they began, with the event that ended them.",
        "conversation {0}: past participation of {1}, events {2} to {3}",
        f"""
        SELECT s.conversation_id, s.user_id, s.first_event_id, s.last_event_id
        FROM chats_pastparticipant s
        LEFT JOIN chats_event e ON e.event_id = s.last_event_id
        WHERE {within("s")} AND (
            s.first_event_id >= s.last_event_id OR s.last_event_id <= %(pruned)s
            OR e.event_id IS NULL OR e.conversation_id <> s.conversation_id
            OR e.type <> 'conversation.deleted' AND (
                e.type <> 'participant.removed'
                OR e.user_id IS NULL OR e.user_id <> s.user_id))
        """,
    ),
    Check(
        "span_overlap",
        "Participations of one person in one conversation do not overlap.",
        "conversation {0}: past participation of {1} ends at event {2}, another "
        "begins at {3}",
        f"""
        SELECT s.conversation_id, s.user_id, s.last_event_id, p.first_event_id
        FROM chats_pastparticipant s JOIN chats_participant p
            ON p.user_id = s.user_id AND p.conversation_id = s.conversation_id
        WHERE {within("s")} AND s.last_event_id >= p.first_event_id
        UNION ALL
        SELECT s.conversation_id, s.user_id, s.last_event_id, t.first_event_id
        FROM chats_pastparticipant s JOIN chats_pastparticipant t
            ON t.user_id = s.user_id AND t.conversation_id = s.conversation_id
        WHERE {within("s")} AND t.id <> s.id
        AND t.first_event_id >= s.first_event_id AND t.first_event_id <= s.last_event_id
        """,
    ),
)
