"""Nothing a browser sends to the admin, or to a sign-in page, gives a 500.

The pages, filters, fields and actions are those of the admin's registry and of the
forms that it serves, so that a new one is covered without a line here.
"""

import logging
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from urllib.parse import quote, urlencode

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from chats.models import SignInAttempts
from tests.support.admin import (
    PAGES,
    one_row_of_each,
    pages_of,
    pages_of_the_site,
)
from tests.support.factories import PASSWORD

# A refusal must not leave a transaction that has failed, so none is around the test.
pytestmark = pytest.mark.django_db(transaction=True)

UNKNOWN = "0199f3a0-0000-7000-8000-000000000000"
VALUES = (
    "",
    "x",
    "x\0y",
    "-1",
    "9999",
    str(2**63),
    str(10**20),
    "9" * 5000,
    "\u0661",  # a digit for Python
    "\u202e'\"<%_\\,",
    "a" * 20_000,
    UNKNOWN,
    "None",
    "9999-12-31",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    "//[evil.example/",
)
ODD = ("x\0y", "-1", str(10**20), "\u202e\u3164", "a" * 20_000, UNKNOWN, "9999-12-31")
HOSTILE = ("x\0y", str(10**20), "//[evil.example/")
OF_FORMS = ("_popup", "_to_field", "_changelist_filters", "next")
OF_DJANGO = (
    *("q", "o", "p", "all", "e", "_facets", *OF_FORMS),
    *("app_label", "model_name", "field_name", "term", "page"),
)
BOUNDS = ("year", "gte", "lt", "lte", "date")
# Of formsets, by the end of the field's name.
COUNTS = ("TOTAL_FORMS", "INITIAL_FORMS", "MIN_NUM_FORMS", "MAX_NUM_FORMS")
NUMBERS = (str(10**9), str(10**20), "-1", "abc", "", "\0")


# --- The pages ------------------------------------------------------------------


@pytest.fixture
def rows() -> dict[str, Model]:
    """One row of every model that the admin shows, by the model's label."""
    return one_row_of_each()


@pytest.fixture
def browser(rows, as_boss, caplog) -> Client:
    """A superuser's; shown a 500 rather than raising it."""
    for name in ("django.request", "django.security", "chats"):
        caplog.set_level(logging.CRITICAL + 1, name)  # each is a page of traceback
    as_boss.raise_request_exception = False
    return as_boss


def list_of(label: str) -> str:
    return reverse(f"admin:{label.replace('.', '_')}_changelist")


def parameters_of(label: str) -> Iterator[str]:
    """Yield the parameters of a list: each filter's, each lookup that passes."""
    page = PAGES[label]
    for name in sorted(getattr(page, "get_offered_lookups", set)()):
        yield from (name, f"{name}__in", f"{name}__isnull")
    for name in sorted({*getattr(page, "window_orders", {}).values()}):
        yield from (f"{name}__{bound}" for bound in BOUNDS)


def failing(browser: Client, urls: Iterable[str]) -> list[str]:
    return [url[:200] for url in urls if browser.get(url).status_code >= 500]


# --- What is asked of them --------------------------------------------------------


@pytest.mark.parametrize("label", PAGES)
def test_admin_list_answers_any_filter(label, browser):
    asked = (
        f"{list_of(label)}?{urlencode({name: value})}"
        for names, values in ((parameters_of(label), VALUES), (OF_DJANGO, ODD))
        for name in names
        for value in values
    )

    assert failing(browser, asked) == []


@pytest.mark.parametrize("label", PAGES)
def test_admin_pages_of_a_row_answer_any_id(label, browser, rows):
    asked = [
        url
        for value in (*VALUES, "_5F", "_00", "a/b", f"{UNKNOWN}/x")
        for url in pages_of(label, value or "_")
    ]

    assert failing(browser, asked) == []


@pytest.mark.parametrize("label", PAGES)
def test_admin_pages_of_a_row_answer_any_query(label, browser, rows):
    """An address may fill in the fields of the page that adds a row."""
    fields = [field.name for field in PAGES[label].opts.concrete_fields]
    asked = [
        f"{url}?{query}"
        for url in pages_of(label, rows[label].pk)
        for query in (*alone(OF_FORMS), *together(OF_DJANGO), *together(fields))
    ]

    assert failing(browser, asked) == []


