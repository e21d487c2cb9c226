"""What a person's list sorts and filters by, kept in their own rows.

With defaults in the database: the release before this one serves on meanwhile.
"""

from django.db import migrations, models

import chats.models.participants


class Migration(migrations.Migration):
    dependencies = [("chats", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="participant",
            name="active_hour",
            field=models.IntegerField(
                db_default=0,
                default=chats.models.participants.this_hour,
                editable=False,
            ),
        ),
        migrations.AddField(
            model_name="participant",
            name="has_unread",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
    ]
