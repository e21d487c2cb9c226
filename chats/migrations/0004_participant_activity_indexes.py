"""Indexes of a person's list, and of whom a message is news to."""

from django.db import migrations, models

from chats.migrations._concurrently import AddIndex


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("chats", "0003_fill_participant_activity")]

    operations = [
        AddIndex(
            model_name="participant",
            index=models.Index(
                fields=["user", "-active_hour"], name="participant_activity"
            ),
        ),
        AddIndex(
            model_name="participant",
            index=models.Index(
                condition=models.Q(("has_unread", True)),
                fields=["user", "-active_hour"],
                name="participant_unread",
            ),
        ),
        AddIndex(
            model_name="participant",
            index=models.Index(
                condition=models.Q(("has_unread", False)),
                fields=["conversation"],
                name="participant_caught_up",
            ),
        ),
    ]
