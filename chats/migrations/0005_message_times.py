"""Indexes by time within a conversation, for messages across conversations."""

from django.db import migrations, models

from chats.migrations._concurrently import AddIndex


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("chats", "0004_participant_activity_indexes")]

    operations = [
        AddIndex(
            model_name="message",
            index=models.Index(fields=["conversation", "sent_at"], name="message_time"),
        ),
        AddIndex(
            model_name="message",
            index=models.Index(
                fields=["conversation", "sender", "sent_at"],
                name="message_sender_time",
            ),
        ),
    ]
