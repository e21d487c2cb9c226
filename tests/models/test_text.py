"""What names, titles and bodies may hold, wherever they are given."""

import json

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command

from chats.admin.exports import cell
from chats.models import AccessToken, Conversation, Message, User
from chats.models.text.characters import as_line, without_controls
from chats.services.messages import send_message
from tests.support.admin import signed_in, user_form
from tests.support.bodies import SIGN_UP, SUPERUSER
from tests.support.exports import put_back, taken_out
from tests.support.factories import PASSWORD, UserFactory

ONE_LINE = "Enter one line of text, without control or direction characters."
UNSEEN = "Enter text with at least one visible character."
CONTROLS = "Control characters other than tabs and line breaks are not allowed."
BLANK = "This field may not be blank."

INVISIBLE = [
    pytest.param(text, id="+".join(f"{ord(char):04X}" for char in text))
    for text in (
        *"\u00ad\u034f\u115f\u1160\u17b4\u180e\u200b\u200c\u200d\u200e\u2060\u2064",
        *"\u2800\u3164\ufe0f\ufeff\uffa0\U00013441\U0001d159\U000e0041\U000e0101",
        " \u3164 \u200b",
        "\u200b\u2060",
    )
]
NOT_IN_A_LINE = [
    pytest.param(f"Ann{char}Person", id=f"{ord(char):04X}")
    for char in "\n\r\t\x0b\x1b\x7f\x85\x9b"
    "\u2028\u2029\u202a\u202e\u2066\u2069\u206a\ufff9"
]
FINE = [
    "O'Neill",
    "\u0645\u062d\u0645\u062f",  # Arabic
    "\u05d3\u05df\u200f",  # Hebrew with a right-to-left mark, which changes no more
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian with a non-joiner
    "\u0d28\u0d28\u0d4d\u200d",  # Malayalam with a joiner
    "\U0001f469\u200d\U0001f4bb",  # a woman at a computer: two emoji, joined
    "\u2764\ufe0f",  # a red heart, by a variation selector
    "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # England
    "\U0001fae9",  # an emoji that this Python does not know yet
    "\u65c5\u884c\u8a08\u756b\uff1a\u6771\u4eac",  # with a full-width colon, kept
    "E = mc\u00b2 \u2122",
    "\u0939\u093f\u0928\u094d\u0926\u0940",
]

# Where a name or title is given by the API: method, path, the body without it, field.
LINES = [
    ("post", "/api/users/", SIGN_UP, "first_name"),
    ("post", "/api/users/", SIGN_UP, "last_name"),
    ("patch", "/api/users/me/", {}, "first_name"),
    ("patch", "/api/users/me/", {}, "last_name"),
    ("post", "/api/conversations/", {"participant_ids": []}, "title"),
    ("patch", "/api/conversations/{conversation}/", {}, "title"),
    ("post", "/api/auth/tokens/", {}, "name"),
]
LINE_IDS = [f"{method} {path} {field}" for method, path, _, field in LINES]


# --- Names and titles ---------------------------------------------------------------


@pytest.mark.parametrize(("method", "path", "body", "field"), LINES, ids=LINE_IDS)
def test_every_line_is_held_to_the_rule(
    as_alice, conversation, method, path, body, field
):
    url = path.format(conversation=conversation.pk)
    for text, message in (
        ("\u3164", UNSEEN),
        ("Ann\r\nBcc: bob@example.org", ONE_LINE),
        ("Ann\x1b[2J", ONE_LINE),
        ("\u202egro.elpmaxe", ONE_LINE),
    ):
        response = getattr(as_alice, method)(url, body | {field: text})
        assert (response.status_code, response.json()) == (400, {field: [message]})


def test_every_line_takes_what_people_are_called(as_alice, conversation):
    url = f"/api/conversations/{conversation.pk}/"
    for text in FINE:
        response = as_alice.patch(url, {"title": text})
        assert (response.status_code, response.json()["title"]) == (200, text)


@pytest.mark.parametrize("text", INVISIBLE)
def test_line_of_nothing_visible_is_refused(as_alice, alice, text):
    response = as_alice.patch("/api/users/me/", {"first_name": text})
    assert (response.status_code, response.json()) == (400, {"first_name": [UNSEEN]})


