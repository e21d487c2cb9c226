"""The application below a path, behind a proxy that leaves the path there or not."""

import io
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from django.urls import set_script_prefix

from chats.models import User
from chats.server.routes import Routes
from messaging_app.wsgi import application
from tests.support.factories import UserFactory
from tests.support.servers import PATIENCE, serving_in_thread, token_of, wait_until

ROOT = "/chat"
JSON, HTML = "application/json", "text/html; charset=utf-8"
Ask = Callable[..., httpx.Response]


@pytest.mark.parametrize(
    ("root", "path", "below"),
    [
        ("", "/api/users/", "/api/users/"),
        ("/chat", "/chat/api/users/", "/api/users/"),
        ("/chat/", "/chat/api/users/", "/api/users/"),
        ("/chat", "/chat/chat/api/users/", "/api/users/"),  # uvicorn and the proxy
        ("/chat", "/chat/", "/"),
        ("/chat", "/chat/chat/", "/"),
        ("/chat", "/api/users/", "/api/users/"),  # hypercorn
        ("/chat", "/chat/chatter/", "/chatter/"),
        ("/chat", "/chatter/", "/chatter/"),
        ("/api", "/api/api/users/", "/api/users/"),
        ("/a/b", "/a/b/a/b/api/users/", "/api/users/"),
    ],
)
def test_path_is_the_one_below_the_root(root, path, below):
    assert Routes().path_of({"path": path, "root_path": root}) == below


# --- Ways to ask: in this process, and over nginx ----------------------------------


def ask_wsgi(method: str, path: str, **headers: str) -> httpx.Response:
    """Ask the WSGI application, as a server does that it is mounted in."""
    given = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": ROOT,
        "PATH_INFO": path.partition("?")[0],
        "QUERY_STRING": path.partition("?")[2],
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "CONTENT_LENGTH": "0",
    } | given
    told = []
    result = application(environ, lambda status, head: told.append((status, head)))
    with closing(result):
        body = b"".join(result)
    set_script_prefix("/")
    [(status, head)] = told
    return httpx.Response(int(status[:3]), headers=head, content=body)


NGINX = """
daemon off; pid nginx.pid; error_log stderr; worker_processes 1;
events {{ worker_connections 64; }}
http {{
    access_log off; client_body_temp_path body; proxy_temp_path proxy;
    fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{port};
        proxy_set_header Host $http_host;
        {location}
    }}
}}
"""


@contextmanager
def nginx(directory: Path, location: str) -> Iterator[str]:
    """Serve the location by an nginx of one's own; yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as spare:
        port = spare.getsockname()[1]
    config = directory / "nginx.conf"
    config.write_text(NGINX.format(port=port, location=location))
    command = [nginx_path(), "-p", str(directory), "-c", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            wait_until(lambda: process.poll() is None and answers(port))
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def nginx_path() -> str:
    return shutil.which("nginx", path="/usr/sbin:/usr/local/sbin") or ""


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


# Nginx replaces the location by the path behind the address, if there is one.
FORMS = {"stripping": "/", "passing on": ""}


@pytest.fixture(params=["wsgi", *FORMS])
def ask(request, transactional_db, tmp_path) -> Iterator[Ask]:
    """Ask for what is below the root: without nginx, or in one of its two forms."""
    if request.param == "wsgi":
        yield ask_wsgi
        return
    if not nginx_path():
        pytest.skip("needs nginx")
    with serving_in_thread(root_path=ROOT) as server:
        to = f"{server.url}{FORMS[request.param]}"
        location = f"location {ROOT}/ {{ proxy_pass {to}; }}"
        with nginx(tmp_path, location) as url, httpx.Client(timeout=PATIENCE) as client:
            yield lambda method, path, **headers: client.request(
                method, f"{url}{ROOT}{path}", headers=headers
            )


pytestmark = pytest.mark.django_db(transaction=True)


def test_page_and_all_that_it_names_is_below_the_root(ask):
    page = ask("GET", "/")
    named = re.findall(r"""(?:src|href)="(/.*?)\"""", page.text)
    assert page.status_code == 200
    assert len(named) == 3
    assert [url for url in named if not url.startswith(f"{ROOT}/")] == []
    found = [ask("GET", url.removeprefix(ROOT)).status_code for url in named]
    assert found == [200, 200, 200]


@pytest.mark.parametrize("url", ["/api/docs/", "/api-auth/login/", "/admin/login/"])
def test_other_pages_name_only_what_is_below_the_root(ask, url):
    page = ask("GET", url, accept="text/html")
    named = re.findall(r"""(?:src|href|action)=["'](/[^'"]*)["']""", page.text)
    assert page.status_code == 200
    assert len(named) >= 3
    assert [url for url in named if not url.startswith(f"{ROOT}/")] == []
    files = [url.removeprefix(ROOT) for url in named if "/static/" in url]
    assert {ask("HEAD", url).status_code for url in files} == {200}


def test_answers_of_the_api_are_not_stored_and_errors_are_json(ask):
    refused, unknown = ask("GET", "/api/users/"), ask("GET", "/api/nothing/")
    assert (refused.status_code, unknown.status_code) == (401, 404)
    for answer in (refused, unknown):
        assert answer.headers["Content-Type"] == JSON
        assert answer.headers["Cache-Control"] == "no-store"
    assert ask("GET", "/nothing/").headers["Content-Type"] == HTML


def test_addresses_in_answers_are_below_the_root(ask):
    for name in ("ann", "ben"):
        UserFactory(username=name)
    credentials = token_of(User.objects.get(username="ann"))
    page = ask("GET", "/api/users/?page_size=1", **credentials).json()
    following = httpx.URL(page["next"]).raw_path.decode()
    assert following.startswith(f"{ROOT}/api/users/?")
    rest = ask("GET", following.removeprefix(ROOT), **credentials).json()
    names = [row["username"] for row in page["results"] + rest["results"]]
    assert names == ["ann", "ben"]


def test_redirects_and_hints_are_below_the_root(ask):
    assert ask("GET", "/api/users").headers["Location"] == f"{ROOT}/api/users/"
    there = ask("GET", "/admin/").headers["Location"]
    assert there == f"{ROOT}/admin/login/?next={ROOT}/admin/"
    hint = ask("POST", "/api/users").json()["detail"]
    assert hint == f"Not found. The path must end with a slash: {ROOT}/api/users/"


def test_schema_names_the_root_as_the_server(ask):
    asked = ask("GET", "/api/schema/", accept=JSON)
    assert asked.json()["servers"] == [{"url": ROOT, "description": "This server."}]
    assert "/api/users/" in asked.json()["paths"]


def test_probes_need_no_https_there(ask, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert ask("GET", "/healthz").status_code == 200
    assert ask("GET", "/readyz").status_code == 200


def test_without_the_web_client_the_root_leads_to_the_docs(ask, settings):
    settings.WEB_CLIENT = False
    assert ask("GET", "/").headers["Location"] == f"{ROOT}/api/docs/"
