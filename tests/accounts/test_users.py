"""People: the list, signing up, one's own account, its end."""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from chats.models import (
    AccessToken,
    Conversation,
    Event,
    Message,
    Participant,
    SignInAttempts,
    User,
)
from chats.models.users import ONLINE_FOR
from chats.services.messages import send_message
from chats.services.session_store import SIGNED_IN_AT
from chats.services.users import (
    change_password,
    deactivate_user,
    delete_user,
    reactivate_user,
    register_user,
    update_user,
)
from chats.web.exceptions import ChatError, SignedOut
from tests.support.bodies import REQUIRED, SIGN_UP, rfc3339, user_body
from tests.support.callers import with_session, with_token
from tests.support.factories import PASSWORD, UserFactory, start
from tests.support.threads import at_once

NOBODY = "01900000-0000-7000-8000-000000000000"
NOT_FOUND = {"detail": "Not found.", "code": "not_found"}
NOT_YOURS = {
    "detail": "Only the account's owner or an admin can do this.",
    "code": "permission_denied",
}
CHANGES = {"first_name": "A", "last_name": "B", "email": "ab@example.org"}
PROOF = {"current_password": PASSWORD}  # that the account is the caller's
UNPROVED = [
    ({}, {"current_password": ["Required to delete your account."]}),
    ({"current_password": "wrong"}, {"current_password": ["Wrong password."]}),
    ({"current_password": None}, {"current_password": ["This field may not be null."]}),
]


def private(person: User) -> dict:
    """What the person and role-admins see."""
    return user_body(person) | {
        "email": person.email,
        "phone_number": person.phone_number,
        "created_at": rfc3339(person.created_at),
        "updated_at": rfc3339(person.updated_at),
    }


def page(*results: dict) -> dict:
    return {"next": None, "previous": None, "results": list(results)}


def usernames(response) -> list[str]:
    return [person["username"] for person in response.json()["results"]]


def url_of(person: User) -> str:
    return f"/api/users/{person.pk}/"


def signed_in(person: User, at: str = "now") -> APIClient:
    """Return a client with a real session; of 15 minutes ago, or from before sessions
    noted when they began, if ``at`` says so."""
    client = with_session(person)
    if at != "now":
        session = client.session
        began = session.pop(SIGNED_IN_AT)
        if at == "old session":
            session[SIGNED_IN_AT] = began - 15 * 60
        session.save()
    return client


# --- The list -----------------------------------------------------------------


def test_user_list_shows_public_fields_and_all_of_ones_own(as_alice, alice, bob):
    response = as_alice.get("/api/users/")
    assert response.status_code == 200
    assert response.json() == page(private(alice), user_body(bob))


def test_user_list_shows_private_fields_to_role_admins(as_admin, admin, alice):
    response = as_admin.get("/api/users/")
    assert response.json() == page(private(alice), private(admin))


def test_user_list_leaves_out_suspended_and_deleted(as_admin, alice, bob, mallory):
    deactivate_user(alice, actor=alice)
    as_admin.delete(url_of(mallory))
    assert usernames(as_admin.get("/api/users/")) == ["bob", "root"]


@pytest.mark.parametrize("count", [1, 3, 50])
def test_user_list_takes_one_query(as_alice, count, django_assert_num_queries):
    UserFactory.create_batch(count - 1)
    with django_assert_num_queries(1):
        response = as_alice.get("/api/users/")
    assert len(response.json()["results"]) == count


