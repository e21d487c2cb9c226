"""Every command of ours says what it does and what each option means."""

import pytest
from django.core.management import load_command_class

from tests.support.commands import DJANGOS, NAMES


def test_there_are_commands():
    assert {"doctor", "runserver", "seed_demo"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_command_has_a_help_that_reads_well(name):
    command = load_command_class("chats", name)
    parser = command.create_parser("manage.py", name)
    text = " ".join(parser.format_help().split())
    assert 40 < len(command.help) < 600
    assert command.help[0].isupper()
    assert command.help.endswith(".")
    assert " ".join(command.help.split()) in text
    own = [action for action in parser._actions if action.dest not in DJANGOS]
    assert [action.dest for action in own if not action.help] == []
