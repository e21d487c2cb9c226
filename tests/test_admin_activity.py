"""The admin's front page: what it counts, for whom, and at which cost."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chats import metrics
from chats.admin.activity import activity_for
from chats.admin.charts import Chart, Value, round_up
from chats.admin.tallies import Tallies, Tally
from chats.models import Message, SignInAttempts, User
from chats.services.conversations import erase_conversation
from chats.services.messages import send_message
from tests.factories import UserFactory, start
from tests.test_admin import signed_in

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LAST_HOUR = (NOON - HOUR, NOON)


@pytest.fixture
def boss(db) -> User:
    return UserFactory(username="boss", role="admin", is_staff=True, is_superuser=True)


def sent(sender: User, conversation, *moments: datetime) -> None:
    for moment in moments:
        message, _ = send_message(sender, conversation.pk, message_body="Hello")
        Message.objects.filter(pk=message.pk).update(sent_at=moment)


def staff_who_may(*codenames: str) -> User:
    clerk = UserFactory(is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return User.objects.get(pk=clerk.pk)


def facts(staff: User) -> dict[str, str]:
    return {fact.name: fact.number for fact in activity_for(staff)["facts"]}


# --- Counting ------------------------------------------------------------------


def test_tally_counts_from_the_first_moment_to_before_the_last(alice, conversation):
    step = timedelta(microseconds=1)
    edges = (LAST_HOUR[0] - step, LAST_HOUR[0], NOON - step, NOON)
    sent(alice, conversation, *edges)

    assert Tallies(NOON + HOUR).count(LAST_HOUR) == Tally(2, NOON)


def test_tally_of_a_closed_hour_is_counted_once(
    alice, conversation, django_assert_num_queries
):
    sent(alice, conversation, NOON - HOUR / 2)
    first = Tallies(NOON + HOUR)
    first.count(LAST_HOUR)
    first.remember()
    erase_conversation(conversation, actor=alice)

    with django_assert_num_queries(0):
        assert Tallies(NOON + HOUR).count(LAST_HOUR) == Tally(1, NOON)


def test_tally_of_an_open_hour_takes_in_what_comes_late(alice, conversation):
    sent(alice, conversation, NOON - HOUR / 2)
    first = Tallies(NOON - timedelta(seconds=5))
    assert first.count(LAST_HOUR).count == 1
    first.remember()
    sent(alice, conversation, NOON - timedelta(seconds=20))  # committed only now

    assert Tallies(NOON).count(LAST_HOUR).count == 2


def test_tally_goes_on_where_the_budget_ended(alice, conversation):
    minutes = [NOON - timedelta(minutes=n) for n in (50, 40, 30, 20, 10)]
    sent(alice, conversation, *minutes)

    seen = []
    for _ in range(3):
        tallies = Tallies(NOON + HOUR, budget=2)
        seen.append(tallies.count(LAST_HOUR))
        tallies.remember()

    assert seen == [Tally(2, minutes[2]), Tally(4, minutes[4]), Tally(5, NOON)]


def test_tallies_of_long_ago_are_forgotten(db):
    tallies = Tallies(NOON)
    tallies.count(LAST_HOUR)
    tallies.remember()
    later = Tallies(NOON + timedelta(days=32))
    later.remember()

    assert cache.get("admin:tallies") == {}


# --- Charts --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "rounded"), [(0, 1), (1, 1), (3, 4), (5, 10), (41, 100), (400, 400)]
)
def test_axis_ends_at_a_round_number(number, rounded):
    assert round_up(number) == rounded


def test_chart_scales_its_bars_and_tells_of_what_is_missing():
    values = [Value("Monday", "Mon", 1000), Value("Tuesday", "", 0, is_whole=False)]
    chart = Chart("days", "Days", values)

    assert [(bar.y, bar.height) for bar in chart.bars] == [
        ("0.0", "120.0"),
        ("120.0", "0.0"),
    ]
    assert chart.lines == [("0.0", "1,000"), ("60.0", "500")]
    assert chart.description == (
        "1,000 in all; most, 1,000, in Monday. Older ones are still being counted."
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
    metrics.open_streams.set(7)

    shown = activity_for(boss)
    metrics.open_streams.set(0)

    assert {fact.name: fact.number for fact in shown["facts"]} == {
        "People here now": "2",
        "People in a day": "3",
        "Open streams": "7",
        "Oldest event kept": f"{now.day} {now:%b %Y}",
        "Failed sign-ins": "3",
    }
    hours, days = shown["charts"]
    assert sum(value.number for value in hours.values) == 3
    assert [value.number for value in days.values][-3] == 1
    busiest = [(str(name), str(count)) for name, count in shown["busiest"]]
    assert [">Plans<" in name for name, _ in busiest] == [True, False]
    assert [">2<" in count for _, count in busiest] == [True, False]


def test_front_page_draws_with_texts_for_those_who_do_not_see(boss, conversation):
    page = signed_in(boss).get(reverse("admin:index")).content.decode()

    assert page.count('<svg viewBox="-52') == 2
    assert page.count('role="img" aria-labelledby="') == 2
    assert '<title id="hours-title">Messages per hour' in page
    assert page.count("<summary>As a table</summary>") == 2


@pytest.mark.parametrize(
    ("may", "names", "charts", "has_busiest"),
    [
        ((), [], 0, False),
        (("view_user",), ["People here now", "People in a day"], 0, False),
        (("view_event",), ["Open streams", "Oldest event kept"], 0, False),
        (("view_signinattempts",), ["Failed sign-ins"], 0, False),
        (("view_message",), [], 2, False),
        (("view_conversation",), [], 0, False),
        (("view_message", "view_conversation"), [], 2, True),
    ],
)
def test_staff_see_what_their_permissions_allow(
    may, names, charts, has_busiest, alice, conversation
):
    sent(alice, conversation, timezone.now())
    clerk = staff_who_may(*may)

    shown = activity_for(clerk)
    page = signed_in(clerk).get(reverse("admin:index")).content.decode()

    assert list(facts(clerk)) == names
    assert len(shown["charts"]) == charts
    assert (shown["busiest"] is not None) == has_busiest
    assert (conversation.title in page) == has_busiest
    assert ('id="activity"' in page) == bool(names or charts)


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
    assert once <= 12


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
