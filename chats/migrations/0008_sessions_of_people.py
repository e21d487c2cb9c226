"""A table of sessions that knows whose they are; Django's own has no more use.

Its rows are not taken over: everybody signs in once more.
"""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import chats.db.uuids


class Migration(migrations.Migration):
    dependencies = [("chats", "0007_audit")]

    operations = [
        migrations.CreateModel(
            name="UserSession",
            fields=[
                (
                    "session_key",
                    models.CharField(max_length=64, primary_key=True, serialize=False),
                ),
                ("session_data", models.TextField()),
                ("expire_date", models.DateTimeField()),
                (
                    "session_id",
                    models.UUIDField(
                        default=chats.db.uuids.uuid7, editable=False, unique=True
                    ),
                ),
                ("user_agent", models.CharField(blank=True, max_length=200)),
                ("address", models.CharField(blank=True, max_length=45)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now),
                ),
                (
                    "last_used_at",
                    models.DateTimeField(default=django.utils.timezone.now),
                ),
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sessions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "session",
                "ordering": ("-created_at", "-session_id"),
                "indexes": [
                    models.Index(fields=["expire_date"], name="user_session_expiry")
                ],
            },
        ),
    ]