def test_user_list_pages_by_cursor_both_ways(as_alice, alice, bob, mallory):
    first = as_alice.get("/api/users/", {"page_size": 2}).json()
    second = as_alice.get(first["next"]).json()
    back = as_alice.get(second["previous"]).json()
    assert [person["username"] for person in first["results"]] == ["alice", "bob"]
    assert [person["username"] for person in second["results"]] == ["mallory"]
    assert second["next"] is None
    assert back["results"] == first["results"]
    assert (first["previous"], back["previous"]) == (None, None)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ALI", ["alice", "carol"]),
        ("alice", ["alice", "carol"]),
        ("smi", ["bob"]),
        ("%", []),
        ("example.org", []),
    ],
)
def test_user_search_finds_usernames_and_names(as_alice, text, found):
    UserFactory(username="bob", last_name="Smith")
    UserFactory(username="carol", first_name="Alice")
    assert usernames(as_alice.get("/api/users/", {"search": text})) == found


def test_user_search_by_email_is_for_role_admins(as_alice, as_admin, bob):
    query = {"search": "bob@example"}
    assert usernames(as_alice.get("/api/users/", query)) == []
    assert usernames(as_admin.get("/api/users/", query)) == ["bob"]


def test_user_list_filters_by_role(as_alice):
    UserFactory(username="hotel", role=User.Role.HOST)
    assert usernames(as_alice.get("/api/users/", {"role": "host"})) == ["hotel"]
    assert usernames(as_alice.get("/api/users/", {"role": "guest"})) == ["alice"]


def test_user_list_filters_by_presence(as_alice):
    UserFactory(username="gone", last_seen_at=timezone.now() - 2 * ONLINE_FOR)
    UserFactory(username="never", last_seen_at=None)
    assert usernames(as_alice.get("/api/users/", {"is_online": "true"})) == ["alice"]
    offline = as_alice.get("/api/users/", {"is_online": "false"})
    assert usernames(offline) == ["gone", "never"]
    assert {item["is_online"] for item in offline.json()["results"]} == {False}


def test_user_filters_combine(as_alice):
    UserFactory(username="hotel-1", role=User.Role.HOST)
    UserFactory(username="hotel-2", role=User.Role.HOST, last_seen_at=None)
    query = {"role": "host", "is_online": "true", "search": "hotel"}
    assert usernames(as_alice.get("/api/users/", query)) == ["hotel-1"]


# --- Signing up ---------------------------------------------------------------


def test_sign_up_creates_a_guest_who_sees_the_whole_account(anonymous, db):
    response = anonymous.post("/api/users/", SIGN_UP)
    carol = User.objects.get()
    assert response.status_code == 201
    assert response.json() == private(carol) | {
        "username": "carol",
        "email": "carol@example.org",
        "first_name": "Carol",
        "last_name": "Jones",
        "phone_number": None,
        "role": "guest",
        "is_online": False,
        "last_seen_at": None,
    }
    assert carol.check_password(PASSWORD)
    assert (carol.is_active, carol.is_staff, carol.is_superuser) == (True, False, False)
    assert not Event.objects.exists()


def test_sign_up_takes_a_phone_number_and_the_role_host(anonymous, db):
    extra = {"phone_number": "+49 30 123456", "role": "host"}
    body = anonymous.post("/api/users/", SIGN_UP | extra).json()
    assert (body["phone_number"], body["role"]) == ("+49 30 123456", "host")


def test_sign_up_ignores_what_only_the_server_sets(anonymous, db):
    forged = {
        "user_id": NOBODY,
        "is_staff": True,
        "is_superuser": True,
        "is_active": False,
        "created_at": "2001-01-01T00:00:00Z",
        "last_seen_at": "2001-01-01T00:00:00Z",
    }
    anonymous.post("/api/users/", SIGN_UP | forged)
    carol = User.objects.get()
    assert str(carol.pk) != NOBODY
    assert (carol.is_active, carol.is_staff, carol.is_superuser) == (True, False, False)
    assert carol.created_at > timezone.now() - timedelta(minutes=1)
    assert carol.last_seen_at is None


def test_sign_up_by_a_role_admin_may_make_an_admin(as_admin, admin):
    response = as_admin.post("/api/users/", SIGN_UP | {"role": "admin"})
    carol = User.objects.get(username="carol")
    assert response.status_code == 201
    assert response.json()["role"] == carol.role == "admin"
    assert (carol.is_staff, carol.is_superuser) == (False, False)


