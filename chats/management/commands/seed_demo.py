"""Fill an empty installation with demo users, conversations and messages."""

import random
import re
from dataclasses import dataclass, field

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection, transaction
from tqdm import tqdm

from chats.management.arguments import text
from chats.management.demo import data as demo
from chats.models import Conversation, User
from chats.services import conversations, messages, users

PASSWORD = "demo-pass-2026"


@dataclass
class Line:
    """One message to send; ``edited`` is its later text, empty if it is deleted."""

    sender: str
    body: str
    edited: str | None = None


@dataclass
class Dialogue:
    title: str
    participants: list[str]
    lines: list[Line] = field(default_factory=list)


def read_dialogues(text: str) -> list[Dialogue]:
    """Parse the notation described above ``demo.DIALOGUES``."""
    dialogues: list[Dialogue] = []
    for entry in re.split(r"\n(?!    )", text.strip()):
        if entry.startswith("== "):
            title, _, names = entry.removeprefix("== ").rpartition(": ")
            dialogues.append(Dialogue(title, names.split()))
            continue
        sender, _, body = entry.partition(": ")
        body, arrow, edited = body.replace("\n    ", "\n").partition(" =>")
        line = Line(sender, body, edited.strip() if arrow else None)
        dialogues[-1].lines.append(line)
    return dialogues


def front_desk_log() -> Dialogue:
    draw = random.Random(2026)
    dialogue = Dialogue(demo.LOG_TITLE, demo.LOG_PEOPLE.split())
    for _ in range(demo.LOG_LENGTH):
        values = {
            "room": draw.randrange(1, 25),
            "n": draw.randrange(1, 7),
            "hour": draw.randrange(9, 22),
            "thing": draw.choice(demo.THINGS),
            "day": draw.choice(demo.DAYS),
        }
        sender = draw.choice(dialogue.participants)
        body = draw.choice(demo.LOG_LINES).format(**values)
        dialogue.lines.append(Line(sender, body))
    return dialogue


def create_people(password: str) -> dict[str, User]:
    people = {}
    rows = demo.PEOPLE.strip().splitlines()
    for row in tqdm(rows, desc="People", unit="", disable=None):
        username, first_name, last_name, role, phone = row.split(maxsplit=4)
        superuser = username == "admin"
        create = User.objects.create_superuser if superuser else users.register_user
        people[username] = create(
            username=username,
            email=f"{username}@demo.example",
            password=password,
            first_name=first_name,
            last_name=last_name,
            role=role,
            phone_number=None if phone == "-" else phone,
        )
    return people


def play(dialogue: Dialogue, people: dict[str, User], bar: tqdm) -> Conversation:
    """Start the conversation and send every line, with its edit or deletion."""
    owner, *others = (people[name] for name in dialogue.participants)
    conversation = conversations.start_conversation(
        owner, participant_ids=[person.pk for person in others], title=dialogue.title
    )
    for line in dialogue.lines:
        sender = people[line.sender]
        message, _ = messages.send_message(
            sender, conversation.pk, message_body=line.body
        )
        if line.edited:
            messages.edit_message(sender, message.pk, message_body=line.edited)
        elif line.edited is not None:
            messages.delete_message(sender, message.pk)
        bar.update()
    return conversation


def read_some(conversation: Conversation, people: list[User], offset: int) -> None:
    """Mark messages as read: a third of the users have read everything, a third the
    first half, a third only what was sent before their own last message."""
    middle = conversation.messages.order_by("seq")[conversation.messages.count() // 2]
    for index, person in enumerate(people, start=offset):
        if index % 3 == 0:
            messages.mark_conversation_as_read(person, conversation.pk)
        elif index % 3 == 1:
            messages.mark_as_read(person, middle.pk)


def create_conversations(people: dict[str, User]) -> None:
    dialogues = [front_desk_log(), *read_dialogues(demo.DIALOGUES)]
    total = sum(len(dialogue.lines) for dialogue in dialogues)
    with tqdm(total=total, desc="Messages", unit="", disable=None) as bar:
        for offset, dialogue in enumerate(dialogues):
            conversation = play(dialogue, people, bar)
            participants = [people[name] for name in dialogue.participants]
            read_some(conversation, participants, offset)


class Command(BaseCommand):
    help = (
        "Fill an empty installation with demo data: twelve users who can sign in, "
        "eight conversations and some 300 messages. Does nothing if there are already "
        "users. If it is interrupted, nothing is stored."
    )

    def add_arguments(self, parser):
        parser.add_argument(
            "--password",
            type=text,
            default=PASSWORD,
            help="The password of all demo users (default: %(default)s).",
        )
        parser.add_argument(
            "--yes",
            action="store_true",
            help="Do it even on a database server with DEBUG off: anyone who knows "
            "the password above can then sign in there, as a superuser.",
        )

    def handle(self, *, password: str, yes: bool, **options):
        require_good_password(password)
        # The look and the writes are one transaction: two commands that start together
        # queue on SQLite; on a server the second fails on the usernames.
        with transaction.atomic():
            if has_people():
                self.stdout.write(nothing_to_do(password))
                return
            require_harmless_place(yes=yes)
            people = create_people(password)
            create_conversations(people)
        self.stdout.write(self.sign_in_table(people.values(), password))

    def sign_in_table(self, people, password: str) -> str:
        rows = [f"  {'username':10}{'name':20}role"]
        for person in people:
            role = "superuser" if person.is_superuser else person.role
            rows.append(f"  {person.username:10}{person.get_full_name():20}{role}")
        heading = f"Sign in as any of these users, with the password {password}"
        return "\n".join([self.style.SUCCESS(heading), *rows])


def has_people() -> bool:
    try:
        return User.objects.exists()
    except DatabaseError as error:
        raise CommandError(
            f"The database cannot be read: {error}. Run `manage.py migrate` first."
        ) from error


def nothing_to_do(password: str) -> str:
    """Return one line, with how to sign in if the users are those of the demo."""
    alice = User.objects.filter(username="alice").first()
    hint = ""
    if alice and alice.check_password(password):
        hint = f" You can sign in as alice, bob or admin, with the password {password}"
    return f"There are already users: nothing to do.{hint}"


def require_good_password(password: str) -> None:
    try:
        validate_password(password)
    except ValidationError as error:
        raise CommandError(f"--password: {' '.join(error.messages)}") from error


def require_harmless_place(*, yes: bool) -> None:
    if yes or settings.DEBUG or connection.vendor == "sqlite":
        return
    raise CommandError(
        "This is a database server, with DEBUG off. Demo users have a public password: "
        "pass --yes to create them anyway, or run `manage.py createsuperuser` instead."
    )
