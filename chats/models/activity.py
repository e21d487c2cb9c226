"""Message counts over time, for the admin's charts."""

from django.db import models


class HourlyCount(models.Model):
    """The number of messages sent in a past hour.

    This is a cache: the charts count the hours that are missing here, and store them.
    Rows may be deleted at any time.
    """

    hour = models.IntegerField(primary_key=True)  # hours since 1970: see ``hour_of``
    messages = models.IntegerField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.messages} in hour {self.hour}"