def test_sign_up_as_admin_is_refused_to_all_others(anonymous, as_alice):
    for client in (anonymous, as_alice):
        response = client.post("/api/users/", SIGN_UP | {"role": "admin"})
        assert response.status_code == 400
        assert response.json() == {"role": ["Only an admin can create another admin."]}
    assert User.objects.count() == 1


def test_sign_up_takes_as_many_queries_with_many_people(
    anonymous, db, django_assert_num_queries
):
    for number in (1, 3):
        UserFactory.create_batch(number)
        own = {"username": f"u{number}", "email": f"u{number}@example.org"}
        # Is the username free, is the e-mail; a savepoint, the row, its release.
        with django_assert_num_queries(5):
            anonymous.post("/api/users/", SIGN_UP | own)


BLANK = "This field may not be blank."


@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"username": ""}, {"username": [BLANK]}),
        (
            {"username": "a@b"},
            {"username": ["A username may not contain @."]},
        ),
        (
            {"username": "a b"},
            {
                "username": [
                    "Enter a valid username. This value may contain only letters, "
                    "numbers, and @/./+/-/_ characters."
                ]
            },
        ),
        (
            {"username": "a" * 151},
            {"username": ["Ensure this field has no more than 150 characters."]},
        ),
        (
            {"username": "ALICE"},
            {"username": ["A user with that username already exists."]},
        ),
        (
            {"email": "Alice@EXAMPLE.org"},
            {"email": ["A user with that e-mail already exists."]},
        ),
        ({"email": "nowhere"}, {"email": ["Enter a valid email address."]}),
        ({"email": ""}, {"email": [BLANK]}),
        ({"first_name": " "}, {"first_name": [BLANK]}),
        ({"last_name": None}, {"last_name": ["This field may not be null."]}),
        ({"phone_number": "call me"}, {"phone_number": ["Enter a phone number."]}),
        ({"role": "owner"}, {"role": ['"owner" is not a valid choice.']}),
        ({"password": ""}, {"password": [BLANK]}),
        (
            {"password": "x1!aB"},
            {
                "password": [
                    "This password is too short. It must contain at least 8 characters."
                ]
            },
        ),
        (
            {"password": "password123"},
            {"password": ["This password is too common."]},
        ),
        (
            {"username": "quartz-lantern", "password": "quartz-lantern1"},
            {"password": ["The password is too similar to the username."]},
        ),
        (
            {"password": "82736455819"},
            {"password": ["This password is entirely numeric."]},
        ),
        (
            {"password": "p" * 129},
            {"password": ["Ensure this field has no more than 128 characters."]},
        ),
    ],
)
def test_sign_up_with_bad_input_names_the_field(anonymous, alice, change, errors):
    response = anonymous.post("/api/users/", SIGN_UP | change)
    assert response.status_code == 400
    assert response.json() == errors
    assert User.objects.count() == 1


def test_sign_up_without_anything_names_what_is_required(anonymous, db):
    response = anonymous.post("/api/users/", {})
    assert response.status_code == 400
    assert response.json() == dict.fromkeys(SIGN_UP, REQUIRED)


def test_sign_up_stores_username_and_email_normalised(anonymous, db):
    odd = {"username": "ﬁnn", "email": "Finn@EXAMPLE.Org"}
    body = anonymous.post("/api/users/", SIGN_UP | odd).json()
    assert (body["username"], body["email"]) == ("finn", "Finn@example.org")


def test_sign_up_checks_the_username_as_it_is_stored(anonymous, db):
    """One of these letters becomes eighteen characters, with spaces among them."""
    response = anonymous.post("/api/users/", SIGN_UP | {"username": "\ufdfa" * 20})
    assert response.status_code == 400
    assert set(response.json()) == {"username"}


