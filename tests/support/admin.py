"""The admin's pages, forms and actions, and rows for each of its lists."""

from collections.abc import Iterator
from contextlib import suppress

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Model
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, reverse
from django.utils import timezone

from chats.db.uuids import uuid7
from chats.models import (
    AccessToken,
    AuditEntry,
    Conversation,
    Event,
    Message,
    SignInAttempts,
    User,
    UserSession,
)
from chats.services.messages import send_message
from tests.support.factories import UserFactory, start

PAGES = {model._meta.label_lower: page for model, page in admin.site._registry.items()}


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def list_of(model: str) -> str:
    return reverse(f"admin:chats_{model}_changelist")


def add_page(model: str) -> str:
    return reverse(f"admin:chats_{model}_add")


def page_of(row, page: str = "change") -> str:
    name = f"{row._meta.app_label}_{row._meta.model_name}"
    return reverse(f"admin:{name}_{page}", args=[row.pk])


def listed(response) -> list:
    """The rows a list shows."""
    return list(response.context["cl"].result_list)


def act(client: Client, action: str, *rows, **data):
    """Run an action of a list on some rows, and follow to the page after it."""
    return client.post(
        list_of(rows[0]._meta.model_name),
        {"action": action, "_selected_action": [row.pk for row in rows]} | data,
        follow=True,
    )


def delete(client: Client, row: Model, *, bulk: bool) -> None:
    """Delete a row, from its list or from its own page."""
    if bulk:
        act(client, "delete_selected", row, post="yes")
    else:
        client.post(page_of(row, "delete"), {"post": "yes"})


def user_form(person: User, **changes) -> dict:
    """What the change form of a person posts."""
    form = {
        "username": person.username,
        "email": person.email,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "phone_number": person.phone_number or "",
        "role": person.role,
    }
    return form | changes


def conversation_form(conversation: Conversation, *joining: User, **changes) -> dict:
    """What the change form of a conversation posts; ``leaving`` names participants."""
    leaving = changes.pop("leaving", [])
    rows = list(conversation.participations.order_by("id"))
    form = {
        "title": conversation.title,
        "owner": conversation.owner_id or "",
        "participations-TOTAL_FORMS": len(rows) + len(joining),
        "participations-INITIAL_FORMS": len(rows),
    }
    for place, row in enumerate(rows):
        form[f"participations-{place}-id"] = row.pk
        if row.user in leaving:
            form[f"participations-{place}-DELETE"] = "on"
    for place, person in enumerate(joining, len(rows)):
        form[f"participations-{place}-user"] = person.pk
    return form | changes


def say(sender: User, conversation: Conversation, body: str = "Hello") -> Message:
    return send_message(sender, conversation.pk, message_body=body)[0]


def session_of(person: User) -> UserSession:
    signed_in(person)
    return UserSession.objects.get(user=person)


def make_row(model: str):
    """One more row of a model, behind it people and conversations of its own."""
    person = UserFactory()
    now = timezone.now()
    makers = {
        "user": lambda: person,
        "conversation": lambda: start(person, UserFactory()),
        "participant": lambda: start(person).participations.get(),
        "message": lambda: say(person, start(person)),
        "accesstoken": lambda: AccessToken.objects.issue(person, "laptop", None)[0],
        "usersession": lambda: session_of(person),
        "signinattempts": lambda: SignInAttempts.objects.create(
            key=f"key of {person}", window_ends_at=now
        ),
        "event": lambda: Event.objects.create(
            type="message.created", conversation_id=uuid7(), actor_id=person.pk
        ),
    }
    return makers[model]()


def one_row_of_each() -> dict[str, Model]:
    """Return a new row of every model that the admin shows, by the model's label."""
    makers = {
        "chats.auditentry": lambda: AuditEntry.objects.create(action="user.created"),
        "auth.group": lambda: Group.objects.create(name="Readers"),
    }
    return {
        label: makers.get(label, lambda page=page: make_row(page.opts.model_name))()
        for label, page in PAGES.items()
    }


def named(patterns: list) -> dict[str, bool]:
    """Return the names of pages, each with whether its address names a row."""
    return {
        one.name: "<" in str(one.pattern)
        for one in patterns
        if isinstance(one, URLPattern) and one.name
    }


def pages_of(label: str, key: object) -> Iterator[str]:
    """Yield the addresses of a model's pages, with the key where they name a row."""
    for name, is_of_row in named(PAGES[label].get_urls()).items():
        with suppress(NoReverseMatch):  # a slash, where no path may be
            yield reverse(f"admin:{name}", args=[key] if is_of_row else [])


def pages_of_the_site() -> list[str]:
    """Return the addresses that belong to no model, but for the way out."""
    pages = named(admin.site.get_urls())
    urls = [
        reverse(f"admin:{name}") for name, is_of_row in pages.items() if not is_of_row
    ]
    return [url for url in urls if "logout" not in url]


def deeds() -> list[tuple]:
    """What is recorded, in order, without when."""
    columns = ("action", "actor_id", "user_id", "conversation_id", "details")
    return list(AuditEntry.objects.order_by("entry_id").values_list(*columns))
