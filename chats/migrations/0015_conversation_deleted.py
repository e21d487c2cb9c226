"""Conversations that are deleted while their messages are still being erased."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chats", "0014_normalise_email_addresses")]

    operations = [
        migrations.AddField(
            model_name="conversation",
            name="deleted_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", False)),
                fields=["deleted_at"],
                name="conversation_deleted",
            ),
        ),
        migrations.AddConstraint(
            model_name="conversation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("deleted_at", None),
                    models.Q(("owner", None), ("participant_count", 0), ("title", "")),
                    _connector="OR",
                ),
                name="conversation_deleted_is_empty",
            ),
        ),
    ]
