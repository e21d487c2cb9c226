"""The admin's front page: what it counts, for whom, and at which cost."""

import re
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chats.admin.activity import counts
from chats.admin.activity import pages as activity
from chats.admin.activity.charts import Chart, Value, round_up
from chats.admin.activity.counts import count_all
from chats.admin.activity.pages import activity_for, chart_of_hours
from chats.models import Event, HourlyCount, Message, SignInAttempts, User
from chats.services.conversations import rename_conversation
from chats.services.messages import send_message
from chats.services.staff import delete_as_staff
from chats.web import metrics
from tests.support.admin import signed_in
from tests.support.factories import UserFactory, start

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _patient_counts(monkeypatch):
    """No hour stays uncounted since the machine is slow."""
    monkeypatch.setattr(counts, "PATIENCE", 60)


def sent(sender: User, conversation, *moments: datetime) -> None:
    for moment in moments:
        message, _ = send_message(sender, conversation.pk, message_body="Hello")
        Message.objects.filter(pk=message.pk).update(sent_at=moment)


def staff_who_may(*codenames: str) -> User:
    clerk = UserFactory(is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return User.objects.get(pk=clerk.pk)


def figures(staff: User) -> dict[str, str]:
    return {figure.name: figure.number for figure in activity_for(staff)["figures"]}


# --- Counting ------------------------------------------------------------------


def counted(hours: int = 4) -> list[int]:
    """Return what is counted of the last hours, the newest first."""
    counts = count_all(hours)
    return [counts.by_hour[counts.present - back] for back in range(hours)]


def test_hours_are_counted_from_the_first_moment_to_before_the_last(
    alice, conversation
):
    step = timedelta(microseconds=1)
    sent(alice, conversation, NOON - HOUR - step, NOON - HOUR, NOON - step, NOON)

    with time_machine.travel(NOON + HOUR / 2, tick=False):
        assert counted() == [1, 2, 1, 0]


def test_hour_that_is_over_is_counted_once(alice, conversation):
    sent(alice, conversation, NOON - HOUR / 2, NOON)
    with time_machine.travel(NOON + HOUR / 2, tick=False):
        before = counted()
        delete_as_staff(conversation, actor=alice)

        assert (before, counted()) == ([1, 1, 0, 0], [0, 1, 0, 0])


def test_hour_is_counted_again_until_all_of_it_is_committed(alice, conversation):
    sent(alice, conversation, NOON - HOUR / 2)
    with time_machine.travel(NOON + timedelta(seconds=20), tick=False):
        assert counted() == [0, 1, 0, 0]
    sent(alice, conversation, NOON - timedelta(seconds=1))  # committed only now

    with time_machine.travel(NOON + timedelta(minutes=2), tick=False):
        assert counted() == [0, 2, 0, 0]


@time_machine.travel(NOON + HOUR / 2, tick=False)
def test_page_without_time_counts_one_more_hour_that_is_over(
    alice, conversation, monkeypatch
):
    monkeypatch.setattr(counts, "PATIENCE", -1)
    sent(alice, conversation, *(NOON - HOUR * n for n in range(4)))

    pages = [counted() for _ in range(3)]

    assert pages == [[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert count_all(4).since == counts.hour_of(NOON) - 3


@time_machine.travel(NOON + HOUR / 2, tick=False)
def test_page_that_cannot_keep_its_counts_shows_them(alice, conversation, monkeypatch):
    @contextmanager
    def busy():
        raise OperationalError
        yield

    monkeypatch.setattr(counts, "brief_transaction", busy)
    sent(alice, conversation, NOON - HOUR)

    assert counted() == [0, 1, 0, 0]
    assert not HourlyCount.objects.exists()


# --- Charts --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "rounded"), [(0, 1), (1, 1), (3, 4), (5, 10), (41, 100), (400, 400)]
)
def test_axis_ends_at_a_round_number(number, rounded):
    assert round_up(number) == rounded


def test_chart_scales_its_bars_and_tells_of_what_is_missing():
    values = [Value("Monday", "Mon", 1000), Value("Tuesday", "", 0, is_whole=False)]
    chart = Chart("days", "Days", values, rest="Older ones are still being counted.")

    assert [bar[1:] for bar in chart.bars] == [
        ("36.0", "0.0", "288.0", "120.0", "180.0"),
        ("396.0", "120.0", "288.0", "0.0", "540.0"),
    ]
    assert Chart("days", "Days", values[:1], rest="").is_whole is True
    assert Chart("days", "Days", [Value("Monday", "", 1)], rest="").lines == [
        ("0.0", "1")
    ]
    assert Chart("days", "Days", [Value("Monday", "", 2)], rest="").lines == [
        ("0.0", "2"),
        ("60.0", "1"),
    ]
    assert chart.lines == [("0.0", "1,000"), ("60.0", "500")]
    assert chart.description == (
        "1,000 in total; the most, 1,000, in Monday. "
        "Older ones are still being counted."
    )


# --- The page ------------------------------------------------------------------


def test_front_page_tells_what_goes_on(boss, alice, bob, conversation):
    now = timezone.now()
    sent(alice, conversation, now - timedelta(days=2), now, now)
    sent(bob, start(bob, title="Quiet"), now)
    User.objects.filter(pk=bob.pk).update(last_seen_at=now - HOUR)
    window = now + timedelta(minutes=10)
    SignInAttempts.objects.create(key="a", attempts=3, window_ends_at=window)
    SignInAttempts.objects.create(key="b", attempts=9, window_ends_at=now - HOUR)
    SignInAttempts.objects.create(key="c", attempts=9, window_ends_at=now + HOUR)
    SignInAttempts.objects.create(key="d", attempts=0, window_ends_at=window)
    metrics.open_streams.set(7)

    shown = activity_for(boss)
    metrics.open_streams.set(0)

    assert shown["figures"] == [
        ("People online", "2", "last minute"),
        ("Active people", "3", "last 24 hours"),
        ("Open streams", "7", "in this process"),
        (
            "Oldest event kept",
            f"{now.day} {now:%b %Y}",
            "older cursors are refused",
        ),
        ("Failed sign-ins", "3", "in 15 minutes, the highest of 1 counters"),
    ]
    assert shown["looked_at"] == "10,000"
    hours, days = shown["charts"]
    assert sum(value.number for value in hours.values) == 3
    assert [value.number for value in days.values][-3] == 1
    busiest = [(str(name), str(count)) for name, count in shown["busiest"]]
    assert [">Plans<" in name for name, _ in busiest] == [True, False]
    assert [">2<" in count for _, count in busiest] == [True, False]
    people = [(str(name), str(count)) for name, count in shown["people"]]
    assert [">alice<" in name for name, _ in people] == [True, False]
    assert [">3<" in count for _, count in people] == [True, False]
    assert f"?conversation={conversation.pk}" in busiest[0][1]


def test_front_page_without_anything_says_so(boss):
    boss.last_seen_at = None
    boss.save()

    assert figures(boss) == {
        "People online": "0",
        "Active people": "0",
        "Open streams": "0",
        "Oldest event kept": "none",
        "Failed sign-ins": "0",
    }


@pytest.mark.parametrize(("most", "told"), [(1, "over 1"), (2, "2")])
def test_people_are_counted_up_to_a_bound(most, told, boss, alice, monkeypatch):
    monkeypatch.setattr(activity, "MOST_COUNTED", most)
    User.objects.update(last_seen_at=timezone.now())

    assert figures(boss)["Active people"] == told


def test_charts_have_24_hours_and_30_days_of_which_some_are_labelled(boss, alice):
    moment = datetime(2026, 3, 2, 14, 34, 56, tzinfo=timezone.get_fixed_timezone(120))
    place = start(alice)
    with time_machine.travel(moment, tick=False):
        sent(alice, place, *(NOON - HOUR * n for n in (24, 23, 3, 0, -0.5)))
        hours, days = activity_for(boss)["charts"]

    assert hours.title == "Messages per hour, last 24 hours (UTC)"
    assert days.title == "Messages per day, last 30 days (UTC)"
    assert (hours.key, days.key) == ("hours", "days")
    assert [value.number for value in hours.values] == [1, *[0] * 19, 1, 0, 0, 2]
    assert [value.number for value in days.values] == [*[0] * 28, 2, 3]
    assert [value.name for value in hours.values][::23] == [
        "1 March, 13:00",
        "2 March, 12:00",
    ]
    assert [value.name for value in days.values][::29] == ["1 February", "2 March"]
    labels = ["15:00", "18:00", "21:00", "00:00", "03:00", "06:00", "09:00", "12:00"]
    assert [value.label for value in hours.values if value.label] == labels
    labels = ["5 Feb", "10 Feb", "15 Feb", "20 Feb", "25 Feb", "2 Mar"]
    assert [value.label for value in days.values if value.label] == labels
    assert (hours.is_whole, days.is_whole) == (True, True)


def busiest_of(staff: User) -> list[str]:
    """Return the titles, which have a word each."""
    shown = activity_for(staff)["busiest"]
    return [str(name).partition(">")[2].partition("<")[0] for name, _ in shown]


def test_the_busiest_are_the_five_with_the_most_messages(boss, alice, monkeypatch):
    places = [start(alice, title=f"Place-{number}") for number in range(6)]
    for number, place in enumerate(places):
        sent(alice, place, *[timezone.now()] * (number + 1))

    expected = [f"Place-{number}" for number in (5, 4, 3, 2, 1)]
    assert busiest_of(boss) == expected
    monkeypatch.setattr(activity, "LOOKED_AT", 6)  # all of them of the last one
    assert busiest_of(boss) == expected[:1]


def test_the_busiest_are_so_by_messages_of_the_last_day(boss, alice):
    now = timezone.now()
    lately, before, renamed = (
        start(alice, title=title) for title in ("Lately", "Before", "Renamed")
    )
    sent(alice, lately, now)
    sent(alice, before, now - timedelta(days=2))
    rename_conversation(alice, renamed.pk, title="Renamed-again")

    assert busiest_of(boss) == ["Lately"]


def test_the_busiest_are_found_without_events_of_another_day(boss, alice, monkeypatch):
    now = timezone.now()
    monkeypatch.setattr(activity, "BUSIEST", 1)
    lately, before = (start(alice, title=title) for title in ("Lately", "Before"))
    sent(alice, lately, now)
    sent(alice, before, now - timedelta(days=2), now - timedelta(days=2))
    old = Event.objects.filter(conversation_id=before.pk)
    old.update(created_at=now - timedelta(days=2))

    assert busiest_of(boss) == ["Lately"]


def test_front_page_draws_with_texts_for_those_who_do_not_see(boss, conversation):
    page = signed_in(boss).get(reverse("admin:index")).content.decode()

    assert page.count('<svg viewBox="-52') == 2
    assert page.count('role="img" aria-labelledby="') == 2
    assert '<title id="hours-title">Messages per hour' in page
    assert page.count("<summary>As a table</summary>") == 2


HERE = ["People online", "Active people"]


@pytest.mark.parametrize(
    ("may", "names", "charts", "busiest"),
    [
        ((), [], 0, []),
        (("view_user",), HERE, 0, []),
        (("view_event",), ["Open streams", "Oldest event kept"], 0, []),
        (("view_signinattempts",), ["Failed sign-ins"], 0, []),
        (("view_message",), [], 2, []),
        (("view_conversation",), [], 0, []),
        (("view_message", "view_conversation"), [], 2, ["Plans"]),
        (("view_message", "view_user"), HERE, 2, ["alice"]),
    ],
)
def test_staff_see_what_their_permissions_allow(
    may, names, charts, busiest, alice, conversation
):
    sent(alice, conversation, timezone.now())
    clerk = staff_who_may(*may)

    shown = activity_for(clerk)
    page = signed_in(clerk).get(reverse("admin:index")).content.decode()

    assert list(figures(clerk)) == names
    assert len(shown["charts"]) == charts
    assert [name for name in ("Plans", "alice") if f">{name}</a>" in page] == busiest
    assert (shown["busiest"] is not None) == ("Plans" in busiest)
    assert (shown["people"] is not None) == ("alice" in busiest)
    assert ('id="activity"' in page) == bool(names or charts)


@time_machine.travel(NOON, tick=False)
def test_front_page_costs_the_same_for_one_conversation_and_three(boss, alice):
    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            activity_for(boss)
        return len(queries)

    sent(alice, start(alice), timezone.now())
    activity_for(boss)
    once = cost()
    for _ in range(2):
        sent(alice, start(alice), timezone.now())

    assert cost() == once
    assert once <= 14


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's planner")
@pytest.mark.parametrize("column", ["conversation_id", "actor_id"])
def test_busiest_are_found_among_the_newest_events_alone(db, column):
    with CaptureQueriesContext(connection) as queries:
        activity._most_named(timezone.now(), column)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {queries[-1]['sql']}")
        first, *_ = (row[-1] for row in cursor.fetchall())
    assert first.startswith("SEARCH chats_event USING INTEGER PRIMARY KEY")


# --- Links ---------------------------------------------------------------------


def test_persons_page_links_only_to_lists_one_may_see(boss, alice):
    url = reverse("admin:chats_user_change", args=[alice.pk])
    clerk = signed_in(staff_who_may("view_user", "view_message"))

    def links(client) -> list[str]:
        page = client.get(url).content.decode()
        models = ("message", "participant", "usersession", "auditentry")
        return [model for model in models if f"/{model}/?" in page]

    assert links(clerk) == ["message"]
    everything = ["message", "participant", "usersession", "auditentry"]
    assert links(signed_in(boss)) == everything


def links_of(page: str, start: str) -> set[str]:
    """Return where the page's links to our models lead, from ``start`` on."""
    return set(re.findall(r'href="(/admin/chats/[^"]*)"', page.split(start, 1)[1]))


def test_front_page_leads_to_each_conversation_and_person(boss, alice, conversation):
    sent(alice, conversation, timezone.now())
    client = signed_in(boss)

    def read(url: str) -> str:
        answer = client.get(url)
        assert answer.status_code == 200
        return answer.content.decode()

    person = reverse("admin:chats_user_change", args=[alice.pk])
    plans = reverse("admin:chats_conversation_change", args=[conversation.pk])
    messages = reverse("admin:chats_message_changelist")
    participants = reverse("admin:chats_participant_changelist")
    of_plans = f"{messages}?conversation={conversation.pk}"
    by_alice = f"{messages}?sender={alice.pk}"
    where_alice_is = f"{participants}?user={alice.pk}"

    index = links_of(read(reverse("admin:index")), 'id="activity"')
    assert {plans, of_plans, person, by_alice} <= index
    assert {of_plans, person} <= links_of(read(plans), 'id="content"')
    assert {by_alice, where_alice_is} <= links_of(read(person), 'id="content"')
    assert plans in links_of(read(where_alice_is), 'id="content"')
    for messages in (of_plans, by_alice):
        assert {plans, person} <= links_of(read(messages), 'id="content"')


# --- Hours -----------------------------------------------------------------------


def bars(drawn: str) -> list[str]:
    """Return what the chart's bars say, those of no message left out."""
    said = re.findall(r"<rect .*?<title>(.*?)</title>", drawn)
    assert len(said) == 24
    return [text for text in said if not text.endswith(": 0")]


def test_hours_of_a_conversation_are_those_of_the_last_day(alice, bob, conversation):
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    minute = timedelta(minutes=1)
    moments = (
        now - 30 * HOUR,
        now - 23 * HOUR,
        now - 2 * HOUR,
        now - HOUR - minute,
        now,
    )
    sent(alice, conversation, *moments)
    sent(bob, start(bob), now)

    drawn = chart_of_hours(Message.objects.filter(conversation=conversation))

    times = [f"{then.day} {then:%B, %H}:00" for then in (moments[1], moments[2], now)]
    assert bars(drawn) == [
        f"{time}: {n}" for time, n in zip(times, (1, 2, 1), strict=True)
    ]
    assert "4 in total" in drawn
    assert "or more" not in drawn


def test_hours_are_counted_up_to_a_bound(alice, conversation, monkeypatch):
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    sent(alice, conversation, now - 3 * HOUR, now - 2 * HOUR, now, now)
    two = now - 2 * HOUR
    named = [f"{then.day} {then:%B, %H}:00" for then in (two, now)]
    monkeypatch.setattr(counts, "NEWEST", 3)

    drawn = chart_of_hours(Message.objects.filter(sender=alice))

    assert bars(drawn) == [f"{named[0]}: 1", f"{named[1]}: 2"]
    assert drawn.count("or more") == 22  # all but the last two hours
    assert "Only the last 10,000 count." in drawn


def test_pages_show_hours_to_those_who_may_see_messages(boss, alice, conversation):
    pages = [
        reverse("admin:chats_user_change", args=[alice.pk]),
        reverse("admin:chats_conversation_change", args=[conversation.pk]),
    ]
    clerk = signed_in(staff_who_may("view_user", "view_conversation"))

    def has_chart(client, url: str) -> bool:
        return "Messages per hour" in client.get(url).content.decode()

    assert [has_chart(signed_in(boss), url) for url in pages] == [True, True]
    assert [has_chart(clerk, url) for url in pages] == [False, False]
