"""Usernames and e-mail addresses: which are the system's, and their one normal form."""

from importlib import import_module
from time import process_time
from types import SimpleNamespace
from uuid import UUID

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection

from chats.db.uuids import uuid7
from chats.models import AuditEntry, User
from chats.models.text.identifiers import SystemName, comparable
from chats.services.mail import outbox
from chats.services.users import delete_user
from tests.support.admin import signed_in
from tests.support.bodies import SIGN_UP, SUPERUSER
from tests.support.factories import PASSWORD, UserFactory, start

USERS = "/api/users/"
LOGIN = "/api/auth/login/"
TOKENS = "/api/auth/tokens/"
RESERVED = {
    "username": ["This username is reserved."],
    "email": ["This e-mail address is reserved."],
}
SOMEBODY = UUID("01900000-0000-7000-8000-000000000000")
SYSTEM_MADE = [
    pytest.param(field, name, id=name)
    for kind in SystemName
    for suffix in ("", "0a1b2c3d")
    for field, name in zip(
        ("username", "email"), kind.of(SOMEBODY, suffix), strict=True
    )
]
DISGUISED = [
    ("username", f"DELETED-{SOMEBODY.hex}"),
    ("username", f"Deleted-{SOMEBODY.hex}"),
    ("username", f"deleted\uff0d{SOMEBODY.hex}"),  # full-width hyphen
    ("username", f"\uff24\uff25leted-{SOMEBODY.hex}"),  # full-width letters
    ("username", f"d\u00e9leted-{SOMEBODY.hex}"),
    ("username", f"de\u0301leted-{SOMEBODY.hex}"),
    ("username", f"\u0130mported-{SOMEBODY.hex}"),  # lower case "i" in some databases
    ("username", f"\u0131mported-{SOMEBODY.hex}"),
    ("username", "deleted-"),
    ("username", "imported-from-the-old-forum"),
    ("email", f"{SOMEBODY.hex}@DELETED.invalid"),
    ("email", f"{SOMEBODY.hex}@deleted.\uff29nvalid"),
    ("email", f"{SOMEBODY.hex}\uff20imported.invalid"),
    ("email", "me@deleted.invalid"),
]


# --- Names of the system's ------------------------------------------------------


@pytest.mark.parametrize(("field", "name"), SYSTEM_MADE + DISGUISED)
def test_sign_up_with_a_name_of_the_systems_is_refused(anonymous, db, field, name):
    response = anonymous.post(USERS, SIGN_UP | {field: name})
    assert response.status_code == 400
    assert response.json() == {field: RESERVED[field]}
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("username", "undeleted"),
        ("username", "deleted"),
        ("username", "imported.goods"),
        ("email", "deleted-scenes@example.org"),
        ("email", "me@notdeleted.invalid"),
    ],
)
def test_sign_up_with_a_name_like_one_of_the_systems(anonymous, db, field, name):
    assert anonymous.post(USERS, SIGN_UP | {field: name}).status_code == 201


@pytest.mark.parametrize(
    ("field", "name"), [(item.values[0], item.values[1]) for item in SYSTEM_MADE]
)
def test_system_names_are_refused_at_every_other_door(
    as_alice, boss, alice, field, name, monkeypatch
):
    proof = {"current_password": PASSWORD}
    by_api = as_alice.patch(f"{USERS}me/", {field: name} | proof)
    assert by_api.status_code == 400
    assert set(by_api.json()) == {field}

    form = SIGN_UP | {field: name, "password1": PASSWORD, "password2": PASSWORD}
    added = signed_in(boss).post("/admin/chats/user/add/", form)
    assert added.context["adminform"].form.errors == {field: RESERVED[field]}

    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    asked = {"username": "root", **SUPERUSER} | {field: name}
    with pytest.raises(CommandError, match="reserved"):
        call_command("createsuperuser", interactive=False, verbosity=0, **asked)
    assert set(User.objects.values_list("username", flat=True)) == {"alice", "boss"}


def test_account_keeps_what_it_has_while_other_fields_change(as_admin, db):
    """As with a person who was imported, whose address is the system's."""
    pk = uuid7()
    username, email = SystemName.IMPORTED.of(pk)
    UserFactory(pk=pk, username=username, email=email, first_name="A\x1b[2J")
    body = {"first_name": "A\x1b[2J", "last_name": "New", "email": email}
    response = as_admin.put(f"{USERS}{pk}/", body)
    assert (response.status_code, response.json()["last_name"]) == (200, "New")


