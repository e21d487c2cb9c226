"""Set somebody's password at the command line."""

import getpass

from django.contrib.auth.management.commands import changepassword
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser

from chats.models import User
from chats.services.users import change_password
from chats.web.exceptions import NotFound

MOST_TRIES = 3


class Command(changepassword.Command):
    """Replaces Django's, which would leave access tokens valid and record nothing."""

    help = (
        "Set a user's password. Their sessions and access tokens end, and the change "
        "is recorded in the audit log."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "username",
            nargs="?",
            help="Username or e-mail (default: the name of your system account).",
        )

    def handle(self, *args, username: str | None, **options) -> str:
        name = username or getpass.getuser()
        user = User.objects.named(name).filter(deleted_at=None).first()
        if user is None:
            raise CommandError(f"The user {name!r} does not exist.")
        self.stdout.write(f"Changing the password of {user.username!r}.")
        try:
            change_password(user, self._ask(user), actor=None)
        except NotFound as error:
            raise CommandError(f"{user.username!r} has just been deleted.") from error
        return f"Password changed for {user.username!r}; sessions and tokens ended."

    def _ask(self, user: User) -> str:
        """Return a valid password, which was typed twice; raises CommandError."""
        for _ in range(MOST_TRIES):
            password = self._get_pass()
            if password != self._get_pass("Password (again): "):
                self.stderr.write("The passwords do not match. Please try again.")
                continue
            try:
                validate_password(password, user)
            except ValidationError as error:
                self.stderr.write("\n".join(error.messages))
                continue
            return password
        raise CommandError(f"Given up after {MOST_TRIES} attempts.")