def test_sign_up_checks_the_email_as_it_is_stored(anonymous, db):
    """In lower case this letter is two characters: 254 become more."""
    labels = ".".join(["İ" * 60] * 4)
    response = anonymous.post("/api/users/", SIGN_UP | {"email": f"a@{labels}.org"})
    assert response.status_code == 400
    assert set(response.json()) == {"email"}


def test_sign_up_keeps_a_password_with_spaces_around_it(anonymous, db):
    anonymous.post("/api/users/", SIGN_UP | {"password": f" {PASSWORD} "})
    assert User.objects.get().check_password(f" {PASSWORD} ")


def test_sign_up_while_registration_is_closed_is_for_role_admins(
    anonymous, as_alice, as_admin, settings
):
    settings.REGISTRATION_OPEN = False
    assert anonymous.post("/api/users/", SIGN_UP).status_code == 401
    refused = as_alice.post("/api/users/", SIGN_UP)
    assert refused.status_code == 403
    assert refused.json() == {
        "detail": "Registration is closed.",
        "code": "permission_denied",
    }
    assert not User.objects.filter(username="carol").exists()
    assert as_admin.post("/api/users/", SIGN_UP).status_code == 201


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("patient_database")
@pytest.mark.parametrize("same", ["email", "username"])
def test_sign_ups_at_once_with_the_same_name_make_one_account(same):
    people = [
        SIGN_UP | {"username": "carol-1", "email": "carol-1@example.org"},
        SIGN_UP | {"username": "carol-2", "email": "carol-2@example.org"},
    ]
    people[0][same], people[1][same] = SIGN_UP[same], SIGN_UP[same].upper()
    answers = at_once(
        lambda: APIClient().post("/api/users/", people[0]),
        lambda: APIClient().post("/api/users/", people[1]),
    )
    made, refused = sorted(answers, key=lambda answer: answer.status_code)
    label = {"email": "e-mail", "username": "username"}[same]
    assert made.status_code == 201
    assert refused.status_code == 400
    assert refused.json() == {same: [f"A user with that {label} already exists."]}
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("taken", "field"),
    [
        ({"username": "carol", "email": "ALICE@example.org"}, "email"),
        ({"username": "my-email", "email": "carol@example.org"}, "username"),
    ],
)
def test_registering_what_was_just_taken_names_the_field(alice, taken, field):
    UserFactory(username="my-email", email="other@example.org")
    with pytest.raises(ChatError) as refusal:
        register_user(password=PASSWORD, first_name="C", last_name="J", **taken)
    assert (refusal.value.field, refusal.value.code) == (field, "unique")


# --- One person ---------------------------------------------------------------


def test_user_retrieve_shows_the_public_part(as_alice, bob):
    response = as_alice.get(url_of(bob))
    assert response.status_code == 200
    assert response.json() == user_body(bob)


def test_user_retrieve_shows_all_to_the_person_and_role_admins(
    as_alice, as_admin, alice
):
    assert as_alice.get(url_of(alice)).json() == private(alice)
    assert as_admin.get(url_of(alice)).json() == private(alice)
    assert as_alice.get("/api/users/me/").json() == private(alice)


def test_user_retrieve_takes_one_query(as_alice, alice, bob, django_assert_num_queries):
    for count in (1, 3):
        UserFactory.create_batch(count)
        for url in (url_of(bob), "/api/users/me/"):
            with django_assert_num_queries(1):
                as_alice.get(url)


def test_user_id_in_the_path_may_be_upper_case(as_alice, bob):
    response = as_alice.get(f"/api/users/{str(bob.pk).upper()}/")
    assert response.json() == user_body(bob)


# --- Changing an account ------------------------------------------------------


