"""Who may do what: docs/permissions.md, called as it stands there."""

import re
from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import override_settings
from django.urls import get_resolver, resolve
from rest_framework.test import APIClient

from tests.support.permissions import (
    INSIDE,
    METRICS_TOKEN,
    OF_CONVERSATION,
    TEXT,
    TITLE,
    Caller,
    Row,
    World,
    call,
    columns,
    filled,
    rows,
    snapshot,
    told,
    undone,
    unknown,
)
from tests.support.routes import METHODS, methods_of, walk

ROWS = rows()
COLUMNS = columns()
pytestmark = pytest.mark.django_db
OPEN = ("login/", "password/reset/", "confirm/")  # these know of no session


@pytest.fixture(scope="module")
def world(django_db_setup, django_db_blocker) -> Iterator[World]:
    """Return the world, which all tests here share; each call in it is undone."""
    metrics = override_settings(METRICS_TOKEN=METRICS_TOKEN)
    with metrics, django_db_blocker.unblock(), undone():
        yield World()


def calls(row: Row, world: World) -> Iterator[tuple[Caller, str]]:
    """Yield each caller of the row's table, with each way of signing in."""
    for caller in world.callers:
        if any(caller.name in COLUMNS[name] for name in row.cells):
            yield from ((caller, way) for way in caller.ways if row.takes(way))


def column_of(row: Row, caller: Caller) -> str:
    (column,) = (name for name in row.cells if caller.name in COLUMNS[name])
    return column


def cell_of(row: Row, column: str, way: str) -> str:
    by_session, _, by_token = row.cells[column].partition(" / ")
    return by_token if by_token and way == "token" else by_session


def problems(row: Row, world: World, caller: Caller, way: str) -> Iterator[str]:
    """Make the call; yield what is not as the page says."""
    column, client = column_of(row, caller), caller.client(way)
    things = {**world.things, **caller.things}
    cell = cell_of(row, column, way)
    status = int(cell.strip("=()"))
    with undone():
        response = call(client, row, things)
        shown = response.getvalue().decode()
        after = snapshot()
    yield from differences(row, column, cell, after, world.before)
    if response.status_code != status:
        yield f"{response.status_code}, not {status}: {shown[:99]}"
    if is_outside(row, column) and (TITLE in shown or TEXT in shown):
        yield "tells what it must not"
    if cell.startswith("="):
        yield from betrayals(row, column, things, client, response)
        # Pages for people cost most: one caller by session stands for the column.
        if way == "session" and caller.name == COLUMNS[column][0]:
            with undone():
                page = call(client, row, things, "text/html")
            yield from betrayals(row, column, things, client, page, "text/html")


def differences(
    row: Row, column: str, cell: str, after: dict, before: dict
) -> Iterator[str]:
    """Yield which tables have changed, or not changed, against the page."""
    changed = {name for name in after if after[name] != before[name]}
    sent_away = row.section == "The admin" and column in {"nobody", "not staff"}
    is_refused = cell.strip("=") >= "400" or cell.startswith("(") or sent_away
    named = frozenset() if is_refused else row.changes
    if "…" in named:
        named -= {"…"}
        changed &= named
    if changed != named:
        yield f"changes {sorted(changed)}, not {sorted(named)}"


def is_outside(row: Row, column: str) -> bool:
    """Tell whether nobody of this column takes part in the conversation."""
    return column in {"nobody", "ended", "outsider"} and not row.names & {
        "title",
        "text",
    }


def betrayals(
    row: Row,
    column: str,
    things: dict,
    client: APIClient,
    response: HttpResponse,
    accept: str = "",
) -> Iterator[str]:
    """Yield how the response differs from that for ids that were never given."""
    names = row.names - (OF_CONVERSATION if column in INSIDE else set())
    others = things | {name: unknown(things[name]) for name in names}
    renamed = {others[name]: things[name] for name in names}
    real = told(response, {})
    with undone():
        unreal = told(call(client, row, others, accept), renamed)
    if real != unreal:
        yield f"{accept} betrays {sorted(names)}: {real}, {unreal}"


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_call_answers_everybody_as_the_page_says(row, world):
    assert [
        f"{caller.name} by {way}: {problem}"
        for caller, way in calls(row, world)
        for problem in problems(row, world, caller, way)
    ] == []


