"""The web client's page as the server makes it; test_web_client drives it."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.password_validation import get_default_password_validators
from django.contrib.staticfiles import finders
from django.template.loader import get_template
from django.templatetags.static import static

from chats.models import User
from chats.web.assets import version
from chats.web.modules import joined
from chats.web.script import NAME
from chats.web.texts import LANGUAGES, catalogue
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


def script_url() -> str:
    return static(NAME)


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
    assert not re.search(r"<style|\sstyle=|\son\w+=", page)
    [texts, script] = re.findall(r"<script([^>]*)>", page)
    assert texts == ' id="texts" type="application/json"'  # data, which is not run
    assert "src=" in script
    assert "{{" not in page
    assert "{%" not in page


def test_page_needs_files_of_ours_only(client):
    page = client.get("/").content.decode()
    assets = re.findall(r"""(?:src|href)="(?!data:|#)(.*?)\"""", page)
    kept = f"/static/{version()}"
    own = [path for path in assets if path.startswith(f"{kept}chats/client/")]
    assert set(assets) - set(own) == {"/api/docs/"}
    assert sorted(own)[1:] == [script_url()]
    own.remove(script_url())
    assert all(finders.find(path.removeprefix(kept)) for path in own)


def test_page_has_each_picture_that_it_and_its_modules_show(client):
    page = client.get("/").content.decode()
    modules = "".join(path.read_text() for path in CLIENT.glob("*.js"))
    shown = re.findall(r'<use href="#(\w+)"', page)
    shown += re.findall(r'\bicon: "(\w+)"', modules)
    assert set(shown) == set(re.findall(r'<symbol id="(\w+)"', page))


@pytest.mark.parametrize(
    "path", sorted(CLIENT.rglob("*.*")), ids=lambda path: path.name
)
def test_browser_asks_whether_a_file_has_changed_before_it_uses_it(client, path):
    """Where it is named without its version; test_assets has those with one."""
    url = f"/static/chats/client/{path.relative_to(CLIENT)}"
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


# --- Its script -----------------------------------------------------------------


def test_script_is_kept_for_good(client, settings):
    response = client.get(script_url())
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert response.headers["Cache-Control"] == "max-age=315360000, public, immutable"
    settings.DEBUG = True  # files change
    assert 'chats/client/main.js"' in client.get("/").content.decode()
    assert client.post(script_url()).status_code == 404


def test_script_is_compressed_once(client):
    plain = client.get(script_url())
    packed = client.get(script_url(), headers={"Accept-Encoding": "gzip"})
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content
    assert (
        client.get(script_url(), headers={"Accept-Encoding": "gzip"}).content
        == packed.content
    )


def test_script_has_no_comments_and_keeps_addresses_in_texts(tmp_path):
    (tmp_path / "main.js").write_text(
        '/** What it is. */\n// Why.\nconst at = "https://a.example"; // where\n'
    )
    assert joined(tmp_path / "main.js").splitlines()[1] == (
        'const at = "https://a.example"; // where'
    )


def test_script_has_each_module_once_those_that_are_imported_first(client):
    script = client.get(script_url()).content.decode()
    names = re.findall(r"^const \$([\w$]+) = \(\(\) => \{$", script, re.MULTILINE)
    paths = [path.relative_to(CLIENT) for path in CLIENT.rglob("*.js")]
    modules = {"$".join(path.with_suffix("").parts) for path in paths}
    assert sorted(names) == sorted(modules - {"library$index"})  # for others
    assert names.index("library$store") < names.index("store") < names.index("timeline")
    assert names[-1] == "main"


def test_script_has_no_comments_and_no_indentation(tmp_path):
    (tmp_path / "main.js").write_text(
        "/** What it is. */\n\n/**\n * How it\n * does.\n */\n"
        'export function main() {\n  // Why.\n  return "//"; // kept\n}\n'
    )
    assert joined(tmp_path / "main.js") == (
        'const $main = (() => {\n\nfunction main() {\nreturn "//"; // kept\n}\n'
        "return { main };\n})();\n"
    )


