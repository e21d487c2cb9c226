"""Create a superuser at the command line."""

from django.contrib.auth.management.commands import createsuperuser
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import IntegrityError


class Command(createsuperuser.Command):
    """Django's, but it asks for each field before it creates the account."""

    help = (
        "Create a superuser, with the role admin. Asks for missing values; with "
        "--noinput the password is read from DJANGO_SUPERUSER_PASSWORD. The new "
        "account is recorded in the audit log."
    )

    def handle(self, *args, **options) -> None:
        try:
            super().handle(*args, **options)
        except IntegrityError as error:
            text = "This username or e-mail address is taken; no user was created."
            raise CommandError(text) from error
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
