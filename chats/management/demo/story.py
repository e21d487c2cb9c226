"""What happens in the demo and when: three weeks, told by the services, then dated.

All acts are done in the order of their times, so the log has them in that order. The
services use the clock of now; ``Story.date`` then gives every row the time of its act.
"""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from django.utils import timezone
from tqdm import tqdm

from chats.management.demo import data as demo
from chats.models import Conversation, Event, Message, User
from chats.models.participants import hour_of
from chats.services import conversations, messages

BATCH = 100  # rows of one statement
DAYS = 21  # the people signed up so long ago
MARKER = re.compile(r"-- (\d+) (day|minute)s? ago(?:, (\d\d):(\d\d))?")
UNMARKED = "-- 1 day ago, 12:00"
STARTED = timedelta(minutes=-3)  # a conversation, before its first message
CHANGED = timedelta(seconds=15)  # an edit or a deletion, after its message
READ = timedelta(seconds=50)


@dataclass
class Line:
    """One message to send; ``edited`` is its later wording, empty if deleted."""

    sender: str
    body: str
    at: datetime
    edited: str | None = None


@dataclass
class Dialogue:
    title: str
    participants: list[str]
    lines: list[Line] = field(default_factory=list)


def read_dialogues(text: str, now: datetime) -> list[Dialogue]:
    """Parse the notation described above ``demo.DIALOGUES``."""
    draw = random.Random(2026)
    dialogues: list[Dialogue] = []
    for entry in re.split(r"\n(?!    )", text.strip()):
        if entry.startswith("== "):
            title, _, names = entry.removeprefix("== ").rpartition(": ")
            dialogues.append(Dialogue(title, names.split()))
            at = moment_of(UNMARKED, now)
        elif entry.startswith("-- "):
            at = moment_of(entry, now)
        else:
            dialogues[-1].lines.append(read_line(entry, at))
            at += timedelta(seconds=draw.randrange(60, 180))
    return dialogues


def moment_of(marker: str, now: datetime) -> datetime:
    """Return the time of ``-- 3 days ago, 09:40`` or ``-- 25 minutes ago``."""
    number, unit, hour, minute = MARKER.fullmatch(marker).groups()
    moment = now - timedelta(**{f"{unit}s": int(number)})
    if hour is None:
        return moment
    return moment.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)


def read_line(entry: str, at: datetime) -> Line:
    sender, _, body = entry.partition(": ")
    body, arrow, edited = body.replace("\n    ", "\n").partition(" =>")
    return Line(sender, body, at, edited.strip() if arrow else None)


def front_desk_log(now: datetime) -> Dialogue:
    """Draw the long dialogue: twenty days, busiest in the morning, and today."""
    draw = random.Random(2026)
    dialogue = Dialogue(demo.LOG_TITLE, demo.LOG_PEOPLE.split())
    for at in log_moments(draw, now):
        values = {
            "room": draw.randrange(1, 25),
            "n": draw.randrange(1, 7),
            "hour": draw.randrange(9, 22),
            "thing": draw.choice(demo.THINGS),
            "day": draw.choice(demo.DAYS),
        }
        sender = draw.choice(dialogue.participants)
        body = draw.choice(demo.LOG_LINES).format(**values)
        dialogue.lines.append(Line(sender, body, at))
    return dialogue


def log_moments(draw: random.Random, now: datetime) -> list[datetime]:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    drawn: set[datetime] = set()
    while len(drawn) < demo.LOG_LENGTH - demo.LOG_TODAY:
        minute = int(draw.triangular(7 * 60, 21 * 60, 10 * 60))
        drawn.add(midnight - timedelta(days=draw.randrange(1, 21), minutes=-minute))
    today = [now - timedelta(minutes=12 * n) for n in range(demo.LOG_TODAY, 0, -1)]
    return sorted(drawn) + today


class Act(NamedTuple):
    """Something that somebody does at a time."""

    at: datetime
    do: Callable[[], object]


