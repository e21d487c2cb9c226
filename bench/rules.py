"""What must be true of any database between transactions: SQL that finds it is not."""

RULES = {
    "seq has a gap, or is not last_seq": """
        SELECT c.conversation_id FROM chats_conversation c
        LEFT JOIN chats_message m ON m.conversation_id = c.conversation_id
        GROUP BY c.conversation_id, c.last_seq
        HAVING COUNT(m.seq) <> c.last_seq OR COALESCE(MAX(m.seq), 0) <> c.last_seq""",
    "the last message is not the one of last_seq": """
        SELECT c.conversation_id FROM chats_conversation c
        LEFT JOIN chats_message m ON m.message_id = c.last_message_id
        WHERE c.last_seq > 0 AND (m.seq IS NULL OR m.seq <> c.last_seq)""",
    "sent_at does not rise with seq": """
        SELECT a.message_id FROM chats_message a JOIN chats_message b
        ON b.conversation_id = a.conversation_id AND b.seq = a.seq + 1
        WHERE b.sent_at <= a.sent_at""",
    "participant_count is not the count": """
        SELECT c.conversation_id FROM chats_conversation c
        LEFT JOIN chats_participant p ON p.conversation_id = c.conversation_id
        GROUP BY c.conversation_id, c.participant_count
        HAVING COUNT(p.id) <> c.participant_count""",
    "the owner takes no part, or people are without an owner": """
        SELECT c.conversation_id FROM chats_conversation c
        LEFT JOIN chats_participant p
        ON p.conversation_id = c.conversation_id AND p.user_id = c.owner_id
        WHERE (c.owner_id IS NULL) <> (c.participant_count = 0)
        OR (c.owner_id IS NOT NULL AND p.id IS NULL)""",
    "a cursor is past the end": """
        SELECT p.id FROM chats_participant p JOIN chats_conversation c
        ON c.conversation_id = p.conversation_id WHERE p.last_read_seq > c.last_seq""",
    "a sender's cursor is before their own message": """
        SELECT m.message_id FROM chats_message m JOIN chats_participant p
        ON p.conversation_id = m.conversation_id AND p.user_id = m.sender_id
        WHERE m.seq > p.last_read_seq AND m.sent_at > p.joined_at""",
    "a message without its one event": """
        SELECT m.message_id FROM chats_message m LEFT JOIN chats_event e
        ON e.message_id = m.message_id AND e.type = 'message.created'
        GROUP BY m.message_id HAVING COUNT(e.event_id) <> 1""",
    "events are not in the order of seq": """
        SELECT a.message_id FROM chats_message a
        JOIN chats_message b
        ON b.conversation_id = a.conversation_id AND b.seq = a.seq + 1
        JOIN chats_event ea ON ea.message_id = a.message_id
        AND ea.type = 'message.created'
        JOIN chats_event eb ON eb.message_id = b.message_id
        AND eb.type = 'message.created'
        WHERE ea.event_id >= eb.event_id""",
    "a deleted person takes part": """
        SELECT p.id FROM chats_participant p JOIN chats_user u ON u.user_id = p.user_id
        WHERE u.deleted_at IS NOT NULL""",
    "somebody joined by an event that is not theirs": """
        SELECT p.id FROM chats_participant p LEFT JOIN chats_event e
        ON e.event_id = p.first_event_id AND e.conversation_id = p.conversation_id
        WHERE e.event_id IS NULL""",
    "something follows the deletion of its conversation": """
        SELECT b.event_id FROM chats_event a JOIN chats_event b
        ON b.conversation_id = a.conversation_id AND b.event_id > a.event_id
        WHERE a.type = 'conversation.deleted'""",
    "a message by somebody after their last removal": """
        SELECT e.event_id FROM chats_event e
        JOIN chats_event r ON r.conversation_id = e.conversation_id
        AND r.user_id = e.actor_id AND r.type = 'participant.removed'
        AND r.event_id < e.event_id
        WHERE e.type = 'message.created' AND NOT EXISTS (
            SELECT 1 FROM chats_event a WHERE a.type = 'participant.added'
            AND a.conversation_id = e.conversation_id AND a.user_id = e.actor_id
            AND a.event_id BETWEEN r.event_id AND e.event_id)""",
}


def broken_rules() -> dict[str, int]:
    """Return how many rows break each rule."""
    from django.db import connection

    counts = {}
    with connection.cursor() as cursor:
        for rule, sql in RULES.items():
            cursor.execute(f"SELECT COUNT(*) FROM ({sql}) AS found")
            counts[rule] = cursor.fetchone()[0]
    return counts
