"""Static files: kept by browsers for good, below a version of their contents."""

import gzip
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.management import CommandError, call_command
from django.templatetags.static import static

from chats.web import assets

pytestmark = pytest.mark.django_db

MAIN = "chats/client/library/store.js"
FOR_GOOD = "max-age=315360000, public, immutable"
EACH_TIME = "max-age=0, public"
CONTENTS = Path(finders.find(MAIN)).read_bytes()


@pytest.fixture
def _any_version():
    """Forget the version before and after, as a process of another release."""
    assets.version.cache_clear()
    yield
    assets.version.cache_clear()


def whole(response) -> bytes:
    return b"".join(response.streaming_content)


def test_file_below_its_version_is_kept_for_good(client):
    assert re.fullmatch(
        r"/static/[0-9a-f]{16}/chats/client/library/store\.js", static(MAIN)
    )
    response = client.get(static(MAIN))
    assert (response.status_code, whole(response)) == (200, CONTENTS)
    assert response.headers["Cache-Control"] == FOR_GOOD


def test_file_without_a_version_is_asked_for_each_time(client):
    response = client.get(f"/static/{MAIN}")
    assert (response.status_code, whole(response)) == (200, CONTENTS)
    assert response.headers["Cache-Control"] == EACH_TIME


def test_file_of_another_version_is_404_and_not_kept(client):
    """A process that is replaced must not answer for the next release's."""
    response = client.get(f"/static/{'0' * 16}/{MAIN}")
    assert response.status_code == 404
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.usefixtures("_any_version")
@pytest.mark.parametrize(
    "changed", [{MAIN: b"new"}, {f"{MAIN}.more": CONTENTS}, {MAIN: None}]
)
def test_version_changes_with_each_file(monkeypatch, tmp_path, changed):
    files = {MAIN: CONTENTS, "admin/base.css": b"body {}"}
    before = version_of(files, tmp_path / "before", monkeypatch)
    same = version_of(dict(reversed(files.items())), tmp_path / "same", monkeypatch)
    after = version_of(files | changed, tmp_path / "after", monkeypatch)
    assert before == same != after


def version_of(files: dict[str, bytes | None], directory: Path, monkeypatch) -> str:
    for name, contents in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if contents is not None:
            path.write_bytes(contents)
    finder = finders.FileSystemFinder()
    finder.locations = [("", str(directory))]
    finder.storages = {str(directory): finders.FileSystemStorage(directory)}
    monkeypatch.setattr(assets, "get_finders", lambda: [finder])
    assets.version.cache_clear()
    return assets.version()


@pytest.mark.usefixtures("_any_version")
def test_files_have_no_version_with_debug(settings):
    settings.DEBUG = True
    assert static(MAIN) == f"/static/{MAIN}"


@pytest.mark.parametrize("url", ["/", "/admin/", "/api/docs/", "/api/users/"])
def test_pages_name_each_file_below_its_version(as_boss, url):
    page = as_boss.get(url, HTTP_ACCEPT="text/html").content.decode()
    named = re.findall(r"""["'](/static/.*?)["']""", page)
    kept = f"/static/{assets.version()}"
    assert len(named) >= 2
    assert [name for name in named if not name.startswith(kept)] == []
    answers = {as_boss.head(name).headers["Cache-Control"] for name in named}
    assert answers == {FOR_GOOD}


def test_modules_load_each_other_by_relative_paths():
    """So all that a page loads are of the version of the first one."""
    folder = Path(finders.find(MAIN)).parent
    loaded = [
        name
        for module in folder.glob("*.js")
        for name in re.findall(
            r"""\b(?:from|import)\s*\(?\s*["'](.*?)["']""", module.read_text()
        )
    ]
    assert len(loaded) >= 5
    assert [name for name in loaded if not name.startswith("./")] == []


def test_nothing_has_to_be_collected():
    with pytest.raises(Exception, match="STATIC_ROOT") as failure:
        call_command("collectstatic", interactive=False)
    assert not isinstance(failure.value, CommandError)
    assert settings.STATIC_ROOT is None


# --- As they are sent -------------------------------------------------------------


def test_text_is_compressed_for_those_who_accept_it(client):
    response = client.get(static(MAIN), HTTP_ACCEPT_ENCODING="br, gzip")
    assert gzip.decompress(response.content) == CONTENTS
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Content-Length"] == str(len(response.content))
    assert len(response.content) < len(CONTENTS) / 2
    assert response.headers["Vary"] == "Accept-Encoding"
    assert response.headers["ETag"].startswith('W/"')
    assert response.headers["Cache-Control"] == FOR_GOOD
    assert response.headers["Content-Type"] == 'text/javascript; charset="utf-8"'


def test_head_of_a_compressed_file_has_the_headers_of_it(client):
    asked = {"HTTP_ACCEPT_ENCODING": "gzip"}
    head, get = client.head(static(MAIN), **asked), client.get(static(MAIN), **asked)
    assert head.content == b""
    own = {"X-Request-ID"}
    assert {k: v for k, v in head.headers.items() if k not in own} == {
        k: v for k, v in get.headers.items() if k not in own
    }


def test_picture_is_not_compressed(client):
    url = static("drf_spectacular_sidecar/swagger-ui-dist/favicon-32x32.png")
    response = client.get(url, HTTP_ACCEPT_ENCODING="gzip")
    assert whole(response)[:4] == b"\x89PNG"
    assert "Content-Encoding" not in response.headers


@pytest.mark.parametrize("accepted", ["", "gzip"])
def test_file_one_has_already_is_not_sent_again(client, accepted):
    asked = {"HTTP_ACCEPT_ENCODING": accepted}
    etag = client.head(f"/static/{MAIN}", **asked).headers["ETag"]
    again = client.get(f"/static/{MAIN}", HTTP_IF_NONE_MATCH=etag, **asked)
    assert again.status_code == 304


@pytest.mark.parametrize("wanted", ["bytes=0-0", "bytes=-1", "bytes=5-", "bytes=9-1"])
def test_range_is_answered_with_the_whole_file(client, wanted):
    """One of a single byte was 416; no page has a use for ranges of these files."""
    response = client.get(static(MAIN), HTTP_RANGE=wanted)
    assert (response.status_code, whole(response)) == (200, CONTENTS)
