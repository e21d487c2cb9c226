"""The project's own commands of manage.py."""

from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand

FOLDER = Path(settings.BASE_DIR) / "chats/management/commands"
NAMES = sorted(file.stem for file in FOLDER.glob("[!_]*.py"))
DJANGOS = {action.dest for action in BaseCommand().create_parser("", "")._actions}