@pytest.mark.parametrize("field", ["username", "email"])
def test_account_is_deleted_though_somebody_holds_its_later_name(
    as_alice, as_bob, alice, bob, conversation, field
):
    username, email = SystemName.DELETED.of(alice.pk)
    held = {"username": username.upper(), "email": email}
    User.objects.filter(pk=bob.pk).update(**{field: held[field]})
    proof = {"current_password": PASSWORD}
    assert as_alice.delete(f"{USERS}me/", proof).status_code == 204
    alice.refresh_from_db()
    assert alice.deleted_at is not None
    assert alice.username.startswith(f"{username}-")
    assert alice.email.endswith("@deleted.invalid")
    assert as_bob.get(f"/api/conversations/{conversation.pk}/").status_code == 200
    call_command("doctor", verbosity=0)


# --- Those who hold such names from before ----------------------------------------

release = import_module("chats.migrations.0013_release_reserved_names").release
normalise = import_module("chats.migrations.0014_normalise_email_addresses").normalise


def run(step) -> None:
    step(apps, SimpleNamespace(connection=connection))


def test_migration_renames_who_holds_a_name_of_the_systems(alice, bob, mallory, capsys):
    username, email = SystemName.DELETED.of(alice.pk)
    User.objects.filter(pk=bob.pk).update(username=username.upper())
    imported = SystemName.IMPORTED.of(alice.pk)[0]
    User.objects.filter(pk=mallory.pk).update(username=imported, email=email)

    run(release)

    named = SystemName.RENAMED.of
    assert set(User.objects.values_list("pk", "username", "email")) == {
        (alice.pk, "alice", "alice@example.org"),
        (bob.pk, named(bob.pk)[0], "bob@example.org"),
        (mallory.pk, *named(mallory.pk)),
    }
    deeds = AuditEntry.objects.values_list("action", "user_id", "actor_id", "details")
    assert set(deeds) == {
        ("user.changed", bob.pk, None, "username"),
        ("user.changed", mallory.pk, None, "email, username"),
    }
    assert str(mallory.pk) in capsys.readouterr().out
    delete_user(alice, actor=alice)
    alice.refresh_from_db()
    assert alice.username == username


def test_migration_leaves_the_systems_own_names_and_all_others(alice, capsys):
    imported, other = uuid7(), UserFactory(username="deleted-scenes")
    username, email = SystemName.IMPORTED.of(imported)
    UserFactory(pk=imported, username=username, email=email)
    delete_user(alice, actor=alice)
    before = set(User.objects.values_list("pk", "username", "email", "updated_at"))

    run(release)

    after = set(User.objects.values_list("pk", "username", "email", "updated_at"))
    assert after == before
    assert other.username == "deleted-scenes"
    assert capsys.readouterr().out == ""


def test_migration_finds_a_free_name(alice, bob, capsys):
    wanted = SystemName.RENAMED.of(bob.pk)[0]
    User.objects.filter(pk=bob.pk).update(username=f"deleted-{alice.pk.hex}")
    User.objects.filter(pk=alice.pk).update(username=wanted.upper())

    run(release)

    names = User.objects.values_list("username", flat=True)
    assert {name[:40] for name in names} == {
        wanted,
        SystemName.RENAMED.of(alice.pk)[0],
    }


def test_migration_normalises_addresses_unless_taken(alice, bob, mallory):
    User.objects.filter(pk=mallory.pk).update(email="M@m\u00fcnchen.example")
    # Past the column's own normal form, as older versions stored them.
    with connection.cursor() as cursor:
        for person, email in (
            (alice, "alice@\uff4ft.example"),
            (bob, "m@mu\u0308nchen.example"),
        ):
            cursor.execute(
                "UPDATE chats_user SET email = %s WHERE username = %s",
                [email, person.username],
            )

    run(normalise)

    assert set(User.objects.values_list("username", "email")) == {
        ("alice", "alice@ot.example"),
        ("bob", "m@mu\u0308nchen.example"),
        ("mallory", "M@m\u00fcnchen.example"),
    }


# --- One normal form at every door ------------------------------------------------

# What is typed, and what it is stored as.
FORMS = [
    pytest.param("Jose\u0301", "Jos\u00e9", id="decomposed"),
    pytest.param("\uff22\uff4f\uff42", "Bob", id="full-width"),
    pytest.param("\ufb01nn", "finn", id="ligature"),
    pytest.param("\uff76\uff9e", "\u30ac", id="half-width katakana"),
]


