"""Bring e-mail addresses into the form in which they are compared (NFKC).

Only those outside ASCII can differ. Where somebody else has that form, both stay as
they are: the person can sign in by username.
"""

import unicodedata

from django.db import migrations
from django.db.models.functions import Lower
from django.utils import timezone


def normalise(apps, schema_editor) -> None:
    people = apps.get_model("chats", "User").objects.using(
        schema_editor.connection.alias
    )
    for person in people.filter(email__regex="[^ -~]").order_by("pk"):
        name, _, domain = unicodedata.normalize("NFKC", person.email).rpartition("@")
        email = f"{name}@{domain.lower()}"
        others = people.exclude(pk=person.pk).annotate(folded=Lower("email"))
        is_taken = others.filter(folded=email.lower()).exists()
        if email != person.email and len(email) <= 254 and not is_taken:
            people.filter(pk=person.pk).update(email=email, updated_at=timezone.now())


class Migration(migrations.Migration):
    dependencies = [("chats", "0013_release_reserved_names")]

    operations = [migrations.RunPython(normalise, migrations.RunPython.noop)]