def alone(names: Iterable[str]) -> Iterator[str]:
    """Yield queries of one parameter each."""
    for name in names:
        yield from (urlencode({name: value}) for value in HOSTILE)


def together(names: Iterable[str]) -> Iterator[str]:
    """Yield queries of all the parameters, at one value each."""
    yield from (urlencode(dict.fromkeys(names, value)) for value in HOSTILE)


def test_admin_site_pages_answer_any_query(browser):
    asked = [
        f"{url}?{query}"
        for url in pages_of_the_site()
        for query in (*alone(OF_DJANGO), *(f"next={quote(item)}" for item in VALUES))
    ]

    assert failing(browser, asked) == []


def test_admin_picker_answers_any_query(browser):
    right = {
        "app_label": "chats",
        "model_name": "conversation",
        "field_name": "owner",
        "term": "a",
    }

    asked = (
        f"{reverse('admin:autocomplete')}?{urlencode(right | {odd: value})}"
        for odd in (*right, "page")
        for value in VALUES
    )

    assert failing(browser, asked) == []


# --- What is posted to them -------------------------------------------------------


class Fields(HTMLParser):
    """The fields of the forms in a page, with their values."""

    def __init__(self, page: str):
        super().__init__()
        self.values: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        given = dict(attrs)
        if tag in {"input", "select", "textarea"} and given.get("name"):
            self.values[given["name"]] = given.get("value") or ""


def form_at(browser: Client, url: str) -> dict[str, str]:
    """Return the fields of the page's forms; none where there is no page."""
    answer = browser.get(url)
    shown = answer.status_code == 200 and not answer.streaming
    return Fields(answer.content.decode()).values if shown else {}


@pytest.mark.parametrize("label", PAGES)
def test_admin_forms_answer_any_value(label, browser, rows):
    failed = []
    for url in pages_of(label, rows[label].pk):
        form = form_at(browser, url)
        failed += failing_forms(browser, url, form)

    assert failed == []


def test_admin_site_forms_answer_any_value(browser):
    failed = []
    for url in pages_of_the_site():
        failed += failing_forms(browser, url, form_at(browser, url))

    assert failed == []


def failing_forms(browser: Client, url: str, form: dict) -> list[str]:
    """Post the form once for each field and odd value; return what fails."""
    return [
        f"{url} {name}={value[:50]!r}"
        for name in form
        for value in (NUMBERS if name.endswith(COUNTS) else ODD)
        if browser.post(url, form | {name: value}).status_code >= 500
    ]


@pytest.mark.parametrize("label", PAGES)
def test_admin_actions_answer_any_selection(label, browser, rows):
    page = PAGES[label]
    names = [name for _, name, _ in page._get_base_actions()] + ["x", "x\0y", ""]
    keys = (str(rows[label].pk), *VALUES)
    posts = [
        {
            "action": name,
            "_selected_action": key,
            "index": index,
            "select_across": across,
        }
        for name in names
        for key, index, across in (
            *((key, "0", "0") for key in keys),
            *((keys[0], odd, "0") for odd in ("-1", "abc", str(10**20), "\0")),
            *((UNKNOWN, "0", odd) for odd in ("x", "\0", str(10**20))),
        )
    ]

    failed = [
        post for post in posts if browser.post(list_of(label), post).status_code >= 500
    ]

    assert failed == []


@pytest.mark.parametrize("url", ["/admin/login/", "/api-auth/login/"])
@pytest.mark.parametrize(
    "name", ["username", "password", "next", "csrfmiddlewaretoken"]
)
def test_sign_in_form_answers_any_value(url, name, browser):
    form = {"username": "boss", "password": PASSWORD, "next": "/"}
    for value in VALUES:
        browser.logout()
        SignInAttempts.objects.all().delete()  # five wrong ones, and none is looked at
        answer = browser.post(url, form | {name: value})
        assert answer.status_code < 500, value[:50]
    assert failing(browser, (f"{url}?next={quote(value)}" for value in VALUES)) == []
