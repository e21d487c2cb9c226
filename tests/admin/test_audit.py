"""The audit: who did what, from where; and what the staff may not read."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from chats.models import AccessToken, AuditEntry, Message, SignInAttempts, User
from chats.services.audit import entry, record
from chats.services.messages import send_message
from tests.support.admin import (
    act,
    add_page,
    conversation_form,
    deeds,
    list_of,
    listed,
    page_of,
    signed_in,
    user_form,
)
from tests.support.factories import PASSWORD, UserFactory

NEW_ADMIN = {
    "username": "new",
    "email": "new@example.org",
    "password": PASSWORD,
    "first_name": "New",
    "last_name": "Person",
    "role": "admin",
}
SECRET = "The launch code is 1234"
Action = AuditEntry.Action


def password_page(person: User) -> str:
    return reverse("admin:auth_user_password_change", args=[person.pk])


@pytest.fixture
def as_clerk(db) -> Client:
    """Staff with every permission but that of reading bodies."""
    clerk = UserFactory(username="clerk", is_staff=True)
    wanted = Permission.objects.filter(content_type__app_label="chats")
    clerk.user_permissions.set(wanted.exclude(codename="read_message_body"))
    return signed_in(clerk)


@pytest.fixture
def message(alice, conversation) -> Message:
    return send_message(alice, conversation.pk, message_body=SECRET)[0]


def test_entry_of_the_operator_has_no_actor_and_no_address(message):
    made = entry(Action.MESSAGE_REDACTED, actor=None, message_id=message.pk)

    assert (made.actor_id, made.message_id) == (None, message.pk)
    assert (made.address, made.request_id) == ("", "")


# --- Reading bodies ------------------------------------------------------------


def test_staff_without_the_permission_see_no_body_anywhere(as_clerk, message):
    deleted = {"action": "delete_selected", "_selected_action": [message.pk]}
    pages = [
        as_clerk.get(list_of("message")),
        as_clerk.get(list_of("message"), {"q": str(message.pk)}),
        as_clerk.get(page_of(message)),
        as_clerk.get(page_of(message, "delete")),
        as_clerk.get(page_of(message, "history")),
        as_clerk.post(list_of("message"), deleted),
        as_clerk.get(page_of(message.conversation)),
        as_clerk.get(page_of(message.conversation, "delete")),
    ]

    assert {page.status_code for page in pages} == {200}
    assert [SECRET in page.content.decode() for page in pages] == [False] * len(pages)
    assert "Hidden: you are not permitted" in pages[2].content.decode()
    assert deeds() == []


def test_search_tells_staff_without_the_permission_nothing(as_clerk, message):
    assert listed(as_clerk.get(list_of("message"), {"q": "launch"})) == []
    assert listed(as_clerk.get(list_of("message"), {"q": str(message.pk)})) == [message]


def test_message_picker_is_no_way_to_search_bodies(as_boss, message):
    asked = {
        "app_label": "chats",
        "model_name": "conversation",
        "field_name": "last_message",
        "term": "launch",
    }

    answer = as_boss.get(reverse("admin:autocomplete"), asked)

    assert answer.json()["results"] == []


def clerk_of(client: Client) -> User:
    return User.objects.get(pk=client.session["_auth_user_id"])


def test_staff_without_the_permission_add_nobody_who_would_read(
    as_clerk, mallory, conversation, message
):
    """Themselves or an accomplice, who reads by the API what was written before."""
    clerk = clerk_of(as_clerk)
    for person in (clerk, mallory):
        form = conversation_form(conversation, person, title="New")
        as_clerk.post(page_of(conversation), form)
        assert not conversation.participations.filter(user=person).exists()
    conversation.refresh_from_db()
    assert conversation.title == "New"  # the rest of the page is theirs
    page = as_clerk.get(page_of(conversation))
    formset = page.context["inline_admin_formsets"][0].formset
    assert formset.extra_forms == []
    assert "participant.added" not in [deed[0] for deed in deeds()]


def test_staff_without_the_permission_still_remove_participants(
    as_clerk, bob, conversation
):
    form = conversation_form(conversation, leaving=[bob])
    as_clerk.post(page_of(conversation), form)
    assert not conversation.participations.filter(user=bob).exists()


def test_staff_without_the_permission_set_nobodys_password_or_email(as_clerk, alice):
    """Or they could sign in as somebody who reads."""
    url = password_page(alice)
    passwords = {
        "usable_password": "true",
        "password1": "quiet-Meadow-42",
        "password2": "quiet-Meadow-42",
    }
    assert as_clerk.get(url).status_code == 403
    assert as_clerk.post(url, passwords).status_code == 403
    form = user_form(alice, email="clerk@example.org", first_name="New")
    as_clerk.post(page_of(alice), form)

    stored = User.objects.get(pk=alice.pk)
    assert (stored.email, stored.first_name) == ("alice@example.org", "New")
    assert stored.check_password(PASSWORD)
    clerk = clerk_of(as_clerk)
    assert deeds() == [("user.changed", clerk.pk, alice.pk, None, "first_name")]


def test_staff_set_their_own_email_and_password_where_the_present_one_is_asked(
    as_boss, boss
):
    """Or a session left open would do, which it does not by the API."""
    powers = {"is_staff": "on", "is_superuser": "on"}
    form = user_form(boss, email="new@example.org", first_name="New", **powers)
    as_boss.post(page_of(boss), form)
    stored = User.objects.get(pk=boss.pk)
    assert (stored.email, stored.first_name) == (boss.email, "New")
    for answer in (as_boss.get, as_boss.post):
        page = answer(password_page(boss))
        assert page.headers["Location"] == reverse("admin:password_change")


def test_staff_with_the_permission_add_themselves_as_recorded_readers(
    as_clerk, conversation, message
):
    clerk = clerk_of(as_clerk)
    clerk.user_permissions.add(Permission.objects.get(codename="read_message_body"))

    as_clerk.post(page_of(conversation), conversation_form(conversation, clerk))

    assert conversation.participations.filter(user=clerk).exists()
    assert deeds() == [
        ("participant.added", clerk.pk, clerk.pk, conversation.pk, ""),
        ("messages.read", clerk.pk, None, conversation.pk, "seq 1-1"),
    ]


def test_staff_give_themselves_no_permission_to_read(as_clerk):
    clerk = clerk_of(as_clerk)
    reading = Permission.objects.get(codename="read_message_body")
    crew = Group.objects.create(name="Crew")
    crew.permissions.add(reading)
    powers = {
        "user_permissions": [reading.pk],
        "groups": [crew.pk],
        "is_superuser": "on",
    }

    as_clerk.post(page_of(clerk), user_form(clerk, **powers))

    assert not User.objects.get(pk=clerk.pk).has_perm("chats.read_message_body")


def test_reading_a_message_is_recorded_with_who_and_where(as_boss, boss, message):
    page = as_boss.get(page_of(message), REMOTE_ADDR="192.0.2.7")

    assert SECRET in page.content.decode()
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor_id, entry.address) == (
        "messages.read",
        boss.pk,
        "192.0.2.7",
    )
    assert (entry.conversation_id, entry.details) == (message.conversation_id, "seq 1")
    assert entry.request_id == page.headers["X-Request-ID"]


def test_reading_a_list_is_recorded_for_each_conversation(
    as_boss, boss, alice, conversation, message
):
    send_message(alice, conversation.pk, message_body="More")

    page = as_boss.get(list_of("message"), {"q": ""})

    assert SECRET in page.content.decode()
    read = ("messages.read", boss.pk, None, conversation.pk, "seq 1, 2")
    assert deeds() == [read]


# --- What the staff do ---------------------------------------------------------


def test_staff_changes_to_people_are_recorded(as_boss, boss, alice):
    as_boss.post(page_of(alice), user_form(alice, role="host", email="new@example.org"))
    act(as_boss, "deactivate_selected", alice, post="yes")
    act(as_boss, "reactivate_selected", alice)
    form = {"password1": "quiet-Meadow-42", "password2": "quiet-Meadow-42"}
    password_page = reverse("admin:auth_user_password_change", args=[alice.pk])
    as_boss.post(password_page, form | {"usable_password": "true"})
    as_boss.post(page_of(alice, "delete"), {"post": "yes"})

    assert deeds() == [
        ("user.powers_changed", boss.pk, alice.pk, None, "role: guest to host"),
        ("user.changed", boss.pk, alice.pk, None, "email"),
        ("user.suspended", boss.pk, alice.pk, None, ""),
        ("user.reactivated", boss.pk, alice.pk, None, ""),
        ("password.changed", boss.pk, alice.pk, None, ""),
        ("user.deleted", boss.pk, alice.pk, None, ""),
    ]


def test_accounts_that_staff_make_are_recorded(as_boss, boss):
    names = {"username": "new", "first_name": "New", "last_name": "Person"}
    form = {"password1": "quiet-Meadow-42", "password2": "quiet-Meadow-42"}
    email = {"email": "new@example.org", "usable_password": "true"}
    as_boss.post(add_page("user"), names | form | email)

    new = User.objects.get(username="new")
    assert deeds() == [("user.created", boss.pk, new.pk, None, "")]


def test_superuser_made_at_the_command_line_is_recorded(db, monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    asked = {"email": "r@example.org", "first_name": "R", "last_name": "T"}
    call_command("createsuperuser", interactive=False, username="root", **asked)

    root = User.objects.get(username="root")
    powers = "role: admin, is_staff: True, is_superuser: True"
    assert deeds() == [("user.created", None, root.pk, None, powers)]


def test_who_is_in_a_group_and_has_a_permission_is_recorded(as_boss, boss, alice):
    permission = Permission.objects.get(codename="view_message")
    old, new = (Group.objects.create(name=name) for name in ("Old", "New"))
    alice.groups.add(old)

    given = {"user_permissions": [permission.pk], "groups": [new.pk]}
    as_boss.post(page_of(alice), user_form(alice, **given))

    steps = f"+chats.view_message, +group {new.pk}, -group {old.pk}"
    assert deeds() == [("user.powers_changed", boss.pk, alice.pk, None, steps)]


def test_what_a_group_may_do_is_recorded(as_boss, boss, alice):
    permissions = Permission.objects.filter(content_type__app_label="chats")
    view = permissions.get(codename="view_message")
    delete = permissions.get(codename="delete_message")
    url = reverse("admin:auth_group_add")
    as_boss.post(url, {"name": "Crew", "permissions": [view.pk]})
    group = Group.objects.get()
    alice.groups.add(group)

    for permission in (delete, delete):  # the second time nothing is new
        as_boss.post(page_of(group), {"name": "Crew", "permissions": [permission.pk]})
    as_boss.post(page_of(group, "delete"), {"post": "yes"})

    named = f"group {group.pk}"
    assert deeds() == [
        ("group.created", boss.pk, None, None, f"{named}: name, +chats.view_message"),
        (
            "group.changed",
            boss.pk,
            None,
            None,
            f"{named}: +chats.delete_message, -chats.view_message",
        ),
        ("user.powers_changed", boss.pk, alice.pk, None, f"-{named}"),
        ("group.deleted", boss.pk, None, None, named),
    ]


def test_groups_deleted_from_the_list_are_recorded(as_boss, boss):
    pks = [Group.objects.create(name=name).pk for name in ("A", "B")]

    deleted = {"action": "delete_selected", "_selected_action": pks, "post": "yes"}
    as_boss.post(reverse("admin:auth_group_changelist"), deleted)

    assert [deed[4] for deed in deeds()] == [f"group {pk}" for pk in pks]


def test_group_that_stays_has_no_entry_of_its_end(as_boss, alice, monkeypatch):
    group = Group.objects.create(name="Crew")
    alice.groups.add(group)
    monkeypatch.setattr(Group, "delete", None)

    deleted = {"action": "delete_selected", "_selected_action": [group.pk]}
    with pytest.raises(TypeError):
        as_boss.post(reverse("admin:auth_group_changelist"), deleted | {"post": "yes"})

    assert deeds() == []


def test_long_lists_are_told_whole_over_several_entries(as_boss, boss):
    every = list(Permission.objects.all())
    form = {"name": "Crew", "permissions": [permission.pk for permission in every]}
    as_boss.post(reverse("admin:auth_group_add"), form)

    named = f"group {Group.objects.get().pk}: "
    told = [deed[4] for deed in deeds()]
    assert len(told) > 1
    assert all(text.startswith(named) and len(text) <= 500 for text in told)
    words = [word for text in told for word in text.removeprefix(named).split(", ")]
    codes = {f"+{p.content_type.app_label}.{p.codename}" for p in every}
    assert (words[0], set(words[1:])) == ("name", codes)


def test_staff_changes_to_conversations_are_recorded(
    as_boss, boss, alice, bob, mallory, conversation, message
):
    place = conversation.pk
    form = conversation_form(conversation, mallory, title="New", owner=bob.pk)
    as_boss.post(page_of(conversation), form)
    conversation.refresh_from_db()
    as_boss.post(
        page_of(conversation), conversation_form(conversation, leaving=[alice])
    )
    act(as_boss, "delete_selected", message, post="yes")
    as_boss.post(page_of(conversation, "delete"), {"post": "yes"})

    assert [deed for deed in deeds() if deed[0] != "messages.read"] == [
        ("participant.added", boss.pk, mallory.pk, place, ""),
        ("conversation.retitled", boss.pk, None, place, ""),
        ("conversation.handed_over", boss.pk, bob.pk, place, f"from {alice.pk}"),
        ("participant.removed", boss.pk, alice.pk, place, ""),
        ("message.redacted", boss.pk, None, place, "seq 1"),
        ("conversation.deleted", boss.pk, None, place, "2 participants, 1 messages"),
    ]


def test_staff_revocations_are_recorded(as_boss, boss, alice):
    token, _ = AccessToken.objects.issue(alice, "laptop", None)
    counter = SignInAttempts.objects.create(key="k", window_ends_at=timezone.now())

    for row in (token, counter):
        as_boss.post(page_of(row, "delete"), {"post": "yes"})

    assert deeds() == [
        ("token.revoked", boss.pk, alice.pk, None, f"laptop ({token.prefix}…)"),
        ("sign_in.unlocked", boss.pk, None, None, "k"),
    ]


# --- What ordinary people do ---------------------------------------------------


def test_calls_that_matter_for_safety_are_recorded(
    as_alice, as_admin, admin, alice, bob, conversation
):
    laptop = {"name": "laptop", "current_password": PASSWORD}
    token = as_alice.post("/api/auth/tokens/", laptop).json()
    as_alice.delete(f"/api/auth/tokens/{token['token_id']}/")
    made = as_admin.post("/api/users/", NEW_ADMIN).json()["user_id"]
    url = f"/api/conversations/{conversation.pk}/"
    as_alice.post(f"{url}remove_participant/", {"user_id": bob.pk})
    as_alice.delete(url)
    as_admin.patch(f"/api/users/{alice.pk}/", {"role": "host"})
    passwords = {"old_password": PASSWORD, "new_password": "quiet-Meadow-42"}
    as_alice.post("/api/auth/password/change/", passwords)
    as_alice.delete("/api/users/me/", {"current_password": "quiet-Meadow-42"})

    mine = (alice.pk, alice.pk, None)
    place = conversation.pk
    assert deeds() == [
        ("token.created", *mine, f"laptop ({token['prefix']}…)"),
        ("token.revoked", *mine, f"laptop ({token['prefix']}…)"),
        ("user.created", admin.pk, UUID(made), None, "role: admin"),
        ("participant.removed", alice.pk, bob.pk, place, ""),
        ("conversation.deleted", alice.pk, None, place, "1 participants, 0 messages"),
        ("user.powers_changed", admin.pk, alice.pk, None, "role: guest to host"),
        ("password.changed", *mine, ""),
        ("user.deleted", *mine, ""),
    ]


def test_refused_and_ordinary_calls_record_nothing(as_bob, alice, bob, conversation):
    url = f"/api/conversations/{conversation.pk}/"
    assert as_bob.delete(url).status_code == 403
    gone = as_bob.post(f"{url}remove_participant/", {"user_id": alice.pk})
    assert gone.status_code == 403
    as_bob.patch("/api/users/me/", {"first_name": "Robert"})
    as_bob.post(f"{url}remove_participant/", {"user_id": bob.pk})

    assert deeds() == []


# --- The list, and its end ------------------------------------------------------


def test_nobody_changes_or_deletes_an_entry(as_boss, boss, alice):
    record(Action.USER_SUSPENDED, actor=boss, user_id=alice.pk)
    entry = AuditEntry.objects.get()

    assert as_boss.get(page_of(entry)).status_code == 200
    assert as_boss.post(page_of(entry), {"details": "x"}).status_code == 403
    assert as_boss.post(page_of(entry, "delete"), {"post": "yes"}).status_code == 403
    assert as_boss.get(add_page("auditentry")).status_code == 403
    act(as_boss, "delete_selected", entry, post="yes")
    assert AuditEntry.objects.get() == entry


def test_list_narrows_to_a_person_and_a_deed(as_boss, boss, alice, bob):
    for person in (alice, bob):
        record(Action.USER_SUSPENDED, actor=boss, user_id=person.pk)
        record(Action.USER_REACTIVATED, actor=boss, user_id=person.pk)

    asked = {"user_id": str(bob.pk), "action__exact": "user.suspended"}
    [found] = listed(as_boss.get(list_of("auditentry"), asked))

    assert (found.user_id, found.action) == (bob.pk, "user.suspended")


@pytest.mark.parametrize("count", [1, 3])
def test_list_costs_the_same_for_one_entry_and_three(
    count, as_boss, boss, django_assert_num_queries
):
    for _ in range(count):
        record(Action.USER_SUSPENDED, actor=boss, user_id=boss.pk)

    with django_assert_num_queries(6):  # one of them finds names
        as_boss.get(list_of("auditentry"))


def test_entries_past_their_retention_are_pruned(boss, alice, bob):
    for person in (alice, bob):
        record(Action.USER_SUSPENDED, actor=boss, user_id=person.pk)
    year_ago = timezone.now() - timedelta(days=366)
    AuditEntry.objects.filter(user_id=alice.pk).update(created_at=year_ago)

    call_command("prune_audit", verbosity=0)

    assert AuditEntry.objects.get().user_id == bob.pk


def test_pruning_takes_the_oldest_a_batch_at_a_time(db):
    now = timezone.now()
    for days in (3, 5, 4, 1):
        made = entry(Action.USER_CHANGED, actor=None, details=f"{days} days ago")
        made.created_at = now - timedelta(days=days)
        made.save()

    before = now - timedelta(days=2)
    assert AuditEntry.objects.prune_batch(before, 2) == 2
    assert [deed[4] for deed in deeds()] == ["3 days ago", "1 days ago"]
