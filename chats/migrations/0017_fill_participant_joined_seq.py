"""Fill in joined_seq for those who joined after the start, some rows at a time.

It is the seq of the last message that was there already: joining moves the
conversation's updated_at on, as each message does, so no message was sent at that
very time. Those there from the start keep the default, 0.
"""

from django.db import migrations, models
from django.db.models import F, Max, Min, OuterRef, Subquery
from django.db.models.functions import Coalesce, Least

BATCH = 20_000  # ids of participants in one statement


def fill(apps, schema_editor):
    alias = schema_editor.connection.alias
    participants = apps.get_model("chats", "Participant").objects.using(alias)
    messages = apps.get_model("chats", "Message").objects.using(alias)
    # By the index message_time.
    earlier = messages.filter(
        conversation_id=OuterRef("conversation_id"), sent_at__lt=OuterRef("joined_at")
    ).order_by("-sent_at")
    at_joining = Coalesce(
        Subquery(earlier.values("seq")[:1]),
        0,
        output_field=models.PositiveBigIntegerField(),
    )
    ends = participants.aggregate(first=Min("pk"), last=Max("pk"))
    for low in range(ends["first"] or 1, (ends["last"] or 0) + 1, BATCH):
        participants.filter(
            pk__gte=low,
            pk__lt=low + BATCH,
            joined_at__gt=F("conversation__created_at"),
        ).update(joined_seq=Least(at_joining, F("last_read_seq")))


class Migration(migrations.Migration):
    # Each batch is a transaction, so nobody waits for long.
    atomic = False
    dependencies = [("chats", "0016_participant_joined_seq")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
