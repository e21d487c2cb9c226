"""The texts of the web client, a catalogue for each language.

A catalogue is a JSON file of the same shape as the English one. A text with several
forms is an object of CLDR's plural categories, of which ``Intl.PluralRules`` chooses.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from django.http import HttpRequest
from django.utils.translation.trans_real import parse_accept_lang_header

FILES = Path(__file__).parents[1] / "static/chats/client/texts"
LANGUAGES = {"en": "English"}  # by code, what their speakers call them
RIGHT_TO_LEFT = {"ar"}
COOKIE = "language"  # the client sets it; otherwise the browser's languages decide


def language_of(request: HttpRequest) -> str:
    """Return the language that the reader chose, or the first they accept of ours."""
    header = request.META.get("HTTP_ACCEPT_LANGUAGE", "")
    accepted = [tag.partition("-")[0] for tag, _ in parse_accept_lang_header(header)]
    wanted = [request.COOKIES.get(COOKIE), *accepted]
    return next((code for code in wanted if code in LANGUAGES), "en")


def direction_of(language: str) -> str:
    return "rtl" if language in RIGHT_TO_LEFT else "ltr"


@cache
def catalogue(language: str) -> dict[str, Any]:
    """Return the texts of one of the LANGUAGES."""
    return json.loads((FILES / f"{language}.json").read_text(encoding="utf-8"))
