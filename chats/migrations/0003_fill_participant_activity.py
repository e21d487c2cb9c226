"""Fill in the new columns of participants, some conversations at a time."""

from django.db import migrations, models, transaction
from django.db.models import Exists, F, Func, OuterRef, Subquery

BATCH = 500  # conversations that are locked together


class Hour(Func):
    """The hours from 1970 to a time."""

    template = "floor(extract(epoch FROM %(expressions)s) / 3600)::integer"
    output_field = models.IntegerField()

    def as_sqlite(self, compiler, connection):
        template = "CAST(strftime('%%%%s', %(expressions)s) AS integer) / 3600"
        return self.as_sql(compiler, connection, template=template)


def fill(apps, schema_editor):
    after = None
    while ids := fill_batch(apps, schema_editor.connection.alias, after):
        after = ids[-1]


def fill_batch(apps, alias, after):
    """Fill in the rows of the conversations that come next; return their ids."""
    conversations = apps.get_model("chats", "Conversation").objects.using(alias)
    participants = apps.get_model("chats", "Participant").objects.using(alias)
    theirs = conversations.filter(pk=OuterRef("conversation_id"))
    rows = conversations.filter(pk__gt=after) if after else conversations
    with transaction.atomic(using=alias):
        locked = rows.order_by("pk").select_for_update(no_key=True)
        ids = list(locked.values_list("pk", flat=True)[:BATCH])
        participants.filter(conversation_id__in=ids).update(
            active_hour=Subquery(theirs.values(hour=Hour(F("updated_at")))),
            has_unread=Exists(theirs.filter(last_seq__gt=OuterRef("last_read_seq"))),
        )
    return ids


class Migration(migrations.Migration):
    # Each batch is a transaction, so nobody waits for long.
    atomic = False
    dependencies = [("chats", "0002_participant_activity")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
