"""Exports: their lines, and conversations taken out and put back."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

from django.core.management import call_command

from chats.models import Conversation


def lines_of(response) -> list[dict[str, Any]]:
    assert response.status_code == 200
    whole = b"".join(response.streaming_content).decode()
    return [json.loads(line) for line in whole.splitlines()]


def taken_out(conversation: Conversation, folder: Path) -> Path:
    file = folder / "conversation.ndjson"
    call_command("export_conversation", str(conversation.pk), output=file, verbosity=0)
    return file


def put_back(file: Path, **options) -> str:
    out = StringIO()
    call_command("import_conversation", file, stdout=out, verbosity=0, **options)
    return out.getvalue()