@pytest.mark.parametrize("url", ["/api/users/me/", None])
def test_user_put_changes_names_email_and_phone(as_alice, alice, url):
    changes = CHANGES | {"phone_number": "+1 555 0100"}
    response = as_alice.put(url or url_of(alice), changes | PROOF)
    before, alice = alice, User.objects.get(pk=alice.pk)
    assert response.status_code == 200
    assert response.json() == private(before) | changes | {
        "updated_at": rfc3339(alice.updated_at)
    }
    assert {name: getattr(alice, name) for name in changes} == changes
    assert alice.updated_at > before.updated_at
    assert not Event.objects.exists()


def test_user_put_requires_the_whole_account(as_alice, alice):
    response = as_alice.put(url_of(alice), {"first_name": "A"})
    assert response.status_code == 400
    assert response.json() == {"last_name": REQUIRED, "email": REQUIRED}


def test_user_patch_changes_one_field_and_no_other(as_alice, alice):
    response = as_alice.patch("/api/users/me/", {"first_name": "Alicia"})
    stored = User.objects.get(pk=alice.pk)
    assert response.json() == private(alice) | {
        "first_name": "Alicia",
        "updated_at": rfc3339(stored.updated_at),
    }
    assert stored.check_password(PASSWORD)


def test_user_patch_clears_the_phone_number(as_alice, alice):
    User.objects.update(phone_number="+1 555 0100")
    response = as_alice.patch(url_of(alice), {"phone_number": None})
    assert response.json()["phone_number"] is None


def test_user_patch_by_a_role_admin_changes_others(as_admin, alice):
    response = as_admin.patch(url_of(alice), {"email": "new@example.org"})
    assert response.status_code == 200
    assert response.json()["email"] == "new@example.org"


@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"first_name": ""}, {"first_name": [BLANK]}),
        ({"last_name": None}, {"last_name": ["This field may not be null."]}),
        ({"email": "nowhere"}, {"email": ["Enter a valid email address."]}),
        (
            {"email": "BOB@Example.org"},
            {"email": ["A user with that e-mail already exists."]},
        ),
        ({"phone_number": "x"}, {"phone_number": ["Enter a phone number."]}),
        ({"username": "alicia"}, {"username": ["A username cannot be changed."]}),
        (
            {"password": "another-Passw0rd"},
            {"password": ["Use /api/auth/password/change/ instead."]},
        ),
        ({"role": "owner"}, {"role": ['"owner" is not a valid choice.']}),
    ],
)
def test_user_patch_with_bad_input_names_the_field(
    as_alice, alice, bob, change, errors
):
    response = as_alice.patch(url_of(alice), change)
    stored = User.objects.get(pk=alice.pk)
    assert response.status_code == 400
    assert response.json() == errors
    assert stored.updated_at == alice.updated_at
    assert stored.check_password(PASSWORD)


def test_user_patch_accepts_ones_own_username_and_email_again(as_alice, alice):
    same = {"username": "alice", "email": "ALICE@example.org"}
    response = as_alice.patch(url_of(alice), same | PROOF)
    assert response.status_code == 200
    assert response.json()["email"] == "ALICE@example.org"


@pytest.mark.parametrize("by", ["session", "token"])
@pytest.mark.parametrize(
    ("proof", "errors"),
    [
        ({}, {"current_password": ["Required to change your e-mail."]}),
        ({"current_password": "wrong"}, {"current_password": ["Wrong password."]}),
        (
            {"current_password": None},
            {"current_password": ["This field may not be null."]},
        ),
    ],
)
def test_user_patch_of_ones_own_email_needs_the_password(alice, by, proof, errors):
    """Or a borrowed session could have the password reset to it."""
    client = with_token(alice) if by == "token" else with_session(alice)
    for url in ("/api/users/me/", url_of(alice)):
        response = client.patch(url, {"email": "new@example.org"} | proof)
        assert response.status_code == 400
        assert response.json() == errors
    assert User.objects.get().email == alice.email


def test_user_patch_of_a_role_admins_own_email_needs_the_password(as_admin, admin):
    response = as_admin.patch("/api/users/me/", {"email": "new@example.org"})
    assert response.status_code == 400
    assert User.objects.get().email == admin.email


