"""Registration of the app with Django."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ChatsConfig(AppConfig):
    name = "chats"
    verbose_name = "Messaging"

    def ready(self) -> None:
        from chats.management.checks import settings as checks  # noqa: F401  (registers them)
        from chats.models import people_index

        post_migrate.connect(people_index.make, sender=self)
