"""Links between pages of the admin."""

from typing import Any

from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode

from chats.models import Conversation

UNTITLED = "Untitled"  # for a conversation in a list, where its id would be too long


def link_to(row: Model | None, text: str = "") -> str:
    """Return a link to the page of ``row``, by default with its name as text."""
    if row is None:
        return "-"
    url = reverse(f"admin:chats_{row._meta.model_name}_change", args=[row.pk])
    return format_html('<a href="{}">{}</a>', url, text or row)


def link_to_conversation(conversation: Conversation) -> str:
    return link_to(conversation, conversation.title or UNTITLED)


def link_to_list(text: str, model: type[Model], **lookups: Any) -> str:
    """Return a link to the list of ``model``, filtered by ``lookups``."""
    url = reverse(f"admin:chats_{model._meta.model_name}_changelist")
    return format_html('<a href="{}?{}">{}</a>', url, urlencode(lookups), text)
