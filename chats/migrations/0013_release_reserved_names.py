"""Rename people who hold names that only the system gives to others.

While somebody holds them, the account whose id they contain cannot be deleted or
imported. The new names say that the system gave them. Each renaming is in the audit.
"""

import re
import secrets

from django.db import migrations
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

KINDS = ("deleted", "imported", "renamed")
# The longer form is given where the shorter one is taken.
USERNAME = re.compile(r"(deleted|imported|renamed)-([0-9a-f]{32})(-[0-9a-f]{8})?")
EMAIL = re.compile(r"([0-9a-f]{32})(-[0-9a-f]{8})?@(deleted|imported|renamed)\.invalid")


def release(apps, schema_editor) -> None:
    people = apps.get_model("chats", "User").objects.using(
        schema_editor.connection.alias
    )
    entries = apps.get_model("chats", "AuditEntry").objects.using(people.db)
    like_reserved = Q()
    for kind in KINDS:
        like_reserved |= Q(username__istartswith=f"{kind}-")
        like_reserved |= Q(email__iendswith=f"@{kind}.invalid")
    for person in people.filter(like_reserved, deleted_at=None).order_by("pk"):
        fields = squatted(person)
        if fields:
            rename(people, person, fields)
            entries.create(
                action="user.changed", user_id=person.pk, details=", ".join(fields)
            )


def squatted(person) -> list[str]:
    """Return which of the person's names are the system's, for another account."""
    username = USERNAME.fullmatch(person.username.lower())
    email = EMAIL.fullmatch(person.email.lower())
    found = []
    if email and is_of_another(person, kind=email[3], key=email[1]):
        found.append("email")
    if username and is_of_another(person, kind=username[1], key=username[2]):
        found.append("username")
    return found


def is_of_another(person, *, kind: str, key: str) -> bool:
    return kind == "deleted" or key != person.pk.hex


def rename(people, person, fields: list[str]) -> None:
    key = person.pk.hex
    while is_taken(people, person, username(key), email(key)):
        key = f"{person.pk.hex}-{secrets.token_hex(4)}"
    names = {"username": username(key), "email": email(key)}
    changes = {field: names[field] for field in fields}
    people.filter(pk=person.pk).update(**changes, updated_at=timezone.now())
    print(f"\n    Renamed {person.pk}: {', '.join(changes.values())}", end="")


def username(key: str) -> str:
    return f"renamed-{key}"


def email(key: str) -> str:
    return f"{key}@renamed.invalid"


def is_taken(people, person, *names: str) -> bool:
    rows = people.exclude(pk=person.pk).annotate(u=Lower("username"), e=Lower("email"))
    return rows.filter(Q(u__in=names) | Q(e__in=names)).exists()


class Migration(migrations.Migration):
    dependencies = [("chats", "0012_search_index")]

    operations = [migrations.RunPython(release, migrations.RunPython.noop)]
