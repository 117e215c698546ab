"""The reference that the API serves of itself: complete, true, and made of nothing from elsewhere."""

import json
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator

from functions.api import pages
from functions.api.documentation import operations

_PUBLIC = {"/health"}


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    """The OpenAPI document as served."""
    answer = client.get("/openapi.json")
    assert answer.status_code == 200
    served: dict[str, Any] = answer.json()
    return served


def test_every_operation_says_what_it_does(document: dict[str, Any]) -> None:
    """A summary, a description, a tag and an id of its own."""
    ids = []
    for path, method, operation in operations(document):
        assert operation["summary"], (path, method)
        assert operation["description"], (path, method)
        assert operation["tags"], (path, method)
        ids.append(operation["operationId"])
    assert len(ids) == len(set(ids))
    assert len(ids) >= 35


def test_every_operation_but_health_needs_a_key_and_names_its_scope(document: dict[str, Any]) -> None:
    """A route that forgot its dependency would stand here without security."""
    assert set(document["components"]["securitySchemes"]) == {"Bearer", "ApiKey"}
    for path, method, operation in operations(document):
        if path in _PUBLIC:
            assert "security" not in operation
            continue
        assert {next(iter(way)) for way in operation["security"]} == {"Bearer", "ApiKey"}, (path, method)
        scopes = [scope for way in operation["security"] for names in way.values() for scope in names]
        assert scopes, (path, method)
        assert f"Needs the scope `{scopes[0]}`." in operation["description"], (path, method)


def test_every_operation_shows_an_example(document: dict[str, Any]) -> None:
    """Of its body and of its answer."""
    for path, method, operation in operations(document):
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        answers = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
        assert answers, (path, method)
        for holder in [*bodies, *answers]:
            if "content" in holder:
                assert "example" in holder["content"]["application/json"], (path, method)


def test_every_example_is_valid(document: dict[str, Any]) -> None:
    """Examples obey the schemas they stand beside."""
    checked = 0
    for path, method, operation in operations(document):
        holders = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in (holder.get("content", {}) for holder in holders):
            for media in content.values():
                schema = {**media["schema"], "components": document["components"]}
                examples = [media["example"]] if "example" in media else []
                examples += [example["value"] for example in media.get("examples", {}).values()]
                for example in examples:
                    errors = [error.message for error in Draft202012Validator(schema).iter_errors(example)]
                    assert errors == [], (path, method)
                    checked += 1
    assert checked > 100


def test_every_operation_lists_its_problems(document: dict[str, Any]) -> None:
    """As problem+json, never FastAPI's own shape."""
    assert "HTTPValidationError" not in document["components"]["schemas"]
    for path, method, operation in operations(document):
        statuses = set(operation["responses"])
        if path in _PUBLIC:
            continue
        assert {"401", "403", "500", "503"} <= statuses, (path, method)
        if "{clinic_id}" in path:
            assert "404" in statuses, (path, method)
        if "requestBody" in operation:
            assert {"400", "413", "422"} <= statuses, (path, method)
        for status, answer in operation["responses"].items():
            assert answer["description"], (path, method, status)
            if status >= "4" and "health" not in path:
                assert list(answer["content"]) == ["application/problem+json"], (path, method, status)


def test_the_document_holds_wherever_it_is_served(document: dict[str, Any]) -> None:
    """Paths are relative to it, so a stage prefix or another domain changes nothing."""
    assert document["servers"] == [{"url": "."}]
    assert document["openapi"].startswith("3.1")


@pytest.mark.parametrize("path", ["/docs", "/errors", "/errors/not_found", "/errors/channel_exists"])
def test_pages_load_nothing_from_elsewhere(client: TestClient, path: str) -> None:
    """No address of another host in the page, and a policy that forbids it; no key is needed."""
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "script-src 'self';" in policy
    links = re.findall(r'(?:src|href)="([^"]*)"', answer.text)
    assert all(not link.startswith(("http:", "https:", "//", "/")) for link in links)
    assert not re.search(r"<script(?![^>]*\bsrc=)", answer.text)


def test_the_reference_page_brings_all_its_files(client: TestClient) -> None:
    """Every file the page names is served, with its type."""
    page = client.get("/docs").text
    files = re.findall(r'(?:src|href)="(docs/[^"]+)"', page)
    assert len(files) == 3
    for name in files:
        answer = client.get(f"/{name}")
        assert answer.status_code == 200, name
        assert answer.headers["content-type"].startswith("text/css" if name.endswith(".css") else "text/javascript")
        assert answer.headers["cache-control"] == "public, max-age=86400"
    assert b"SwaggerUIBundle" in (pages.asset("swagger-ui-bundle.js") or b"")


@pytest.mark.parametrize("path", ["/docs/nothing.js", "/docs/..%2fpages.py", "/errors/nothing"])
def test_files_that_the_pages_do_not_have_are_404(client: TestClient, path: str) -> None:
    """Only the files on the list."""
    assert client.get(path).status_code == 404


def test_the_document_names_no_secret_and_no_machine(document: dict[str, Any]) -> None:
    """Examples are made up."""
    text = json.dumps(document)
    assert "rk_local" not in text
    assert "127.0.0.1" not in text