class Scene:
    """A dialogue on its way into the database."""

    def __init__(self, dialogue: Dialogue, people: dict[str, User], offset: int):
        self.dialogue, self.people, self.offset = dialogue, people, offset
        self.conversation = Conversation()
        self.sent: list[Message] = []

    def acts(self) -> Iterator[Act]:
        """Yield all that is done, each with its time, in no particular order."""
        lines = self.dialogue.lines
        yield Act(lines[0].at + STARTED, self.start)
        for index, line in enumerate(lines):
            yield Act(line.at, partial(self.say, line))
            if line.edited is not None:
                yield Act(line.at + CHANGED, partial(self.change, index, line))
        for place, name in enumerate(self.dialogue.participants):
            if seen := self.seen_by(name, self.offset + place):
                yield Act(lines[seen - 1].at + READ, partial(self.read, name, seen))

    def seen_by(self, name: str, number: int) -> int:
        """Return the ``seq`` up to which somebody reads: Alice all but what UNREAD
        says; of the others a third everything, a third half, a third only what came
        before their own last message."""
        count = len(self.dialogue.lines)
        if name == demo.READER:
            return count - demo.UNREAD.get(self.dialogue.title, 0)
        return (count, count // 2 + 1, 0)[number % 3]

    def start(self) -> None:
        owner, *others = (self.people[name] for name in self.dialogue.participants)
        self.conversation = conversations.start_conversation(
            owner,
            participant_ids=[person.pk for person in others],
            title=self.dialogue.title,
        )

    def say(self, line: Line) -> None:
        sender = self.people[line.sender]
        message, _ = messages.send_message(
            sender, self.conversation.pk, message_body=line.body
        )
        message.sent_at = line.at
        self.sent.append(message)

    def change(self, index: int, line: Line) -> None:
        message, sender = self.sent[index], self.people[line.sender]
        if line.edited:
            messages.edit_message(sender, message.pk, message_body=line.edited)
            message.edited_at = line.at + CHANGED
        else:
            messages.delete_message(sender, message.pk)
            message.deleted_at = line.at + CHANGED

    def read(self, name: str, seen: int) -> None:
        messages.mark_as_read(self.people[name], self.sent[seen - 1].pk)

    def date(self) -> None:
        """Give the rows the times of the story."""
        begun = self.dialogue.lines[0].at + STARTED
        ended = self.dialogue.lines[-1].at
        times = ["sent_at", "edited_at", "deleted_at"]
        Message.objects.bulk_update(self.sent, times, batch_size=BATCH)
        Conversation.objects.filter(pk=self.conversation.pk).update(
            created_at=begun, updated_at=ended
        )
        self.conversation.participations.update(
            joined_at=begun, active_hour=hour_of(ended)
        )


class Story:
    """All dialogues as one sequence of acts."""

    def __init__(self, people: dict[str, User]):
        self.people, self.now = people, timezone.now()
        dialogues = [
            front_desk_log(self.now),
            *read_dialogues(demo.DIALOGUES, self.now),
        ]
        self.scenes = [
            Scene(dialogue, people, offset) for offset, dialogue in enumerate(dialogues)
        ]

    def play(self) -> None:
        acts = [act for scene in self.scenes for act in scene.acts()]
        acts.sort(key=lambda act: act.at)
        events: list[Event] = []
        for act in tqdm(acts, desc="Messages", unit="", disable=None):
            last = events[-1].pk if events else Event.objects.last_id()
            act.do()
            for event in Event.objects.filter(pk__gt=last).order_by("pk"):
                event.created_at = act.at
                events.append(event)
        self.date(events)

    def date(self, events: list[Event]) -> None:
        Event.objects.bulk_update(events, ["created_at"], batch_size=BATCH)
        for scene in self.scenes:
            scene.date()
        for name, person in self.people.items():
            User.objects.filter(pk=person.pk).update(
                created_at=self.now - timedelta(days=DAYS),
                last_seen_at=self.last_seen(name),
            )

    def last_seen(self, name: str) -> datetime:
        """Return when the person said something for the last time."""
        lines = [line for scene in self.scenes for line in scene.dialogue.lines]
        return max(line.at for line in lines if line.sender == name)
