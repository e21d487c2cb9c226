"""Registration of the app with Django."""

from django.apps import AppConfig


class ChatsConfig(AppConfig):
    name = "chats"
    verbose_name = "Messaging"

    def ready(self) -> None:
        from chats.management.checks import settings as checks  # noqa: F401  (registers them)
