"""The conversation's last_seq at joining, from which on receipts are made.

With a default in the database: the release before this one serves on meanwhile.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chats", "0015_conversation_deleted")]

    operations = [
        migrations.AddField(
            model_name="participant",
            name="joined_seq",
            field=models.PositiveBigIntegerField(
                db_default=0, default=0, editable=False
            ),
        ),
        migrations.AddConstraint(
            model_name="participant",
            constraint=models.CheckConstraint(
                condition=models.Q(("joined_seq__lte", models.F("last_read_seq"))),
                name="participant_joined_before_reading",
            ),
        ),
    ]