def test_user_put_with_the_same_email_needs_no_password(as_alice, alice):
    response = as_alice.put(url_of(alice), CHANGES | {"email": alice.email})
    assert response.status_code == 200


def test_own_email_is_not_changed_once_the_password_is_another(alice):
    proved = User.objects.get(pk=alice.pk)
    change_password(alice, "quiet-Meadow-42", actor=alice)

    with pytest.raises(SignedOut):
        update_user(proved, {"email": "new@example.org"}, actor=proved)

    assert User.objects.get().email == alice.email


def test_user_patch_ignores_what_only_the_server_sets(as_alice, alice):
    forged = {
        "user_id": NOBODY,
        "is_staff": True,
        "is_superuser": True,
        "is_active": False,
        "is_online": False,
        "created_at": "2001-01-01T00:00:00Z",
    }
    response = as_alice.patch(url_of(alice), forged)
    stored = User.objects.get()
    assert response.status_code == 200
    assert (stored.pk, stored.created_at) == (alice.pk, alice.created_at)
    assert (stored.is_active, stored.is_staff, stored.is_superuser) == (
        True,
        False,
        False,
    )


def test_user_role_is_changed_by_role_admins_only(as_alice, as_admin, alice):
    refused = as_alice.patch("/api/users/me/", {"role": "host"})
    assert refused.status_code == 403
    assert refused.json() == {
        "detail": "Only an admin can change a role.",
        "code": "permission_denied",
    }
    assert as_alice.patch("/api/users/me/", {"role": "guest"}).status_code == 200
    assert as_admin.patch(url_of(alice), {"role": "admin"}).json()["role"] == "admin"


@pytest.mark.parametrize(
    "powers", [{"is_staff": True}, {"is_superuser": True, "role": "admin"}]
)
def test_user_with_powers_is_managed_by_superusers_only(
    as_admin, alice, client_of, powers
):
    """A role-admin who set a superuser's e-mail could take the account by a reset."""
    User.objects.filter(pk=alice.pk).update(**powers)
    for method in (as_admin.put, as_admin.patch, as_admin.delete):
        response = method(url_of(alice), CHANGES)
        assert response.status_code == 403
        assert response.json() == NOT_YOURS
    superuser = UserFactory(is_superuser=True, role=User.Role.ADMIN)
    response = client_of(superuser).patch(url_of(alice), CHANGES)
    assert response.status_code == 200
    assert response.json()["email"] == "ab@example.org"


def test_user_superuser_keeps_the_role_admin(client_of, db):
    superuser = UserFactory(is_superuser=True, role=User.Role.ADMIN)
    response = client_of(superuser).patch("/api/users/me/", {"role": "guest"})
    assert response.status_code == 400
    assert response.json() == {"role": ["A superuser must have the role admin."]}


def test_user_patch_takes_as_many_queries_with_many_people(
    as_admin, alice, django_assert_num_queries
):
    for count in (1, 3):
        UserFactory.create_batch(count)
        # The row; is the e-mail free; a savepoint; the row locked; written; the audit;
        # the release.
        with django_assert_num_queries(7):
            as_admin.patch(url_of(alice), {"email": f"a{count}@example.org"})


def test_user_patch_of_a_deleted_person_is_409(as_admin, alice):
    as_admin.delete(url_of(alice))
    response = as_admin.patch(url_of(alice), {"first_name": "Back"})
    assert response.status_code == 409
    assert response.json() == {
        "detail": "This account has been deleted.",
        "code": "conflict",
    }
    assert User.objects.get(pk=alice.pk).first_name == "Deleted"


# --- Deleting an account ------------------------------------------------------