@pytest.mark.parametrize("text", NOT_IN_A_LINE)
def test_line_with_control_or_direction_characters_is_refused(as_alice, alice, text):
    response = as_alice.patch("/api/users/me/", {"first_name": text})
    assert (response.status_code, response.json()) == (400, {"first_name": [ONE_LINE]})


def test_line_from_before_the_rule_may_stay(as_alice, alice, conversation):
    User.objects.filter(pk=alice.pk).update(first_name="A\u202e", last_name="\u3164")
    Conversation.objects.update(title="A\x1b[2J")
    AccessToken.objects.issue(alice, "a\nb", None)
    body = {"first_name": "A\u202e", "last_name": "\u3164", "email": alice.email}
    changed = as_alice.put("/api/users/me/", body | {"phone_number": "12345"})
    assert (changed.status_code, changed.json()["phone_number"]) == (200, "12345")
    assert as_alice.get("/api/conversations/").json()["results"][0]["title"] == (
        "A\x1b[2J"
    )
    [token] = as_alice.get("/api/auth/tokens/").json()["results"]
    assert as_alice.delete(f"/api/auth/tokens/{token['token_id']}/").status_code == 204
    proof = {"current_password": PASSWORD}
    assert as_alice.delete("/api/users/me/", proof).status_code == 204


def test_admin_holds_names_and_titles_to_the_rule(boss, alice, conversation):
    client = signed_in(boss)
    for page, form, field in (
        (f"chats/user/{alice.pk}/change/", user_form(alice), "first_name"),
        ("chats/user/add/", SIGN_UP | {"usable_password": "false"}, "last_name"),
        ("chats/conversation/add/", {"owner": alice.pk, "title": ""}, "title"),
        ("auth/group/add/", {}, "name"),
    ):
        answer = client.post(f"/admin/{page}", form | {field: "\u3164"})
        assert answer.context["adminform"].form.errors == {field: [UNSEEN]}, page
    assert not Group.objects.exists()


def test_admin_changes_the_rest_of_rows_from_before_the_rule(boss, alice):
    User.objects.filter(pk=alice.pk).update(username="a\u0430", first_name="A\u202e")
    alice.refresh_from_db()
    form = user_form(alice, last_name="New")
    answer = signed_in(boss).post(f"/admin/chats/user/{alice.pk}/change/", form)
    alice.refresh_from_db()
    assert answer.status_code == 302
    assert (alice.first_name, alice.last_name) == ("A\u202e", "New")


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("first_name", "Ada\x1b[2J", ONE_LINE),
        ("last_name", "\u3164", UNSEEN),
        ("username", "r\u043eot", "A username may not mix letters of several scripts."),
    ],
)
def test_createsuperuser_holds_names_to_the_rule(db, monkeypatch, field, text, message):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    asked = {"username": "root", **SUPERUSER} | {field: text}
    with pytest.raises(CommandError, match=message):
        call_command("createsuperuser", interactive=False, verbosity=0, **asked)
    assert not User.objects.exists()


def test_import_mends_names_and_titles_from_before_the_rule(
    alice, bob, conversation, tmp_path
):
    """A conversation can be restored, whatever it was called; bodies are as sent."""
    send_message(alice, conversation.pk, message_body="Hi")
    file = taken_out(conversation, tmp_path)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for line in lines:
        line |= {"title": "Plans\x1b[2J"} if line["type"] == "conversation" else {}
        if line["type"] == "person" and line["username"] == "bob":
            # Here he was deleted, and he is missing where the file is read.
            line |= {"username": f"deleted-{bob.pk.hex}", "first_name": "\u3164"}
        line |= {"message_body": "\x1b[1mHi"} if line["type"] == "message" else {}
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    Conversation.objects.all().delete()
    User.objects.filter(pk=bob.pk).delete()

    put_back(file, create_missing=True)

    conversation.refresh_from_db()
    bob.refresh_from_db()
    assert conversation.title == "Plans\ufffd[2J"
    assert (bob.username, bob.first_name) == (f"imported-{bob.pk.hex}", "\ufffd")
    assert Message.objects.get().message_body == "\x1b[1mHi"


def test_lines_are_mended_only_where_they_must_be():
    assert [as_line(text) for text in ("", "Ann", "A\r\nB", "\u3164", "\n")] == [
        "",
        "Ann",
        "A\ufffd\ufffdB",
        "\ufffd",
        "\ufffd",
    ]


