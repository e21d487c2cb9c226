"""The lists' query parameters. An unknown value is a 400 that names the parameter."""

from datetime import datetime
from functools import partial
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import Http404, QueryDict
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field
from rest_framework.exceptions import ValidationError

from chats.lists import searching
from chats.lists.inbox import Inbox
from chats.lists.keyset import Pages
from chats.lists.searched_pages import SearchedPages
from chats.models import Conversation, Message, Participant, User
from chats.models.messages import EVER
from chats.serializers.messages import MessageSerializer
from chats.web.parameters import is_from_a_form
from chats.web.times import INVALID, parse_time

MAX_BIGINT = 2**63 - 1
MAX_SEARCH_LENGTH = 200  # SQLite fails on patterns of 50,000 bytes
TIMES = ("sent_after", "sent_before")
# With no other filters ``messages_of`` returns the rows of the list.
PLAIN = {"search", "ordering", "conversation_id"}
RANGE = (*TIMES, "after_seq", "before_seq")
FLAGS = (("true", "true"), ("false", "false"))


class TimeField(forms.DateTimeField):
    """A time in RFC 3339, given in UTC."""

    def to_python(self, value: str) -> datetime | None:
        if value in self.empty_values:
            return None
        try:
            return parse_time(value)
        except ValueError:
            raise forms.ValidationError(INVALID, "invalid") from None


class TimeFilter(filters.IsoDateTimeFilter):
    """A time that every database can compare."""

    field_class = TimeField


class SearchFilter(filters.CharFilter):
    """Text to look for, of bounded length."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, max_length=MAX_SEARCH_LENGTH, **kwargs)
        schema = {"type": "string", "minLength": 1, "maxLength": MAX_SEARCH_LENGTH}
        schema["description"] = kwargs.get("help_text", "")
        extend_schema_field(schema)(self)


class SeqFilter(filters.NumberFilter):
    """A whole number that fits the column."""

    field_class = forms.IntegerField

    def __init__(self, *args, **kwargs):
        super().__init__(*args, min_value=0, max_value=MAX_BIGINT, **kwargs)

    def get_max_validator(self):
        return None


class FlagFilter(filters.ChoiceFilter):
    """``true`` or ``false``; ``method`` gets a bool. Anything else is an error."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, choices=FLAGS, **kwargs)
        about = kwargs.get("help_text", "")
        extend_schema_field({"type": "boolean", "description": about})(self)


class LeanFilterSet(filters.FilterSet):
    """A filter set that makes only the filters that are asked for, or required.

    To make all of them, with their form, costs as much as the query of a page. The
    browsable API, which shows the form, gets them all.
    """

    # Other names of filters, and the names that they stand for.
    aliases: dict[str, str] = {}

    def __init__(self, data=None, *args, request=None, **kwargs):
        data = _without_aliases(data, self.aliases)
        if not is_from_a_form(request):
            self.base_filters = {
                name: item
                for name, item in type(self).base_filters.items()
                if name in (data or ()) or item.extra.get("required")
            }
        super().__init__(data, *args, request=request, **kwargs)


def _without_aliases(data: QueryDict | None, aliases: dict[str, str]) -> Any:
    """Return the parameters without aliases; a name and its alias are an error."""
    for alias, name in aliases.items():
        if not data or alias not in data:
            continue
        if name in data:
            text = f"Give either {alias} or {name}, not both."
            raise ValidationError({alias: [text]})
        data = data.copy()
        data.setlist(name, data.pop(alias))
    return data


