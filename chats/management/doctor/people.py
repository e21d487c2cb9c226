"""What must be true of users and of the log as a whole; see ``invariants``."""

from chats.management.doctor.invariants import Check, Scope, within

PEOPLE = (
    Check(
        "person_absent",
        "Rows that refer to a user refer to an existing one.",
        "user {0} does not exist, but has rows in {1}",
        "\nUNION ALL\n".join(
            f"""SELECT t.{key}, '{table}' FROM (
                SELECT DISTINCT {key} FROM {table} WHERE {within("", key)}
            ) AS t LEFT JOIN chats_user u ON u.user_id = t.{key}
            WHERE u.user_id IS NULL"""
            for table, key in (
                ("chats_message", "sender_id"),
                ("chats_participant", "user_id"),
                ("chats_pastparticipant", "user_id"),
                ("chats_accesstoken", "user_id"),
                ("chats_usersession", "user_id"),
                ("chats_conversation", "owner_id"),
            )
        ),
        Scope.PEOPLE,
    ),
    Check(
        "deleted_takes_part",
        "Deleted users neither own conversations nor take part in them.",
        "deleted user {0} takes part in conversation {1}, or owns it",
        f"""
        SELECT u.user_id, p.conversation_id FROM chats_user u
        JOIN chats_participant p ON p.user_id = u.user_id
        WHERE {within("u", "user_id")} AND u.deleted_at IS NOT NULL
        UNION
        SELECT u.user_id, c.conversation_id FROM chats_user u
        JOIN chats_conversation c ON c.owner_id = u.user_id
        WHERE {within("u", "user_id")} AND u.deleted_at IS NOT NULL
        """,
        Scope.PEOPLE,
    ),
    Check(
        "deleted_signs_in",
        "Deleted users cannot sign in, and have no sessions and no permissions.",
        "deleted user {0} is active, has permissions, or has open sessions",
        f"""
        SELECT u.user_id FROM chats_user u
        WHERE {within("u", "user_id")} AND u.deleted_at IS NOT NULL AND (
            u.is_active OR u.is_staff OR u.is_superuser OR u.role <> 'guest'
            OR u.sessions_ended_at IS NULL OR u.sessions_ended_at < u.deleted_at
            OR u.password NOT LIKE '!%%'
            -- One stored after it, by a sign-in under way, opens nothing.
            OR EXISTS (
                SELECT 1 FROM chats_usersession s
                WHERE s.user_id = u.user_id AND s.created_at < u.deleted_at))
        """,
        Scope.PEOPLE,
    ),
    Check(
        "deleted_named",
        "No personal data of deleted users is kept.",
        "deleted user {0} still has a name, an e-mail or a phone number",
        f"""
        SELECT user_id FROM chats_user
        WHERE {within("", "user_id")} AND deleted_at IS NOT NULL AND (
            username NOT LIKE 'deleted-%%' OR email NOT LIKE '%%@deleted.invalid'
            OR first_name <> 'Deleted' OR last_name <> 'user'
            OR phone_number IS NOT NULL)
        """,
        Scope.PEOPLE,
    ),
    Check(
        "inactive_token",
        "Inactive and deleted users have no access tokens.",
        "user {0} is inactive, but has access token {1}",
        f"""
        SELECT u.user_id, t.token_id FROM chats_user u
        JOIN chats_accesstoken t ON t.user_id = u.user_id
        WHERE {within("u", "user_id")} AND NOT u.is_active
        """,
        Scope.PEOPLE,
    ),
    Check(
        "superuser_role",
        "Superusers have the role admin.",
        "superuser {0} has role {1}",
        f"""
        SELECT user_id, role FROM chats_user
        WHERE {within("", "user_id")} AND is_superuser AND role <> 'admin'
        """,
        Scope.PEOPLE,
    ),
)

LOG = (
    Check(
        "log_pruned",
        "No event is left that should have been pruned.",
        "event {0} is left, although the log was pruned up to it",
        "SELECT event_id FROM chats_event WHERE event_id <= %(pruned)s",
        Scope.LOG,
    ),
    Check(
        "log_ids",
        "The next event's id is greater than all earlier ids.",
        "the next event would have an id up to {0}, but there were ids up to {1}",
        {
            vendor: f"""
            SELECT drawn.id, %(newest)s FROM ({drawn}) AS drawn
            WHERE drawn.id < %(newest)s OR drawn.id < %(pruned)s"""
            for vendor, drawn in (
                (
                    "sqlite",
                    "SELECT COALESCE((SELECT seq FROM sqlite_sequence"
                    " WHERE name = 'chats_event'), 0) AS id",
                ),
                (
                    "postgresql",
                    "SELECT last_value AS id FROM chats_event_event_id_seq",
                ),
            )
        },
        Scope.LOG,
    ),
)
