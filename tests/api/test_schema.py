"""The schema: whole, without warnings, and shown without help from elsewhere."""

import json
import re
from collections import Counter

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer2,
)

from chats.web.assets import version
from tests.support.routes import METHODS, NOBODY, PUBLIC, api_calls

UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"

# What is deleted there can still be named, and not be changed: 409.
LEAVES_SOMETHING_WHEN_DELETED = {
    f"/api/messages/{NOBODY}/",
    f"/api/users/{NOBODY}/",
    "/api/users/me/",
}


@pytest.fixture
def schema(client, db) -> dict:
    response = client.get("/api/schema/", HTTP_ACCEPT="application/json")
    assert response.status_code == 200
    return json.loads(response.content)


def operations(schema: dict) -> dict[tuple[str, str], dict]:
    """Return the operations by method and path, ids being nobody's."""
    return {
        (method.upper(), re.sub("{.*?}", NOBODY, path)): operation
        for path, item in schema["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def test_schema_is_valid_and_made_without_warnings(tmp_path, db):
    file = tmp_path / "schema.yaml"
    call_command("spectacular", file=str(file), validate=True, fail_on_warn=True)
    assert file.read_text().startswith("openapi: 3")


def test_schema_has_every_route(schema):
    beside = {("GET", "/api/"), ("GET", "/api/schema/"), ("GET", "/api/docs/")}
    assert set(operations(schema)) == set(api_calls()) - beside


def test_operations_have_an_id_a_summary_and_tags(schema):
    found = operations(schema)
    ids = Counter(item["operationId"] for item in found.values())
    assert [name for name, times in ids.items() if times > 1] == []
    bare = [
        call
        for call, item in found.items()
        if not item.get("summary") or not item.get("tags")
    ]
    assert bare == []


def test_operations_tell_their_errors(schema):
    wanting = {
        call: missing
        for call, operation in operations(schema).items()
        if (missing := errors_of(*call) - set(operation["responses"]))
    }
    assert wanting == {}


def errors_of(method: str, path: str) -> set[str]:
    errors = {"429", "503"}
    if (method, path) not in PUBLIC or path in {"/api/auth/login/", "/api/users/"}:
        errors |= {"401", "403"} - ({"403"} if method == "GET" else set())
    if NOBODY in path:
        errors.add("404")
    if method in {"POST", "PUT", "PATCH"}:
        errors |= {"400", "413", "415"}
    if method in {"PUT", "PATCH"} and path in LEAVES_SOMETHING_WHEN_DELETED:
        errors.add("409")
    return errors


def test_operations_tell_their_success(schema):
    silent = [
        call
        for call, operation in operations(schema).items()
        if not {"200", "201", "204"} & set(operation["responses"])
    ]
    assert silent == []


def test_schema_knows_tokens_and_sessions(schema):
    schemes = schema["components"]["securitySchemes"]
    assert schemes["token"].items() >= {"type": "http", "scheme": "bearer"}.items()
    assert schemes["session"] == {
        "type": "apiKey",
        "in": "cookie",
        "name": "sessionid",
    }
    assert operations(schema)["GET", "/api/users/"]["security"] == [
        {"token": []},
        {"session": []},
    ]


def test_schema_says_that_sign_up_needs_no_credentials(schema):
    found = operations(schema)
    assert found["POST", "/api/users/"]["security"] == [
        {"token": []},
        {"session": []},
        {},
    ]
    assert {} not in found["DELETE", f"/api/users/{NOBODY}/"]["security"]


def test_schema_says_of_calls_without_credentials_that_they_take_none(schema):
    bare = {call for call, item in operations(schema).items() if not item["security"]}
    assert bare == {
        ("POST", "/api/auth/login/"),
        ("POST", "/api/auth/password/reset/"),
        ("POST", "/api/auth/password/reset/confirm/"),
    }


def test_schema_gives_each_list_a_next_page_of_its_own(schema):
    next_pages = {
        path: example["value"]["next"]
        for (method, path), operation in operations(schema).items()
        if method == "GET"
        for media in operation["responses"]["200"]["content"].values()
        for example in media.get("examples", {}).values()
        if "next" in example["value"]
    }
    assert len(next_pages) >= 4
    assert {re.sub(UUID, NOBODY, page) for page in next_pages.values()} == {
        f"https://example.org{path}?cursor=WzEsMl0" for path in next_pages
    }


def test_schema_bounds_the_number_of_events(schema):
    parameters = operations(schema)["GET", "/api/events/"]["parameters"]
    [limit] = [item["schema"] for item in parameters if item["name"] == "limit"]
    assert limit == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}


def test_schema_says_what_may_be_null_as_openapi_3_1_does(schema):
    assert schema["openapi"] == "3.1.1"
    conversation = schema["components"]["schemas"]["Conversation"]["properties"]
    assert '"nullable"' not in json.dumps(schema)
    assert conversation["last_message"]["oneOf"] == [
        {"$ref": "#/components/schemas/Message"},
        {"type": "null"},
    ]


def test_schema_describes_each_tag(schema):
    described = {tag["name"] for tag in schema["tags"] if tag["description"]}
    used = {tag for item in operations(schema).values() for tag in item["tags"]}
    assert described == used


def test_schema_tells_the_shape_of_field_errors(schema):
    answers = operations(schema)["POST", "/api/messages/"]["responses"]
    [media] = answers["400"]["content"].values()
    assert media["schema"] == {"$ref": "#/components/schemas/FieldErrors"}
    shape = schema["components"]["schemas"]["FieldErrors"]["additionalProperties"]
    assert [item["type"] for item in shape["oneOf"]] == ["string", "array"]


def test_schema_says_that_private_fields_are_for_some_only(schema):
    user = schema["components"]["schemas"]["User"]
    assert set(user["properties"]) - set(user["required"]) == {
        "email",
        "phone_number",
        "created_at",
        "updated_at",
    }


def test_schema_is_yaml_unless_asked_for_json(client, db):
    response = client.get("/api/schema/")
    assert response.headers["Content-Type"].startswith("application/vnd.oai.openapi")
    assert response.content.startswith(b"openapi: 3")


def test_docs_page_needs_nothing_from_elsewhere(client, db):
    response = client.get("/api/docs/")
    page = response.content.decode()
    assets = re.findall(r"""(?:src|href)=["'](.*?)["']""", page)
    assert response.status_code == 200
    assert len(assets) >= 3
    script = "/api/docs/?script="  # what would be in the page, for a strict policy
    assert [asset for asset in assets if not finders.find(own(asset))] == [script]
    assert not re.search(r"""["'](?:https?:)?//\w""", page)
    assert client.get(script).headers["Content-Type"] == "application/javascript"


def own(asset: str) -> str:
    """Return the path of a static file of ours, or what finds nothing."""
    prefix = f"/static/{version()}"
    return asset.removeprefix(prefix) if asset.startswith(prefix) else "none"


@pytest.mark.parametrize(
    ("method", "url", "accept", "status", "body"),
    [
        (
            "GET",
            "/api/schema/",
            "image/png",
            406,
            {
                "detail": "Could not satisfy the request Accept header.",
                "code": "not_acceptable",
            },
        ),
        (
            "POST",
            "/api/docs/",
            "text/html",
            405,
            {"detail": 'Method "POST" not allowed.', "code": "method_not_allowed"},
        ),
        (
            "DELETE",
            "/api/schema/",
            "application/yaml",
            405,
            {"detail": 'Method "DELETE" not allowed.', "code": "method_not_allowed"},
        ),
        (
            "GET",
            "/api/schema/?format=xml",
            "*/*",
            400,
            {"format": ["Must be one of json, yaml."]},
        ),
        (
            "GET",
            "/api/docs/?format=json",
            "*/*",
            400,
            {"format": ["Must be one of html."]},
        ),
    ],
)
def test_errors_of_the_schema_have_the_shape_of_all(
    client, db, method, url, accept, status, body
):
    response = client.generic(method, url, HTTP_ACCEPT=accept)
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == body


def test_schema_is_made_once_a_process(client, db, monkeypatch):
    def get(**asked):
        return client.get("/api/schema/", asked, HTTP_ACCEPT="application/json")

    first = get()
    monkeypatch.setattr(SchemaGenerator, "get_schema", None)
    monkeypatch.setattr(OpenApiJsonRenderer, "render", None)

    answers = [get(), get(version="2"), get(lang="de")]

    assert {answer.content for answer in answers} == {first.content}


@pytest.mark.parametrize("accept", ["application/yaml", "application/json; indent=2"])
def test_schema_is_what_the_generator_makes(client, db, accept):
    renderer = OpenApiYamlRenderer2() if "yaml" in accept else OpenApiJsonRenderer2()
    made = SchemaGenerator().get_schema(request=None, public=True)

    response = client.get("/api/schema/", HTTP_ACCEPT=accept)

    assert response.content == renderer.render(made, accept, {})
    assert response.headers["Vary"].startswith("Accept")


def test_schema_one_has_already_is_not_sent_again(client, db):
    etag = client.get("/api/schema/").headers["ETag"]

    again = client.get("/api/schema/", HTTP_IF_NONE_MATCH=etag)
    in_json = {"HTTP_ACCEPT": "application/json", "HTTP_IF_NONE_MATCH": etag}

    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/api/schema/", **in_json).status_code == 200
