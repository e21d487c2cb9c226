"""How much was sent when, for the admin's charts."""

from django.db import models


class HourlyCount(models.Model):
    """How many messages were sent in an hour that is over.

    The charts count what is not here, and keep it: rows may be deleted at any time.
    """

    hour = models.IntegerField(primary_key=True)  # from 1970 on: see ``hour_of``
    messages = models.IntegerField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.messages} in hour {self.hour}"
