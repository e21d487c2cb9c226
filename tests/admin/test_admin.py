"""The admin: its pages, its actions through services, what staff may not do."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from chats.admin import lists, participants
from chats.models import (
    AccessToken,
    Conversation,
    Event,
    Message,
    Participant,
    SignInAttempts,
    User,
)
from chats.services.messages import edit_message
from chats.services.staff import (
    change_participants,
    rename_as_staff,
    transfer_ownership,
)
from chats.web.exceptions import NotFound
from tests.support.admin import (
    act,
    add_page,
    conversation_form,
    delete,
    list_of,
    listed,
    make_row,
    page_of,
    say,
    session_of,
    signed_in,
    user_form,
)
from tests.support.factories import PASSWORD, UserFactory, start

MODELS = (
    "user",
    "conversation",
    "participant",
    "message",
    "accesstoken",
    "usersession",
    "signinattempts",
    "event",
)


# --- The cast and the way in ---------------------------------------------------


@pytest.fixture
def clerk(db) -> User:
    """Staff with every permission of the app, but no superuser."""
    clerk = UserFactory(username="clerk", is_staff=True)
    clerk.user_permissions.set(
        Permission.objects.filter(content_type__app_label__in=["chats", "auth"])
    )
    return clerk


@pytest.fixture
def as_clerk(clerk) -> Client:
    return signed_in(clerk)


def told(response) -> list[str]:
    """The messages shown after a redirect."""
    return [str(message) for message in response.context["messages"]]


def types(**lookups) -> list[str]:
    """The types of the events so far, in order."""
    return list(Event.objects.filter(**lookups).values_list("type", flat=True))


# --- Every page ----------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_admin_pages_of_every_model_answer(model, as_boss):
    row = make_row(model)

    for page in ("change", "history"):
        assert as_boss.get(page_of(row, page)).status_code == 200
    assert row in listed(as_boss.get(list_of(model)))


def test_admin_front_page_and_app_page_answer(as_boss):
    front = as_boss.get(reverse("admin:index"))

    assert "Messaging administration" in front.content.decode()
    assert as_boss.get(reverse("admin:app_list", args=["chats"])).status_code == 200


@pytest.mark.parametrize("model", ["user", "conversation", "message"])
def test_admin_list_offers_dates_and_search(model, as_boss):
    make_row(model)

    html = as_boss.get(list_of(model)).content.decode()

    assert html.count('<input type="date"') == 2
    assert 'id="searchbar"' in html


LIST_QUERIES = {
    "user": 4,
    "conversation": 4,
    "participant": 4,
    "message": 6,  # one of them records the reading
    "accesstoken": 4,
    "usersession": 4,
    "signinattempts": 4,
    "event": 7,  # two of them find names
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("count", [1, 3])
def test_admin_list_costs_the_same_for_one_row_and_three(
    model, count, as_boss, django_assert_num_queries
):
    for _ in range(count):
        make_row(model)
    as_boss.get(list_of(model))

    with django_assert_num_queries(LIST_QUERIES[model]):
        assert as_boss.get(list_of(model)).status_code == 200


@pytest.mark.parametrize("count", [1, 3])
def test_conversation_page_costs_the_same_for_one_participant_and_three(
    count, as_boss, django_assert_num_queries
):
    conversation = start(*(UserFactory() for _ in range(count)))
    as_boss.get(page_of(conversation))

    with django_assert_num_queries(6):
        as_boss.get(page_of(conversation))


@pytest.mark.parametrize("count", [1, 3])
def test_user_page_costs_the_same_for_one_permission_and_three(
    count, as_clerk, alice, django_assert_num_queries
):
    alice.user_permissions.set(Permission.objects.all()[:count])
    as_clerk.get(page_of(alice))

    with django_assert_num_queries(9):
        as_clerk.get(page_of(alice))


# --- Lists ---------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["ALIC", "example.net", "lovelace", "Ada alice"])
def test_user_search_finds_by_username_email_and_names(asked, as_boss, bob):
    alice = UserFactory(
        username="alice", email="a@example.net", first_name="Ada", last_name="Lovelace"
    )

    assert listed(as_boss.get(list_of("user"), {"q": asked})) == [alice]


@pytest.mark.parametrize("model", ["user", "conversation", "message", "accesstoken"])
def test_admin_search_finds_a_row_by_its_id(model, as_boss):
    row = make_row(model)
    make_row(model)

    assert listed(as_boss.get(list_of(model), {"q": str(row.pk)})) == [row]


def test_user_list_filters_by_role_and_activity(as_boss, boss, alice):
    host = UserFactory(role="host")
    suspended = UserFactory(is_active=False)

    url = list_of("user")
    assert listed(as_boss.get(url, {"role__exact": "host"})) == [host]
    assert listed(as_boss.get(url, {"is_active__exact": "0"})) == [suspended]
    assert listed(as_boss.get(url, {"is_staff__exact": "1"})) == [boss]


def test_conversation_search_finds_by_title_and_by_participant(
    as_boss, conversation, mallory
):
    theirs = start(mallory, title="Trips")

    url = list_of("conversation")
    assert listed(as_boss.get(url, {"q": "PLAN"})) == [conversation]
    assert listed(as_boss.get(url, {"q": "mallory"})) == [theirs]
    assert listed(as_boss.get(url, {"q": "nobody"})) == []


def test_participant_list_narrows_to_a_conversation_and_searches_names(
    as_boss, conversation, alice, bob, mallory
):
    start(mallory, bob)

    asked = {"conversation": conversation.pk}
    found = listed(as_boss.get(list_of("participant"), asked))
    assert [row.user for row in found] == [alice, bob]
    found = listed(as_boss.get(list_of("participant"), asked | {"q": "bob"}))
    assert [(row.user, row.conversation) for row in found] == [(bob, conversation)]


def test_message_list_narrows_by_conversation_sender_state_and_body(
    as_boss, conversation, alice, bob
):
    first, second = say(alice, conversation, "Apples"), say(bob, conversation, "Pears")
    elsewhere = say(bob, start(bob), "Plums")
    edit_message(bob, second.pk, message_body="Pears, edited")
    act(as_boss, "delete_selected", elsewhere, post="yes")

    def found(**asked):
        return listed(as_boss.get(list_of("message"), asked))

    assert found() == [elsewhere, second, first]
    assert found(conversation=conversation.pk) == [second, first]
    assert found(sender=bob.pk) == [elsewhere, second]
    assert found(sender=bob.pk, conversation=conversation.pk) == [second]
    assert found(q="PEARS") == [second]
    assert found(state="edited") == [second]
    assert found(state="deleted") == [elsewhere]


def test_message_list_says_what_it_is_narrowed_to(as_boss, conversation, alice):
    say(alice, conversation)

    page = as_boss.get(list_of("message"), {"conversation": conversation.pk})

    (narrowing,) = (
        spec for spec in page.context["cl"].filter_specs if spec.title == "conversation"
    )
    chosen = narrowing.choices(page.context["cl"])
    assert [choice["display"] for choice in chosen] == ["All", "Plans"]


def test_user_page_links_to_what_is_theirs(as_boss, conversation, alice, bob):
    message = say(alice, conversation)
    say(bob, conversation)

    page = as_boss.get(page_of(alice)).content.decode()

    (messages,) = re.findall(r'href="([^"]*/message/\?[^"]*)"', page)
    (parts,) = re.findall(r'href="([^"]*/participant/\?[^"]*)"', page)
    (owned,) = re.findall(r'href="([^"]*/conversation/\?[^"]*)"', page)
    assert listed(as_boss.get(unescape(messages))) == [message]
    assert [row.user for row in listed(as_boss.get(unescape(parts)))] == [alice]
    assert listed(as_boss.get(unescape(owned))) == [conversation]


ASKED_OF_ALL = (
    *("q=%00", "q=0199f3a0-0000-7000-8000-000000000000", "o=1.-2.99.x"),
    *("p=99", "e=1", "_facets=1", "all="),
)


@pytest.mark.parametrize("model", MODELS)
def test_admin_list_answers_whatever_is_asked_of_all(model, as_boss):
    make_row(model)

    for asked in ASKED_OF_ALL:
        answer = as_boss.get(f"{list_of(model)}?{asked}", follow=True)
        assert answer.status_code == 200, asked


@pytest.mark.parametrize(
    ("model", "asked", "status"),
    [
        ("message", "conversation=x", 302),
        ("message", "conversation=%00", 400),
        ("message", "sender=x", 302),
        ("message", "sent_at__year=2026", 400),
        ("message", "sent_at__gte=9999-12-31T23:59:59-23:59", 302),
        ("message", "sent_at__lte=x", 302),
        ("message", "sent_at__gte=2026-01-01T00:00:00", 200),
        ("message", "seq__lte=x", 302),
        ("message", "message_body__startswith=a", 400),
        ("message", "state=x", 200),
        ("participant", "conversation=x", 302),
        ("conversation", "owner=x", 302),
        ("conversation", "owner__password__startswith=a", 400),
        ("user", "password__startswith=a", 400),
        ("user", "is_active__exact=x", 302),
        ("accesstoken", "digest__startswith=a", 400),
        ("event", "conversation_id=x", 302),
        ("event", "event_id__lte=x", 302),
    ],
)
def test_admin_list_refuses_what_it_does_not_offer(model, asked, status, as_boss):
    assert as_boss.get(f"{list_of(model)}?{asked}").status_code == status


def test_admin_list_stops_counting_and_says_so(as_boss, boss, alice, monkeypatch):
    UserFactory()
    monkeypatch.setattr(lists, "MOST_LISTED", 2)

    page = as_boss.get(list_of("user"))

    assert page.context["cl"].result_count == 2
    assert "Only the first 2 are counted" in page.content.decode()


def test_admin_list_pages_through_its_rows(as_boss, alice):
    people = [UserFactory() for _ in range(60)]

    pages = [listed(as_boss.get(list_of("user"), {"p": page})) for page in (1, 2)]

    assert [len(page) for page in pages] == [50, 12]
    assert pages[0] == people[:9:-1]


# --- Messages of all times -----------------------------------------------------


@pytest.fixture
def history(conversation, alice, bob, monkeypatch) -> list[Message]:
    """Seven messages, a day each, in a list that looks at three at a time."""
    monkeypatch.setattr(lists, "MOST_LISTED", 3)
    messages = [say((alice, bob)[day % 2], conversation, "x") for day in range(7)]
    for day, message in enumerate(messages, 1):
        message.sent_at = datetime(2026, 3, day, 12, tzinfo=UTC)
        message.save(update_fields=["sent_at"])
    return messages


def older_link(page) -> str:
    return list_of("message") + page.context["cl"].older_link


@pytest.mark.parametrize("scope", ["", "conversation", "sender"])
def test_message_list_reaches_all_by_going_on_to_older_ones(
    scope, as_boss, history, conversation, alice
):
    value = {"conversation": conversation.pk, "sender": alice.pk, "": ""}[scope]
    page = as_boss.get(list_of("message"), {scope: value} if scope else {})
    found = listed(page)
    while page.context["cl"].older_link:
        assert len(listed(page)) == 3
        page = as_boss.get(older_link(page))
        assert page.context["cl"].newest_link
        found += listed(page)

    mine = history[::2] if scope == "sender" else history
    assert found == mine[::-1]


@pytest.mark.parametrize("scoped", [False, True])
def test_message_list_goes_on_within_the_month_chosen(
    scoped, as_boss, history, conversation
):
    other = say(conversation.owner, start(conversation.owner))
    Message.objects.filter(pk=other.pk).update(
        sent_at=datetime(2026, 2, 28, tzinfo=UTC)
    )
    asked = {"sent_at__gte": "2026-03-01", "sent_at__lt": "2026-04-01"}
    asked |= {"conversation": conversation.pk} if scoped else {}

    first = as_boss.get(list_of("message"), asked)
    second = as_boss.get(older_link(first))
    third = as_boss.get(older_link(second))

    assert listed(first) == history[:3:-1]
    assert listed(second) == history[3:0:-1]
    assert listed(third) == history[:1]
    assert third.context["cl"].older_link == ""


@pytest.mark.parametrize("scoped", [False, True])
def test_message_list_shows_the_day_chosen(scoped, as_boss, history, conversation):
    asked = {"sent_at__gte": "2026-03-02", "sent_at__lt": "2026-03-03"}
    asked |= {"conversation": conversation.pk} if scoped else {}

    assert listed(as_boss.get(list_of("message"), asked)) == [history[1]]


def test_message_search_looks_through_the_newest_only(as_boss, history, conversation):
    oldest = edit_message(history[0].sender, history[0].pk, message_body="needle")

    assert listed(as_boss.get(list_of("message"), {"q": "needle"})) == []
    asked = {"q": "needle", "sent_at__lte": "2026-03-03T00:00:00+00:00"}
    assert listed(as_boss.get(list_of("message"), asked)) == [oldest]
    assert listed(as_boss.get(list_of("message"), {"q": oldest.pk})) == [oldest]


def test_dates_are_fields_that_keep_what_else_was_asked(as_boss, history, alice):
    page = as_boss.get(
        list_of("message"),
        {"sender": alice.pk, "sent_at__gte": "2026-03-03", "sent_at__lt": ""},
    )
    [form] = re.findall('<form method="get">.*?</form>', page.content.decode(), re.S)
    fields = dict(re.findall('name="([^"]*)" value="([^"]*)"', form))

    assert listed(page) == [history[6], history[4], history[2]]
    assert fields == {
        "sent_at__gte": "2026-03-03",
        "sent_at__lt": "",
        "sender": str(alice.pk),
    }
    assert f'<a href="?sender={alice.pk}">All dates</a>' in form
    assert "All dates" not in as_boss.get(list_of("message")).content.decode()


@pytest.mark.parametrize("model", ["user", "conversation"])
def test_list_shows_the_rows_of_the_dates_chosen(model, as_boss):
    row = make_row(model)
    yesterday = row.created_at - timedelta(days=1)
    earlier = yesterday - timedelta(days=1)
    type(row).objects.filter(pk=row.pk).update(created_at=earlier)

    before, since = (
        listed(as_boss.get(list_of(model), {f"created_at__{side}": yesterday.date()}))
        for side in ("lt", "gte")
    )

    assert before == [row]
    assert row not in since


def test_event_list_goes_on_to_older_events(as_boss, conversation, alice, monkeypatch):
    say(alice, conversation)
    monkeypatch.setattr(lists, "MOST_LISTED", 1)

    page = as_boss.get(list_of("event"), {"conversation_id": conversation.pk})
    older = as_boss.get(list_of("event") + page.context["cl"].older_link)

    assert [event.type for event in listed(page)] == ["message.created"]
    assert [event.type for event in listed(older)] == ["conversation.created"]


# --- People --------------------------------------------------------------------


NEW_USER = {
    "username": "carol",
    "email": "carol@example.org",
    "first_name": "Carol",
    "last_name": "Person",
    "usable_password": "true",
    "password1": PASSWORD,
    "password2": PASSWORD,
}


def test_user_added_can_sign_in_and_is_a_guest(as_boss):
    answer = as_boss.post(add_page("user"), NEW_USER)

    carol = User.objects.get(username="carol")
    assert answer.url == page_of(carol)
    assert carol.check_password(PASSWORD)
    assert (carol.email, carol.role, carol.is_staff, carol.is_active) == (
        "carol@example.org",
        "guest",
        False,
        True,
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", ""),
        ("first_name", " "),
        ("last_name", ""),
        ("username", "ALICE"),
        ("username", "a@b"),
        ("password2", "different"),
    ],
)
def test_user_not_added_without_what_is_required(field, value, as_boss, alice):
    answer = as_boss.post(add_page("user"), NEW_USER | {field: value})

    assert list(answer.context["adminform"].form.errors) == [field]
    assert not User.objects.filter(first_name="Carol").exists()


def test_user_not_added_with_an_email_that_differs_in_case_only(as_boss, alice):
    answer = as_boss.post(add_page("user"), NEW_USER | {"email": alice.email.upper()})

    assert answer.context["adminform"].form.errors == {
        "__all__": ["A user with that e-mail already exists."]
    }


def test_user_changed_keeps_what_the_form_does_not_change(as_boss, alice):
    before = User.objects.get(pk=alice.pk)

    as_boss.post(page_of(alice), user_form(alice, last_name="Smith", is_active=""))

    alice.refresh_from_db()
    assert alice.last_name == "Smith"
    assert alice.is_active
    assert alice.updated_at > before.updated_at
    assert alice.password == before.password


def test_user_made_staff_with_groups_and_permissions(as_boss, alice):
    group = Group.objects.create(name="Moderators")
    permission = Permission.objects.get(codename="delete_message")

    form = {"is_staff": "on", "groups": group.pk, "user_permissions": permission.pk}
    as_boss.post(page_of(alice), user_form(alice, **form))

    alice.refresh_from_db()
    assert alice.is_staff
    assert list(alice.groups.all()) == [group]
    assert list(alice.user_permissions.all()) == [permission]


def test_superuser_has_role_admin_or_the_form_says_so(as_boss, alice):
    form = user_form(alice, is_superuser="on")

    refused = as_boss.post(page_of(alice), form)
    as_boss.post(page_of(alice), form | {"role": "admin"})

    assert refused.context["adminform"].form.errors == {
        "__all__": ["A superuser must have the role admin."]
    }
    alice.refresh_from_db()
    assert alice.is_superuser


@pytest.mark.parametrize("field", ["username", "email"])
def test_user_not_renamed_to_another_in_other_case(field, as_boss, alice, bob):
    form = user_form(alice, **{field: getattr(bob, field).upper()})

    answer = as_boss.post(page_of(alice), form)

    assert answer.context["adminform"].form.errors["__all__"]
    assert User.objects.get(pk=alice.pk).username == "alice"


def test_password_set_by_staff_ends_sessions_and_tokens(as_boss, alice):
    theirs = signed_in(alice)
    AccessToken.objects.issue(alice, "laptop", None)
    url = reverse("admin:auth_user_password_change", args=[alice.pk])
    form = {"password1": "another-horse-42", "password2": "another-horse-42"}

    assert as_boss.get(url).status_code == 200
    as_boss.post(url, form | {"usable_password": "true", "set-password": "1"})

    alice.refresh_from_db()
    assert alice.check_password("another-horse-42")
    assert not alice.access_tokens.exists()
    assert theirs.get("/api/users/me/").status_code == 401


def test_password_taken_away_by_staff_ends_tokens(as_boss, alice):
    AccessToken.objects.issue(alice, "laptop", None)
    url = reverse("admin:auth_user_password_change", args=[alice.pk])

    as_boss.post(url, {"usable_password": "false", "unset-password": "1"})

    alice.refresh_from_db()
    assert not alice.has_usable_password()
    assert not alice.access_tokens.exists()


def test_own_password_changed_in_the_admin_ends_tokens_and_keeps_the_session(
    as_boss, boss
):
    AccessToken.objects.issue(boss, "laptop", None)
    url = reverse("admin:password_change")
    new = {"new_password1": "another-horse-42", "new_password2": "another-horse-42"}

    assert as_boss.get(url).status_code == 200
    answer = as_boss.post(url, {"old_password": PASSWORD} | new, follow=True)

    assert answer.redirect_chain == [(reverse("admin:password_change_done"), 302)]
    assert answer.status_code == 200
    boss.refresh_from_db()
    assert boss.check_password("another-horse-42")
    assert not boss.access_tokens.exists()


def test_deactivate_ends_sign_in_and_keeps_memberships(as_boss, conversation, bob):
    theirs = signed_in(bob)
    AccessToken.objects.issue(bob, "laptop", None)

    answer = act(as_boss, "deactivate_selected", bob, post="yes")

    bob.refresh_from_db()
    assert told(answer) == ["Deactivated: 1."]
    assert not bob.is_active
    assert not bob.access_tokens.exists()
    assert theirs.get("/api/users/me/").status_code == 401
    assert bob.participations.count() == 1
    assert LogEntry.objects.get().change_message == "Deactivated."


def test_reactivate_lets_people_in_again_but_not_the_deleted(as_boss, boss, alice, bob):
    act(as_boss, "deactivate_selected", alice, post="yes")
    act(as_boss, "delete_selected", bob, post="yes")
    bob.refresh_from_db()

    answer = act(as_boss, "reactivate_selected", alice, bob)

    assert told(answer) == ["Reactivated: 1.", f"You are not allowed to change: {bob}."]
    assert User.objects.get(pk=alice.pk).is_active
    assert not User.objects.get(pk=bob.pk).is_active


def test_nobody_locks_themselves_out(as_boss, boss):
    answer = act(as_boss, "deactivate_selected", boss, post="yes")
    bulk = act(as_boss, "delete_selected", boss, post="yes")

    assert told(answer) == ["You are not allowed to change: boss."]
    assert bulk.status_code == 403
    assert as_boss.post(page_of(boss, "delete"), {"post": "yes"}).status_code == 403
    assert User.objects.get(pk=boss.pk).is_active


@pytest.mark.parametrize("bulk", [False, True])
def test_user_deleted_is_anonymised_and_leaves(
    bulk, as_boss, boss, conversation, alice, bob
):
    message = say(alice, conversation)
    before = Event.objects.last_id()

    delete(as_boss, alice, bulk=bulk)

    alice.refresh_from_db()
    message.refresh_from_db()
    assert (alice.get_full_name(), alice.is_active) == ("Deleted user", False)
    assert alice.deleted_at
    assert message.sender == alice
    conversation.refresh_from_db()
    assert conversation.owner == bob
    assert types(event_id__gt=before, actor_id=boss.pk) == [
        "participant.removed",
        "conversation.updated",
    ]


def test_user_delete_pages_say_that_messages_stay(as_boss, alice):
    page = as_boss.get(page_of(alice, "delete")).content.decode()
    bulk = act(as_boss, "delete_selected", alice).content.decode()

    assert "The messages stay" in page
    assert "The messages stay" in bulk
    assert User.objects.get(pk=alice.pk).deleted_at is None


def test_deleted_user_can_be_looked_at_only(as_boss, alice):
    act(as_boss, "delete_selected", alice, post="yes")
    alice.refresh_from_db()

    assert as_boss.get(page_of(alice)).status_code == 200
    assert as_boss.post(page_of(alice), user_form(alice)).status_code == 403
    assert as_boss.get(page_of(alice, "delete")).status_code == 403


POWERFUL = [
    {"is_superuser": True, "role": "admin"},
    {"is_staff": True},
    {"role": "admin"},
]


@pytest.mark.parametrize("powers", POWERFUL)
def test_clerk_cannot_touch_accounts_with_powers(powers, as_clerk):
    other = UserFactory(**powers)
    password = reverse("admin:auth_user_password_change", args=[other.pk])

    assert as_clerk.get(page_of(other)).status_code == 200
    form = user_form(other, email="mine@example.org")
    assert as_clerk.post(page_of(other), form).status_code == 403
    assert as_clerk.get(password).status_code == 403
    assert as_clerk.post(password, {"password1": "x"}).status_code == 403
    assert as_clerk.post(page_of(other, "delete"), {"post": "yes"}).status_code == 403
    assert act(as_clerk, "delete_selected", other, post="yes").status_code == 403
    told_off = [f"You are not allowed to change: {other}."]
    assert told(act(as_clerk, "deactivate_selected", other, post="yes")) == told_off
    assert told(act(as_clerk, "reactivate_selected", other)) == told_off
    before = other.updated_at
    other.refresh_from_db()
    assert other.updated_at == before


@pytest.mark.parametrize("theirs", [True, False])
def test_clerk_cannot_give_powers(theirs, as_clerk, clerk, alice):
    person = clerk if theirs else alice
    permissions = set(person.user_permissions.all())
    group = Group.objects.create(name="Moderators")
    powers = {
        "is_superuser": "on",
        "is_staff": "on",
        "role": "admin",
        "groups": group.pk,
        "user_permissions": Permission.objects.first().pk,
    }

    as_clerk.post(page_of(person), user_form(person, first_name="New", **powers))

    staff = person.is_staff
    person.refresh_from_db()
    assert person.first_name == "New"
    assert (person.is_superuser, person.is_staff, person.role) == (
        False,
        staff,
        "guest",
    )
    assert set(person.user_permissions.all()) == permissions
    assert not person.groups.exists()


def test_clerk_adds_guests_without_powers(as_clerk):
    as_clerk.post(
        add_page("user"),
        NEW_USER | {"is_superuser": "on", "is_staff": "on", "role": "admin"},
    )

    carol = User.objects.get(username="carol")
    assert (carol.is_superuser, carol.is_staff, carol.role) == (False, False, "guest")


def test_clerk_manages_ordinary_people(as_clerk, alice):
    act(as_clerk, "deactivate_selected", alice, post="yes")
    assert not User.objects.get(pk=alice.pk).is_active

    act(as_clerk, "delete_selected", alice, post="yes")
    assert User.objects.get(pk=alice.pk).deleted_at


def test_clerk_cannot_change_groups(as_clerk):
    group = Group.objects.create(name="Moderators")
    url = reverse("admin:auth_group_change", args=[group.pk])

    assert as_clerk.get(reverse("admin:auth_group_add")).status_code == 403
    assert as_clerk.post(url, {"name": "Mine"}).status_code == 403
    assert as_clerk.get(url).status_code == 200


@pytest.mark.parametrize("term", ["", "alice", "ali"])
def test_people_picker_offers_active_people_only(term, as_boss, alice):
    UserFactory(username="alicia", is_active=False)
    asked = {
        "app_label": "chats",
        "model_name": "participant",
        "field_name": "user",
        "term": term,
    }

    answer = as_boss.get(reverse("admin:autocomplete"), asked).json()

    names = {result["text"] for result in answer["results"]} - {"boss"}
    assert names == {"alice"}


# --- Conversations -------------------------------------------------------------


def test_conversation_list_shows_counts_and_links(as_boss, conversation, alice):
    say(alice, conversation)

    page = as_boss.get(list_of("conversation")).content.decode()

    assert f'<a href="{page_of(alice)}">alice</a>' in page
    assert f'{list_of("message")}?conversation={conversation.pk}">1</a>' in page


def test_conversation_added_begins_as_if_its_owner_had_started_it(
    as_boss, alice, bob, mallory
):
    form = {"title": "Plans", "owner": alice.pk, "people": [bob.pk, mallory.pk]}

    answer = as_boss.post(add_page("conversation"), form)

    conversation = Conversation.objects.get()
    assert answer.status_code == 302
    assert (conversation.title, conversation.owner) == ("Plans", alice)
    assert conversation.participant_count == 3
    assert set(conversation.participants.all()) == {alice, bob, mallory}
    assert types(actor_id=alice.pk) == ["conversation.created"]
    assert LogEntry.objects.get().object_id == str(conversation.pk)


def test_conversation_not_added_without_an_active_owner_and_people(as_boss, alice):
    gone = UserFactory(is_active=False)

    for owner, people, field in (
        ("", [], "owner"),
        (gone.pk, [], "owner"),
        (alice.pk, [gone.pk], "people"),
        (alice.pk, ["x"], "people"),
    ):
        form = {"title": "", "owner": owner, "people": people}
        answer = as_boss.post(add_page("conversation"), form)
        assert list(answer.context["adminform"].form.errors) == [field]
    assert not Conversation.objects.exists()


def test_conversation_not_added_beyond_its_size(as_boss, alice, bob, mallory, settings):
    settings.MAX_PARTICIPANTS = 2
    form = {"owner": alice.pk, "people": [bob.pk, mallory.pk]}

    answer = as_boss.post(add_page("conversation"), form)

    assert answer.context["adminform"].form.errors == {
        "people": ["A conversation has at most 2 participants."]
    }


def test_conversation_retitled_is_announced(as_boss, boss, conversation):
    before = conversation.updated_at

    as_boss.post(page_of(conversation), conversation_form(conversation, title="Trips"))

    conversation.refresh_from_db()
    assert conversation.title == "Trips"
    assert conversation.updated_at > before
    assert types(actor_id=boss.pk) == ["conversation.updated"]


def test_conversation_saved_as_it_is_announces_nothing(as_boss, boss, conversation):
    answer = as_boss.post(page_of(conversation), conversation_form(conversation))

    assert answer.status_code == 302
    assert types(actor_id=boss.pk) == []


def test_conversation_handed_over_is_announced(as_boss, boss, conversation, bob):
    as_boss.post(page_of(conversation), conversation_form(conversation, owner=bob.pk))

    conversation.refresh_from_db()
    assert conversation.owner == bob
    assert types(actor_id=boss.pk) == ["conversation.updated"]


def test_conversation_not_handed_over_to_outsiders(
    as_boss, conversation, alice, mallory
):
    for owner in (mallory.pk, ""):
        form = conversation_form(conversation, owner=owner)
        answer = as_boss.post(page_of(conversation), form)
        assert list(answer.context["adminform"].form.errors) == ["owner"]
    conversation.refresh_from_db()
    assert conversation.owner == alice


def test_participants_added_and_removed_are_announced(
    as_boss, boss, conversation, alice, bob, mallory
):
    form = conversation_form(conversation, mallory, leaving=[alice])

    as_boss.post(page_of(conversation), form)

    conversation.refresh_from_db()
    assert set(conversation.participants.all()) == {bob, mallory}
    assert (conversation.participant_count, conversation.owner) == (2, bob)
    events = Event.objects.filter(actor_id=boss.pk).order_by("event_id")
    assert list(events.values_list("type", "user_id")) == [
        ("participant.removed", alice.pk),
        ("conversation.updated", None),
        ("participant.added", mallory.pk),
    ]
    message = LogEntry.objects.get().get_change_message()
    assert message.startswith(
        "Added participant “mallory”. Deleted participant “alice”"
    )


def test_participants_may_all_be_removed_and_others_added_later(
    as_boss, conversation, alice, bob
):
    form = conversation_form(conversation, leaving=[alice, bob])
    as_boss.post(page_of(conversation), form)
    conversation.refresh_from_db()
    assert (conversation.participant_count, conversation.owner) == (0, None)

    as_boss.post(page_of(conversation), conversation_form(conversation, bob))
    conversation.refresh_from_db()
    assert (conversation.participant_count, conversation.owner) == (1, bob)


def inline_errors(answer) -> list:
    (inline,) = answer.context["inline_admin_formsets"]
    formset = inline.formset
    return [error for form in formset.errors for error in form.items()] + list(
        formset.non_form_errors()
    )


def test_participant_not_added_when_inactive_unknown_or_there_already(
    as_boss, boss, conversation, bob
):
    gone = UserFactory(is_active=False)
    unknown = User(username="unknown")

    errors = {}
    for person in (gone, unknown, bob):
        form = conversation_form(conversation, person)
        answer = as_boss.post(page_of(conversation), form)
        errors[person.username] = inline_errors(answer)

    invalid = [("user", ["This user is unknown or inactive."])]
    assert errors == {
        gone.username: invalid,
        "unknown": invalid,
        "bob": [
            ("__all__", ["Please correct the duplicate values below."]),
            "Please correct the duplicate data for user.",
        ],
    }
    assert types(actor_id=boss.pk) == []


def test_participant_not_added_when_the_new_row_is_taken_back(
    as_boss, boss, conversation, mallory
):
    form = conversation_form(conversation, mallory)

    as_boss.post(page_of(conversation), form | {"participations-2-DELETE": "on"})

    assert types(actor_id=boss.pk) == []


def test_participant_not_added_to_a_full_conversation(
    as_boss, boss, conversation, alice, mallory, settings
):
    settings.MAX_PARTICIPANTS = 2

    answer = as_boss.post(
        page_of(conversation), conversation_form(conversation, mallory)
    )
    assert inline_errors(answer) == ["A conversation has at most 2 participants."]
    assert types(actor_id=boss.pk) == []

    form = conversation_form(conversation, mallory, leaving=[alice])
    as_boss.post(page_of(conversation), form)
    assert mallory.participations.count() == 1


def test_participant_of_elsewhere_not_removed_by_a_forged_form(
    as_boss, boss, conversation, bob, mallory
):
    elsewhere = start(mallory).participations.get()

    for forged in (elsewhere.pk, 0, "x", ""):
        form = conversation_form(conversation, leaving=[bob])
        form["participations-1-id"] = forged
        answer = as_boss.post(page_of(conversation), form)
        assert inline_errors(answer)
    assert Participant.objects.filter(pk=elsewhere.pk).exists()
    assert types(actor_id=boss.pk) == []


def test_participant_row_not_rewritten_by_a_forged_form(
    as_boss, conversation, bob, mallory
):
    form = conversation_form(conversation)
    form |= {"participations-1-user": mallory.pk, "participations-1-last_read_seq": 9}

    as_boss.post(page_of(conversation), form)

    row = conversation.participations.order_by("id").last()
    assert (row.user, row.last_read_seq) == (bob, 0)


def test_conversation_refusal_of_a_service_undoes_the_whole_form(
    as_boss, boss, conversation, bob, mallory
):
    form = conversation_form(conversation, mallory, leaving=[bob], owner=bob.pk)

    answer = as_boss.post(page_of(conversation), form, follow=True)

    assert told(answer) == ["The owner must be a participant."]
    assert set(conversation.participants.all()) == {conversation.owner, bob}
    assert types(actor_id=boss.pk) == []


def test_conversation_page_shows_the_first_participants_and_links_to_all(
    as_boss, monkeypatch
):
    monkeypatch.setattr(participants, "MOST_SHOWN", 2)
    people = [UserFactory() for _ in range(4)]
    conversation = start(*people)

    page = as_boss.get(page_of(conversation))

    html = page.content.decode()
    assert page.context["inline_admin_formsets"][0].formset.initial_form_count() == 2
    assert html.count('data-field-name="user"') == 1  # the empty row's picker
    link = f"{list_of('participant')}?conversation={conversation.pk}"
    assert f'<a href="{link}">all 4 participants</a>' in html


def test_participant_not_shown_is_not_removed_by_position(as_boss, monkeypatch):
    monkeypatch.setattr(participants, "MOST_SHOWN", 2)
    conversation = start(*(UserFactory() for _ in range(3)))
    last = conversation.participations.order_by("id").last()

    form = conversation_form(conversation, leaving=[last.user])
    answer = as_boss.post(page_of(conversation), form)

    assert inline_errors(answer)
    assert conversation.participations.count() == 3


@pytest.mark.parametrize("bulk", [False, True])
def test_participant_deleted_from_the_list_is_announced(
    bulk, as_boss, boss, conversation, bob
):
    row = conversation.participations.get(user=bob)

    delete(as_boss, row, bulk=bulk)

    conversation.refresh_from_db()
    assert conversation.participant_count == 1
    assert types(actor_id=boss.pk) == ["participant.removed"]


def test_clerk_without_participant_permissions_cannot_change_them(
    conversation, bob, mallory
):
    staff = UserFactory(is_staff=True)
    codenames = ["view_conversation", "change_conversation", "view_participant"]
    staff.user_permissions.set(Permission.objects.filter(codename__in=codenames))

    form = conversation_form(conversation, mallory, leaving=[bob], title="Trips")
    signed_in(staff).post(page_of(conversation), form)

    conversation.refresh_from_db()
    assert conversation.title == "Trips"
    assert types(actor_id=staff.pk) == ["conversation.updated"]


@pytest.mark.parametrize("bulk", [False, True])
def test_conversation_deleted_is_announced_and_takes_its_messages(
    bulk, as_boss, boss, conversation, alice, bob
):
    say(alice, conversation)
    kept = start(alice, bob)

    delete(as_boss, conversation, bulk=bulk)

    assert list(Conversation.objects.all()) == [kept]
    assert not Message.objects.exists()
    assert types(actor_id=boss.pk) == ["conversation.deleted"]


def test_conversation_delete_page_says_what_goes(as_boss, conversation, alice):
    say(alice, conversation)

    page = as_boss.get(page_of(conversation, "delete")).content.decode()

    assert "2 participants lose access" in page
    assert "1 messages are deleted" in page


def test_staff_changes_of_a_conversation_just_deleted_are_refused(
    conversation, boss, bob
):
    Conversation.objects.filter(pk=conversation.pk).delete()

    for change, value in (
        (rename_as_staff, {"title": "Trips"}),
        (transfer_ownership, {"owner_id": bob.pk}),
        (change_participants, {"leaving": [bob.pk]}),
    ):
        with pytest.raises(NotFound):
            change(conversation, **value, actor=boss)


def test_staff_remove_somebody_who_has_left_already_without_effect(
    conversation, boss, bob
):
    for _ in range(2):
        change_participants(conversation, leaving=[bob.pk], actor=boss)

    assert types(actor_id=boss.pk) == ["participant.removed"]


# --- Messages ------------------------------------------------------------------


@pytest.mark.parametrize("bulk", [False, True])
def test_message_deleted_leaves_a_tombstone(bulk, as_boss, boss, conversation, alice):
    message = say(alice, conversation, "Something bad")

    delete(as_boss, message, bulk=bulk)

    message.refresh_from_db()
    assert (message.message_body, message.seq) == ("", 1)
    assert message.deleted_at
    assert types(actor_id=boss.pk) == ["message.deleted"]


def test_message_tombstone_is_not_deleted_again(as_boss, conversation, alice):
    message = say(alice, conversation)
    act(as_boss, "delete_selected", message, post="yes")

    assert as_boss.get(page_of(message, "delete")).status_code == 403
    assert act(as_boss, "delete_selected", message, post="yes").status_code == 403


def test_message_body_is_shown_as_text(as_boss, conversation, alice):
    message = say(alice, conversation, "<script>alert(1)</script>")

    for url in (page_of(message), list_of("message")):
        html = as_boss.get(url).content.decode()
        assert "&lt;script&gt;alert(1)" in html
        assert "<script>alert(1)" not in html


@pytest.mark.parametrize("pk", ["x", "0199f3a0-0000-7000-8000-000000000000"])
def test_admin_action_on_a_forged_id_changes_nothing(pk, as_boss, conversation, alice):
    message = say(alice, conversation)

    answer = act(as_boss, "delete_selected", message, post="yes", _selected_action=pk)

    assert answer.status_code == 200
    assert not Message.objects.exclude(deleted_at=None).exists()


def test_admin_action_on_too_many_rows_changes_nothing(
    as_boss, conversation, alice, monkeypatch
):
    monkeypatch.setattr("chats.admin.base.MOST_SELECTED", 1)
    rows = [say(alice, conversation), say(alice, conversation)]

    answer = act(as_boss, "delete_selected", *rows, post="yes", select_across="1")

    assert told(answer) == ["Select at most 1 rows at a time. Nothing was done."]
    assert not Message.objects.exclude(deleted_at=None).exists()


# --- Sign-in -------------------------------------------------------------------


def test_token_pages_never_show_secret_or_digest(as_boss, alice):
    token, secret = AccessToken.objects.issue(alice, "laptop", None)

    for url in (list_of("accesstoken"), page_of(token), page_of(token, "delete")):
        html = as_boss.get(url).content.decode()
        assert token.prefix in html
        assert token.digest not in html
        assert secret not in html


@pytest.mark.parametrize("bulk", [False, True])
def test_token_deleted_is_revoked(bulk, as_boss, alice):
    token, secret = AccessToken.objects.issue(alice, "laptop", None)

    delete(as_boss, token, bulk=bulk)

    headers = {"Authorization": f"Token {secret}"}
    assert Client().get("/api/users/me/", headers=headers).status_code == 401


def test_sessions_are_shown_to_superusers_only(as_boss, as_clerk, alice):
    row = session_of(alice)
    urls = [list_of("usersession"), page_of(row), page_of(row, "delete")]

    assert [as_boss.get(url).status_code for url in urls] == [200] * 3
    assert [as_clerk.get(url).status_code for url in urls] == [403] * 3
    assert "usersession" not in as_clerk.get("/admin/").content.decode()


def test_sessions_of_a_person_are_linked_and_listed(as_boss, alice, bob):
    row, _ = session_of(alice), session_of(bob)
    url = f"{list_of('usersession')}?user={alice.pk}"

    assert url in as_boss.get(page_of(alice)).content.decode()
    assert listed(as_boss.get(url)) == [row]


@pytest.mark.parametrize("bulk", [False, True])
def test_session_deleted_is_signed_out(bulk, as_boss, alice):
    browser = signed_in(alice)
    row = alice.sessions.get()

    delete(as_boss, row, bulk=bulk)

    assert browser.get("/api/users/me/").status_code == 401


def test_sign_in_attempts_deleted_let_somebody_in_again(as_boss):
    ends = timezone.now() + timedelta(minutes=15)
    row = SignInAttempts.objects.create(key="k", attempts=5, window_ends_at=ends)

    act(as_boss, "delete_selected", row, post="yes")

    assert not SignInAttempts.objects.exists()