@pytest.mark.parametrize(("typed", "stored"), FORMS)
def test_a_username_is_found_as_it_was_typed_at_every_door(
    anonymous, as_mallory, boss, typed, stored
):
    signed_up = anonymous.post(USERS, SIGN_UP | {"username": typed})
    assert signed_up.json()["username"] == stored
    again = SIGN_UP | {"username": stored, "email": "x@example.org"}
    assert set(anonymous.post(USERS, again).json()) == {"username"}
    for name in (typed, stored):
        found = as_mallory.get(USERS, {"search": name}).json()["results"]
        assert [person["username"] for person in found] == [stored]
        credentials = {"username": name, "password": PASSWORD}
        assert anonymous.post(LOGIN, credentials).status_code == 200
        token = anonymous.post(TOKENS, credentials | {"name": "script"})
        assert token.status_code == 201
        carol = User.objects.get(username=name)
        assert carol == User.objects.get_by_natural_key(name)
        listed = signed_in(boss).get("/admin/chats/user/", {"q": name})
        assert stored in listed.content.decode()
        assert listed.context["cl"].result_count == 1


@pytest.mark.parametrize(("typed", "stored"), FORMS)
def test_a_participant_is_found_as_the_username_was_typed(
    as_alice, alice, typed, stored
):
    start(alice, UserFactory(username=stored))
    start(alice, title="Others")
    found = as_alice.get("/api/conversations/", {"search": typed}).json()["results"]
    assert len(found) == 1


@pytest.mark.parametrize("typed", ["Jose\u0301", "Jos\u00e9"])
def test_names_and_titles_are_found_composed_or_not(as_alice, alice, typed):
    as_alice.patch(f"{USERS}me/", {"first_name": "Jose\u0301"})
    as_alice.post(
        "/api/conversations/", {"participant_ids": [], "title": "For Jose\u0301"}
    )
    person = as_alice.get(USERS, {"search": typed}).json()["results"][0]
    [place] = as_alice.get("/api/conversations/", {"search": typed}).json()["results"]
    assert (person["first_name"], place["title"]) == ("Jos\u00e9", "For Jos\u00e9")


def test_names_stored_decomposed_are_still_found_as_they_are(as_alice, alice):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE chats_user SET last_name = %s", ["Lefe\u0300vre"])
    found = as_alice.get(USERS, {"search": "Lefe\u0300vre"}).json()["results"]
    assert [person["username"] for person in found] == ["alice"]


@pytest.mark.parametrize(
    "typed",
    [
        "Bob@b\u00fccher.example",
        "bob@BU\u0308CHER.example",
        "\uff42ob\uff20b\u00fccher.example",
    ],
)
def test_an_address_is_one_in_every_form(anonymous, db, mailoutbox, typed):
    body = SIGN_UP | {"email": "bob@bu\u0308cher.EXAMPLE"}
    assert anonymous.post(USERS, body).json()["email"] == "bob@b\u00fccher.example"
    taken = SIGN_UP | {"username": "other", "email": typed}
    assert set(anonymous.post(USERS, taken).json()) == {"email"}
    credentials = {"email": typed, "password": PASSWORD}
    assert anonymous.post(LOGIN, credentials).status_code == 200
    reset = anonymous.post("/api/auth/password/reset/", {"email": typed})
    outbox.submit(lambda: None).result()
    assert (reset.status_code, len(mailoutbox)) == (204, 1)


def test_comparable_forms_ignore_case_as_every_database_may():
    """Or each spelling that a database takes for one had an allowance of its own."""
    text = "".join(map(chr, range(0x11_0000)))
    cased = [char for char in text if char.lower() != char or char.upper() != char]
    apart = [
        char
        for char in cased
        if not comparable(char) == comparable(char.lower()) == comparable(char.upper())
    ]
    assert (len(cased) > 2_000, apart) == (True, [])


def test_long_text_is_refused_before_it_is_normalised(anonymous, db):
    """Python needs a minute to put so many marks in order."""
    began = process_time()
    body = SIGN_UP | {"username": "a" + "\u0301\u0323" * 150_000}
    response = anonymous.post(USERS, body)
    assert response.status_code == 400
    assert set(response.json()) == {"username"}
    assert process_time() - began < 5
