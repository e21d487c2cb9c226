"""The web client's page as the server makes it; test_web_client drives it."""

import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from chats.models import User
from chats.web.assets import version
from tests.support.factories import UserFactory

pytestmark = pytest.mark.django_db

CLIENT = Path(finders.find("chats/client/main.js")).parent
SECRET = "demo-pass-2026"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


@pytest.fixture
def _demo():
    for name in ("alice", "bob", "carol"):
        UserFactory(username=name, first_name=name, email=f"{name}@demo.example")


def demo_buttons(client) -> list[tuple[str, str]]:
    page = client.get("/").content.decode()
    names = re.findall(r'<button [^>]*name="username" value="(\w+)">', page)
    passwords = re.findall(r'<input type="hidden" name="password" value="(.*?)">', page)
    return [(name, password) for name in names for password in passwords]


def test_page_has_a_strict_policy_and_obeys_it(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = client.get("/")

    page = response.content.decode()
    assert response.status_code == 200
    assert response.headers["Content-Security-Policy"] == POLICY
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.cookies == {}
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)
    assert "{" not in page


def test_page_needs_files_of_ours_only(client):
    page = client.get("/").content.decode()
    assets = re.findall(r"""(?:src|href)="(?!data:|#)(.*?)\"""", page)
    kept = f"/static/{version()}"
    own = [path for path in assets if path.startswith(f"{kept}chats/client/")]
    assert set(assets) - set(own) == {"/api/docs/"}
    assert len(own) == 2
    assert all(finders.find(path.removeprefix(kept)) for path in own)


def test_page_has_each_picture_that_it_and_its_modules_show(client):
    page = client.get("/").content.decode()
    modules = "".join(path.read_text() for path in CLIENT.glob("*.js"))
    shown = re.findall(r'<use href="#(\w+)"', page)
    shown += re.findall(r'\bicon(?:Button)?\("(\w+)"', modules)
    assert set(shown) == set(re.findall(r'<symbol id="(\w+)"', page))


@pytest.mark.parametrize("path", sorted(CLIENT.iterdir()), ids=lambda path: path.name)
def test_browser_asks_whether_a_file_has_changed_before_it_uses_it(client, path):
    """Where it is named without its version; test_assets has those with one."""
    url = f"/static/chats/client/{path.name}"
    first = client.head(url)
    assert first.headers["Cache-Control"] == "max-age=0, public"

    def again(etag: str) -> int:
        return client.head(url, headers={"If-None-Match": etag}).status_code

    assert again(first.headers["ETag"]) == 304
    assert again('"of-an-older-release"') == 200


def test_page_is_for_reading(client):
    assert client.head("/").status_code == 200
    assert client.post("/").status_code == 405


def test_without_the_web_client_the_root_leads_to_the_docs(client, settings):
    settings.WEB_CLIENT = False
    response = client.get("/")
    assert (response.status_code, response.headers["Location"]) == (302, "/api/docs/")


def test_sign_up_is_not_offered_where_registration_is_closed(client, settings):
    assert b'id="sign-up"' in client.get("/").content
    settings.REGISTRATION_OPEN = False
    assert b"sign-up" not in client.get("/").content


@pytest.mark.usefixtures("_demo")
def test_demo_people_are_not_offered_unless_asked_for(client):
    assert demo_buttons(client) == []
    assert SECRET.encode() not in client.get("/").content


@pytest.mark.usefixtures("_demo")
def test_demo_people_are_offered_with_their_password(
    client, settings, django_assert_num_queries
):
    settings.DEMO_PASSWORD = SECRET
    with django_assert_num_queries(1):
        assert demo_buttons(client) == [("alice", SECRET), ("bob", SECRET)]


def test_namesakes_and_suspended_demo_people_are_not_offered(client, settings):
    settings.DEMO_PASSWORD = SECRET
    UserFactory(username="alice", email="alice@example.org")
    UserFactory(username="bob", email="bob@demo.example", is_active=False)
    assert demo_buttons(client) == []
    assert User.objects.count() == 2
