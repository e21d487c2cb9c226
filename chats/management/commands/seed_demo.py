"""Fill an empty installation with demo users, conversations and messages."""

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection, transaction
from tqdm import tqdm

from chats.management.arguments import text
from chats.management.demo import data as demo
from chats.management.demo.story import Story
from chats.models import User
from chats.services import users

PASSWORD = "demo-pass-2026"


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


class Command(BaseCommand):
    help = (
        "Fill an empty installation with demo data: twelve users who can sign in, "
        "eight conversations and some 300 messages of the last three weeks. Does "
        "nothing if there are already users. If it is interrupted, nothing is stored."
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
            Story(people).play()
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