# --- Usernames ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("username", "message"),
    [
        ("\u0430lice", "A username may not mix letters of several scripts."),
        ("alic\u0435", "A username may not mix letters of several scripts."),
        ("b\u03bfb", "A username may not mix letters of several scripts."),
        ("\u0430\u03bf", "A username may not mix letters of several scripts."),
        ("alice\u0663", "A username may not mix letters of several scripts."),
        ("\u3164", "A username may not contain invisible characters."),
        ("ali\uffa0ce", "A username may not contain invisible characters."),
        ("ali\u115fce", "A username may not contain invisible characters."),
    ],
)
def test_username_that_imitates_is_refused(anonymous, db, username, message):
    response = anonymous.post("/api/users/", SIGN_UP | {"username": username})
    assert (response.status_code, response.json()) == (400, {"username": [message]})


@pytest.mark.parametrize(
    "username",
    [
        "ann_1.2+3-4",
        "Fran\u00e7ois",
        "\u0418\u0432\u0430\u043d_2",
        "\u0395\u03bb\u03ad\u03bd\u03b7",
        "\u7530\u4e2d\u3055\u304f\u3089",
        "\u7530\u4e2dtaro99",
        "\u30ac\u30fc\u30c9",
        "\uae40\ucca0\uc218kim",
        "\u0645\u062d\u0645\u062f\u0663",
        "\u05d3\u05df-7",
    ],
)
def test_username_of_one_script_is_taken(anonymous, db, username):
    response = anonymous.post("/api/users/", SIGN_UP | {"username": username})
    assert (response.status_code, response.json()["username"]) == (201, username)


def test_username_from_before_the_rule_signs_in(anonymous, db):
    UserFactory(username="\u0430lice")
    body = {"username": "\u0430lice", "password": PASSWORD}
    assert anonymous.post("/api/auth/login/", body).status_code == 200


# --- Bodies ---------------------------------------------------------------------------


def answer_to(client, conversation: Conversation, text: str):
    body = {"conversation": str(conversation.pk), "message_body": text}
    return client.post("/api/messages/", body)


@pytest.mark.parametrize("text", [*INVISIBLE, "\n \u3164\t\n"])
def test_body_of_nothing_visible_is_blank(as_alice, conversation, text):
    response = answer_to(as_alice, conversation, text)
    assert (response.status_code, response.json()) == (400, {"message_body": [BLANK]})


@pytest.mark.parametrize("char", "\x01\x07\x08\x0e\x1b\x1f\x7f\x80\x9b\x9d\x9f")
def test_body_with_what_terminals_obey_is_refused(as_alice, conversation, char):
    response = answer_to(as_alice, conversation, f"Hi{char}[2J")
    assert response.status_code == 400
    assert response.json() == {"message_body": [CONTROLS]}


@pytest.mark.parametrize(
    "text",
    [
        *FINE,
        "One\nTwo\r\n\tThree\n",
        "\u200fshalom \u202bx\u202c \u2066y\u2069",
        "\u200b\u00a0.",
        "\u0301",
    ],
)
def test_body_is_stored_exactly_as_sent(as_alice, conversation, text):
    response = answer_to(as_alice, conversation, text)
    assert (response.status_code, response.json()["message_body"]) == (201, text)
    assert Message.objects.get().message_body == text


def test_body_from_before_the_rule_is_read_edited_and_deleted(
    as_alice, alice, conversation
):
    message, _ = send_message(alice, conversation.pk, message_body="\x1b[2J\u3164")
    url = f"/api/messages/{message.pk}/"
    assert as_alice.get(url).json()["message_body"] == "\x1b[2J\u3164"
    assert as_alice.patch(url, {"message_body": "Hi"}).status_code == 200
    assert as_alice.delete(url).status_code == 204


# --- On the way out -------------------------------------------------------------------


def test_exported_cells_have_no_control_characters():
    assert cell("A\x1b[2J\x9b\x7f") == "A\ufffd[2J\ufffd\ufffd"
    assert cell("A\n\tB\u202e") == "A\n\tB\u202e"


def test_controls_are_replaced_one_by_one():
    assert without_controls("\x1b\x1bA\r\n") == "\ufffd\ufffdA\r\n"