@pytest.mark.parametrize("url", ["/api/users/me/", None])
def test_user_delete_anonymises_the_person(alice, url):
    User.objects.update(phone_number="+1 555 0100", role="host")
    response = signed_in(alice).delete(url or url_of(alice))
    gone = User.objects.get()
    assert (response.status_code, response.content) == (204, b"")
    assert {
        name: getattr(gone, name)
        for name in (
            "pk",
            "username",
            "email",
            "first_name",
            "last_name",
            "phone_number",
            "role",
            "last_seen_at",
            "last_login",
            "is_active",
        )
    } == {
        "pk": alice.pk,
        "username": f"deleted-{alice.pk.hex}",
        "email": f"{alice.pk.hex}@deleted.invalid",
        "first_name": "Deleted",
        "last_name": "user",
        "phone_number": None,
        "role": "guest",
        "last_seen_at": None,
        "last_login": None,
        "is_active": False,
    }
    assert gone.deleted_at is not None
    assert not gone.has_usable_password()


def test_user_delete_ends_sessions_and_tokens(alice):
    session, token = signed_in(alice), with_token(alice)
    assert signed_in(alice).delete("/api/users/me/").status_code == 204
    for client in (session, token):
        response = client.get("/api/users/me/")
        assert response.status_code == 401
    assert not AccessToken.objects.exists()
    credentials = {"username": "alice", "password": PASSWORD}
    assert APIClient().post("/api/auth/login/", credentials).status_code == 401


@pytest.mark.parametrize("url", ["/api/users/me/", None])
@pytest.mark.parametrize("by", ["token", "old session", "session of no date"])
@pytest.mark.parametrize(("proof", "errors"), UNPROVED)
def test_user_delete_of_oneself_needs_the_password(alice, by, proof, errors, url):
    """Or a leaked token, or a session left open, could end the account for good."""
    client = with_token(alice) if by == "token" else signed_in(alice, at=by)
    response = client.delete(url or url_of(alice), proof)
    assert (response.status_code, response.json()) == (400, errors)
    assert User.objects.get().deleted_at is None
    failed = SignInAttempts.objects.filter(attempts=1).count()
    assert failed == (3 if proof == {"current_password": "wrong"} else 0)

    response = client.delete(url or url_of(alice), PROOF)
    assert response.status_code == 204


def test_user_delete_of_a_role_admin_by_themselves_needs_the_password(as_admin, admin):
    assert as_admin.delete(url_of(admin)).status_code == 400
    assert User.objects.get().deleted_at is None


def test_user_delete_right_after_signing_in_needs_no_password(alice):
    client = signed_in(alice, at="old session")
    client.force_login(alice)  # again, in the same session
    response = client.delete("/api/users/me/", {"current_password": "wrong"})
    assert response.json() == {"current_password": ["Wrong password."]}
    assert client.delete("/api/users/me/").status_code == 204


@pytest.mark.parametrize(("seconds", "status"), [(899, 204), (901, 400), (-90, 400)])
def test_user_delete_needs_no_password_for_15_minutes(alice, seconds, status):
    client = signed_in(alice)
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds)):
        assert client.delete("/api/users/me/").status_code == status


