"""What a user is signed in with, sessions and tokens together."""

from typing import Any

from django.db.models import CharField, F, Value

from chats.lists.keyset import QuerySetPages
from chats.models import AccessToken, User, UserSession

COLUMNS = (
    "session_id",
    "kind",
    "name",
    "user_agent",
    "address",
    "created_at",
    "last_used_at",
    "expires_at",
)


class ActiveSignIns(QuerySetPages):
    """A user's valid sessions and tokens as one list, by one query a page.

    A union cannot be filtered, so both halves are, before they are united.
    """

    def __init__(self, user: User):
        order = UserSession._meta.ordering
        super().__init__(UserSession.objects.visible_to(user).valid().order_by(*order))
        tokens = AccessToken.objects.visible_to(user).valid()
        self._tokens = tokens.annotate(session_id=F("token_id"))

    def page(self, edge: list | None, *, backward: bool, limit: int) -> list[Any]:
        sessions = self.after(edge, self.queryset, backward=backward)
        tokens = self.after(edge, self._tokens, backward=backward)
        united = (
            sessions.order_by()
            .annotate(kind=_text("session"), name=_text(""))
            .annotate(expires_at=F("expire_date"))
            .values(*COLUMNS)
            .union(
                tokens.order_by()
                .annotate(kind=_text("token"), user_agent=_text(""))
                .values(*COLUMNS),
                all=True,
            )
        )
        # Reversed, if the first half is.
        return list(united.order_by(*self.sorting)[:limit])


def _text(value: str) -> Value:
    return Value(value, output_field=CharField())