# --- The page itself ----------------------------------------------------------


def called(row: Row) -> tuple[str, str]:
    """Return the route and the method of a row's call."""
    path = re.sub("<.+?>", str(uuid4()), row.path).partition("?")[0]
    return resolve(path).route, row.method.lower()


def test_page_has_every_route_and_method():
    offered = {
        (route, method)
        for route, pattern in walk(get_resolver(), "")
        for method in (
            methods_of(pattern.callback) if route.startswith("api/") else {"get"}
        )
    }
    assert offered - {called(row) for row in ROWS} == set()


def test_page_has_every_caller_once_in_each_table(world):
    everybody = {caller.name for caller in world.callers}
    of_some = {"The admin", "The schema"}
    for row in ROWS:
        named = [name for column in row.cells for name in COLUMNS[column]]
        assert len(named) == len(set(named)), row
        assert row.section in of_some or set(named) == everybody, row


# --- What holds for every row --------------------------------------------------


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if row.method != "GET" and not row.path.endswith(OPEN)],
    ids=str,
)
def test_session_writes_nothing_without_csrf_token(row, world):
    caller = world.callers[-1]
    client = caller.client("session", csrf=False)
    with undone():
        response = call(client, row, {**world.things, **caller.things})
        assert response.status_code == 403
        assert snapshot() == world.before


def answer_to(client: APIClient, method: str, path: str, renamed: dict) -> str:
    with undone():
        return told(client.generic(method.upper(), path), renamed)


ROUTES = {called(row)[0]: row for row in ROWS if row.path.startswith("/api/")}


@pytest.mark.parametrize("route", ROUTES)
def test_methods_a_route_does_not_have_tell_nothing(route, world):
    row = ROUTES[route]
    there = {method for r in ROWS for at, method in [called(r)] if at == route}
    path = row.path.partition("?")[0]
    for caller in world.callers[:2]:  # anonymous, and an outsider
        client = caller.client(caller.ways[0])
        things = {**world.things, **caller.things}
        others = things | {name: unknown(things[name]) for name in row.names}
        renamed = {others[name]: things[name] for name in row.names}
        for method in {*METHODS, "options", "head"} - there:
            real = answer_to(client, method, filled(path, things), {})
            unreal = answer_to(client, method, filled(path, others), renamed)
            assert real == unreal, method
            assert method in {"options", "head"} or real[:3] in {"401", "405"}, method


# --- `can`, and what the calls then do -----------------------------------------

ACTS = {
    "send": "POST /api/messages/",
    "rename": "PATCH /api/conversations/<conversation>/",
    "add": "POST /api/conversations/<conversation>/add_participant/",
    "remove": "POST /api/conversations/<conversation>/remove_participant/",
    "delete": "DELETE /api/conversations/<conversation>/",
}
BODIES = {
    "send": '{"conversation": "<conversation>", "message_body": "New"}',
    "rename": '{"title": "New"}',
    "add": '{"user_id": "<friend>"}',
    "remove": '{"user_id": "<member>"}',
    "delete": "",
}


def does(act: str, caller: Caller, things: dict) -> bool:
    method, path = ACTS[act].split()
    row = Row("", method, path, BODIES[act], {}, frozenset())
    with undone():
        return call(caller.client("token"), row, things).status_code < 300


@pytest.mark.parametrize("column", [*INSIDE, "outsider"])
def test_can_says_what_the_calls_then_do(column, world):
    for caller in world.callers:
        if caller.name not in COLUMNS[column]:
            continue
        things = {**world.things, **caller.things}
        client = caller.client("token")
        listed = client.get("/api/conversations/").json()["results"]
        url = f"/api/conversations/{things['conversation']}/"
        said = client.get(url).json().get("can", dict.fromkeys(ACTS, False))
        assert [item["can"] for item in listed] == [said] * (column in INSIDE)
        assert said == {act: does(act, caller, things) for act in ACTS}, caller.name
