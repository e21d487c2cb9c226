"""Let the log say which one it is, so that older cursors can be made void."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chats", "0005_message_times")]

    operations = [
        migrations.AddField(
            model_name="eventlog",
            name="identity",
            field=models.CharField(db_default="1", default="1", max_length=16),
        ),
    ]