def test_user_delete_guesses_are_limited(alice):
    client = with_token(alice)
    wrong = {"current_password": "wrong"}
    answers = [client.delete("/api/users/me/", wrong) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [400] * 5 + [429]
    assert client.delete("/api/users/me/", PROOF).status_code == 429


def test_own_account_is_not_deleted_once_the_password_is_another(alice):
    proved = User.objects.get(pk=alice.pk)
    change_password(alice, "quiet-Meadow-42", actor=alice)

    with pytest.raises(SignedOut):
        delete_user(proved, actor=proved)

    assert User.objects.get().deleted_at is None


def test_user_delete_by_a_role_admin(as_admin, as_bob, alice):
    assert as_admin.delete(url_of(alice)).status_code == 204
    assert as_bob.get(url_of(alice)).json() == NOT_FOUND
    body = as_admin.get(url_of(alice)).json()
    gone = User.objects.get(pk=alice.pk)
    assert body == private(gone) | {"is_online": False, "last_seen_at": None}
    assert (body["first_name"], body["last_name"]) == ("Deleted", "user")


def test_user_delete_frees_the_username_and_email(as_alice, anonymous, alice):
    as_alice.delete("/api/users/me/", PROOF)
    again = SIGN_UP | {"username": "alice", "email": "alice@example.org"}
    assert anonymous.post("/api/users/", again).status_code == 201


def test_user_delete_takes_the_name_out_of_the_staffs_log(as_alice, alice, bob, admin):
    for person in (alice, bob):
        LogEntry.objects.log_actions(admin.pk, [person], CHANGE, "Changed.")
    as_alice.delete("/api/users/me/", PROOF)
    names = LogEntry.objects.values_list("object_id", "object_repr")
    assert dict(names) == {str(alice.pk): "Deleted user", str(bob.pk): "bob"}


def test_user_delete_by_an_admin_names_the_admin_as_actor(
    as_admin, admin, alice, conversation
):
    as_admin.delete(url_of(alice))
    last = Event.objects.filter(type="participant.removed").get()
    assert (last.user_id, last.actor_id) == (alice.pk, admin.pk)


def test_user_delete_takes_as_many_queries_for_one_conversation_as_for_three(
    bob, django_assert_num_queries
):
    ContentType.objects.get_for_model(User)  # the process remembers it
    for count in (1, 3):
        person = UserFactory()
        for _ in range(count):
            start(bob, person)
        # Before several events, PostgreSQL locks the log by a statement of its own.
        lock = 1 if count > 1 and connection.vendor == "postgresql" else 0
        client = signed_in(person)
        with django_assert_num_queries(24 + lock):
            client.delete("/api/users/me/")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("patient_database")
def test_user_deleted_while_being_added_is_nowhere_a_participant(alice, bob):
    conversations = [start(bob) for _ in range(3)]
    answers = at_once(
        lambda: with_token(alice).delete("/api/users/me/", PROOF).status_code,
        *(
            lambda pk=conversation.pk: (
                with_token(bob)
                .post(
                    f"/api/conversations/{pk}/add_participant/",
                    {"user_id": str(alice.pk)},
                )
                .status_code
            )
            for conversation in conversations
        ),
    )
    assert answers[0] == 204
    assert set(answers[1:]) <= {200, 400}
    assert not Participant.objects.filter(user=alice).exists()
    counts = Conversation.objects.values_list("participant_count", flat=True)
    assert list(counts) == [1, 1, 1]


# --- Suspension ---------------------------------------------------------------


def test_suspension_ends_sessions_and_tokens_and_refuses_sign_in(alice):
    session, token = signed_in(alice), with_token(alice)
    deactivate_user(alice, actor=alice)
    credentials = {"username": "alice", "password": PASSWORD}
    assert session.get("/api/users/me/").status_code == 401
    assert token.get("/api/users/me/").status_code == 401
    assert APIClient().post("/api/auth/login/", credentials).status_code == 401


def test_suspension_leaves_memberships_as_they_are(as_bob, alice, bob, conversation):
    message, _ = send_message(alice, conversation.pk, message_body="Hello")
    deactivate_user(alice, actor=alice)
    body = as_bob.get(f"/api/conversations/{conversation.pk}/").json()
    assert [person["username"] for person in body["participants"]] == ["alice", "bob"]
    assert body["owner"] == str(alice.pk)
    assert Message.objects.get() == message


def test_reactivation_allows_sign_in_but_revives_no_session(alice):
    session = signed_in(alice)
    deactivate_user(alice, actor=alice)
    reactivate_user(alice, actor=alice)
    credentials = {"username": "alice", "password": PASSWORD}
    assert session.get("/api/users/me/").status_code == 401
    assert APIClient().post("/api/auth/login/", credentials).status_code == 200