def test_modules_of_the_same_name_in_two_folders_are_two(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/a.js").write_text("export const deep = 1;\n")
    (tmp_path / "a.js").write_text(
        'import { deep } from "./inner/a.js";\nexport const flat = deep + 1;\n'
    )
    (tmp_path / "main.js").write_text('import * as a from "./a.js";\n')
    names = re.findall(r"^const (\$.*?) = \(", joined(tmp_path / "main.js"), re.M)
    assert names == ["$inner$a", "$a", "$main"]


@pytest.mark.parametrize(
    ("modules", "problem"),
    [
        (
            {"main": 'import "./a.js";\n', "a": 'import "./main.js";\n'},
            "imports itself",
        ),
        ({"main": "export default 1;\n"}, "another form"),
        ({"main": "export let count = 1;\n"}, "another form"),
        ({"main": 'import "./a-b.js";\n', "a-b": ""}, "letters, digits and _"),
        ({"main": "export const text = `a\n  b`;\n"}, "several lines"),
    ],
)
def test_modules_of_other_forms_are_not_joined(tmp_path, modules, problem):
    for name, text in modules.items():
        (tmp_path / f"{name}.js").write_text(text)
    with pytest.raises(ValueError, match=problem):
        joined(tmp_path / "main.js")


# --- Its texts --------------------------------------------------------------------


def shape(texts: object) -> object:
    """Return the names of texts; of one with several forms, that it has them."""
    if not isinstance(texts, dict):
        return "text"
    return "text" if "other" in texts else {k: shape(v) for k, v in texts.items()}


def placeholders(texts: object) -> object:
    if isinstance(texts, dict):
        if "other" in texts:
            return set().union(*map(placeholders, texts.values()))
        return {key: placeholders(value) for key, value in texts.items()}
    return set(re.findall(r"\{\w+\}", texts))


# CLDR's plural categories, other than "other".
FORMS = {"en": {"one"}, "de": {"one"}, "ar": {"zero", "one", "two", "few", "many"}}


@pytest.mark.parametrize("language", LANGUAGES)
def test_catalogue_is_complete(language):
    texts = catalogue(language)
    assert shape(texts) == shape(catalogue("en"))
    assert placeholders(texts) == placeholders(catalogue("en"))
    assert all(set(forms) <= FORMS[language] | {"other"} for forms in counted(texts))


def counted(texts: dict) -> list[dict]:
    inner = [value for value in texts.values() if isinstance(value, dict)]
    return [v for v in inner if "other" in v] + [c for v in inner for c in counted(v)]


# What the hint says of a new password, for each validator that may refuse one.
PASSWORD_RULES = {
    "UserAttributeSimilarityValidator": "nothing like your name, e-mail address",
    "MinimumLengthValidator": "At least {0.min_length} characters",
    "CommonPasswordValidator": "No common password",
    "NumericPasswordValidator": "not only digits",
}


def test_hint_says_what_new_passwords_are_refused_for(client):
    hint = catalogue("en")["welcome"]["password_rules"]
    for validator in get_default_password_validators():
        rule = PASSWORD_RULES[type(validator).__name__]
        assert rule.format(validator) in hint
    assert hint in client.get("/").content.decode()


def test_languages_are_offered_by_their_own_names(client):
    page = client.get("/").content.decode()
    [choices] = re.findall(r'<select name="language".*?</select>', page, re.DOTALL)
    offered = dict(re.findall(r'<option value="(\w+)" lang="\w+">(.*?)<', choices))
    assert offered == LANGUAGES


def test_modules_and_pages_name_texts_that_are_there():
    templates = Path(get_template("chats/client.html").origin.name).parent
    pages = [templates / "client.html", *templates.glob("client/*.html")]
    markup = "".join(path.read_text() for path in pages)
    modules = "".join(path.read_text() for path in CLIENT.glob("*.js"))
    named = set(re.findall(r"\bt\.([a-z_.]+)", markup))
    for first in re.findall(r"\bt\(([^,)]*)", modules):
        named |= set(re.findall(r'"([a-z_.]+)"', first))
    names = set(paths_of(catalogue("en")))
    assert named <= names
    # Those of actions are named by `addAction`.
    assert {name for name in names - named if ".actions." not in name} == set()


def paths_of(texts: dict, prefix: str = "") -> Iterator[str]:
    for key, value in texts.items():
        if isinstance(value, dict) and "other" not in value:
            yield from paths_of(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        ("", "", "en"),
        ("", "fr, en;q=0.5", "en"),
        ("xx", "tlh", "en"),
    ],
)
def test_page_is_in_the_language_of_its_reader(client, cookie, accepted, language):
    client.cookies["language"] = cookie
    response = client.get("/", headers={"Accept-Language": accepted})
    direction = "rtl" if language == "ar" else "ltr"
    assert f'<html lang="{language}" dir="{direction}">' in response.content.decode()
    assert {"Accept-Language", "Cookie"} <= set(response.headers["Vary"].split(", "))