class UserFilter(LeanFilterSet):
    """Search and filters of the list of users."""

    search = SearchFilter(
        method="filter_search", help_text="Part of a username or name."
    )
    role = filters.ChoiceFilter(choices=User.Role.choices)
    is_online = FlagFilter(
        method="filter_is_online",
        help_text="`true`: only users who are online; `false`: only others.",
    )

    class Meta:
        model = User
        fields = ()

    def filter_queryset(self, queryset: QuerySet) -> QuerySet | Pages:
        queryset = super().filter_queryset(queryset)
        text = self.form.cleaned_data.get("search")
        if not text:
            return queryset
        with_email = self.request.user.is_role_admin
        limit = searching.among_people(text, with_email=with_email)
        return SearchedPages(queryset, limit)

    def filter_search(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        return queryset.search(value, with_email=self.request.user.is_role_admin)

    def filter_is_online(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        return queryset.online() if value == "true" else queryset.offline()


class ConversationFilter(LeanFilterSet):
    """Search and filters of the caller's conversations."""

    participant = filters.UUIDFilter(
        method="filter_participant",
        help_text="Only those in which this user takes part too.",
    )
    unread = FlagFilter(
        method="filter_unread",
        help_text="`true`: only those with unread messages; `false`: only others.",
    )
    search = SearchFilter(
        method="filter_search",
        help_text="Part of the title or of a participant's name.",
    )

    class Meta:
        model = Conversation
        fields = ()

    def filter_queryset(self, queryset: QuerySet) -> QuerySet | Pages:
        queryset = super().filter_queryset(queryset).latest_first()
        if not self.form.cleaned_data.get("search"):
            return queryset
        limit = searching.among_conversations(self.request.user)
        return SearchedPages(queryset, limit)

    def filter_participant(self, queryset: QuerySet, name: str, value) -> QuerySet:
        return queryset.with_participant(value)

    def filter_unread(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        return queryset.unread() if value == "true" else queryset.read()

    def filter_search(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        return queryset.search(value)


class MessageFilter(LeanFilterSet):
    """Search and filters of messages.

    In one conversation the order is ``seq``; across conversations it is the time
    of sending, which rises with ``seq`` in each of them.
    """

    aliases = {"conversation": "conversation_id"}  # its name in bodies

    conversation_id = filters.UUIDFilter(
        help_text="Only this conversation. `conversation` is an alias."
    )
    sender = filters.UUIDFilter(
        field_name="sender_id", help_text="Only messages sent by this user."
    )
    unread = FlagFilter(
        method="filter_unread",
        help_text="`true`: only those I have not read; `false`: only others.",
    )
    sent_after = TimeFilter(field_name="sent_at", lookup_expr="gt")
    sent_before = TimeFilter(field_name="sent_at", lookup_expr="lt")
    after_seq = SeqFilter(
        field_name="seq", lookup_expr="gt", help_text="Requires `conversation_id`."
    )
    before_seq = SeqFilter(
        field_name="seq", lookup_expr="lt", help_text="Requires `conversation_id`."
    )
    search = SearchFilter(method="filter_search", help_text="Part of the message body.")
    ordering = filters.ChoiceFilter(
        choices=(("seq", "oldest first"), ("-seq", "newest first")),
        method="filter_ordering",
        help_text="`-seq`, newest first, is the default.",
    )

    class Meta:
        model = Message
        fields = ()

    def get_form_class(self):
        """Extend the form: a range of ``seq`` requires a conversation."""
        form_class = super().get_form_class()

        class RangeForm(form_class):
            def clean(self):
                for name in ("after_seq", "before_seq"):
                    asked = self.cleaned_data.get(name) is not None
                    if asked and not self.data.get("conversation_id", "").strip():
                        self.add_error(name, "Requires conversation_id.")
                return super().clean()

        return RangeForm

    def filter_queryset(self, queryset: QuerySet) -> QuerySet | Pages:
        """Sort by ``seq`` if an index has it with the filters, otherwise by time.

        In one conversation the order is the same.
        """
        asked = self.form.cleaned_data
        in_one, limit = asked.get("conversation_id"), self._scan_limit()
        by_time = any(asked.get(name) for name in ("sender", *TIMES))
        names = ["seq"] if in_one and not by_time else ["sent_at", "message_id"]
        order = [
            name if asked.get("ordering") == "seq" else f"-{name}" for name in names
        ]
        narrow = super().filter_queryset
        columns = MessageSerializer.columns(for_reader=True)
        if in_one or asked.get("search"):
            if limit and limit.is_of_everybody:
                queryset = Message.objects.scanned_by(self.request.user)
            elif by_time:
                queryset = queryset.by_conversation()
            queryset = narrow(queryset).order_by(*order).values(*columns)
            return SearchedPages(queryset, limit) if limit else queryset
        return Inbox(
            self.request.user,
            rows=narrow(queryset.by_conversation()).order_by(*order).values(*columns),
            probe=narrow(Message.objects.of_opened()),
            is_unread=asked.get("unread") == "true",
            since=asked.get("sent_after") or EVER,
        )

    def _scan_limit(self) -> searching.ScanLimit | None:
        """Return how far a page of a search looks: only in the range asked for."""
        data = self.form.cleaned_data
        if not data.get("search"):
            return None
        is_plain = self.filters.keys() <= PLAIN
        rows_of = partial(searching.messages_of, self.request.user.pk)
        limit = searching.among_messages(
            self.request.user,
            data.get("conversation_id"),
            data["search"],
            rows_of=rows_of if is_plain else None,
        )
        for name in RANGE:
            if name in self.filters:
                end = data[name]
                if limit.is_of_everybody:  # then it can only be a time
                    end = searching.whole_second(end, up=name == "sent_before")
                limit = limit.narrowed(partial(self.filters[name].filter, value=end))
        return limit

    def filter_unread(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        return queryset.unread() if value == "true" else queryset.read()

    def filter_search(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        return queryset.search(value)

    def filter_ordering(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        return queryset  # applied last, in filter_queryset


class OneConversationFilter(MessageFilter):
    """The same for one conversation, which is required and must be the caller's."""

    conversation_id = filters.UUIDFilter(required=True, help_text="The conversation.")

    def filter_queryset(self, queryset: QuerySet) -> QuerySet:
        taking_part = Participant.objects.filter(
            user=self.request.user,
            conversation_id=self.form.cleaned_data["conversation_id"],
        )
        if not taking_part.exists():
            raise Http404
        return super().filter_queryset(queryset)
