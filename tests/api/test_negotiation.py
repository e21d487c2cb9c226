"""The form of an answer: by Accept, or by ?format= where a browser cannot say it."""

import pytest

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
LISTS = ["/api/", "/api/users/", "/api/users/me/", "/api/messages/", "/api/events/"]


@pytest.mark.parametrize("url", [*LISTS, "/api/schema/"])
def test_format_json_is_json_in_a_browser_too(as_alice, url):
    response = as_alice.get(f"{url}?format=json", HTTP_ACCEPT=BROWSER)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("url", LISTS)
def test_format_api_is_html_for_everybody(as_alice, url):
    response = as_alice.get(f"{url}?format=api", HTTP_ACCEPT="application/json")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("name", ["xml", "", "JSON", "json,api"])
def test_format_that_is_unknown_is_400_and_says_which_there_are(as_alice, name):
    response = as_alice.get("/api/users/", {"format": name})
    assert response.status_code == 400
    assert response.json() == {"format": ["Must be one of api, json."]}


def test_format_within_another_parameter_is_none(as_alice):
    query = {"search": "format=xml"}
    response = as_alice.get("/api/users/", query, HTTP_ACCEPT="application/json")
    assert response.status_code == 200


def test_format_stays_on_the_next_page(as_alice, bob):
    page = as_alice.get("/api/users/?format=json&page_size=1").json()
    assert "format=json" in page["next"]
