"""Registration of the app with Django."""

from django.apps import AppConfig


class ChatsConfig(AppConfig):
    name = "chats"
    verbose_name = "Messaging"

    def ready(self) -> None:
        # Importing them registers the checks.
        from chats.management.checks import database, mail, settings  # noqa: F401
