"""The OpenAPI document: every operation with an example, its errors as problems, and the two ways to send a key."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from functions.api.error_catalogue import leaves
from functions.api.errors import PROBLEM_JSON, problem_example
from functions.api.schemas.base import Answer, Given
from recado.kernel import errors

Plain = dict[str, Any]

_METHODS = frozenset({"get", "post", "patch", "put", "delete"})

_DESCRIPTION = """
Run WhatsApp for many clinics. A **clinic** is a tenant, a **channel** is one WhatsApp number of a clinic.

Send your key as `Authorization: Bearer rk_…` or `X-Api-Key: rk_…`. Lists are read page by page with `cursor`.
Errors are RFC 9457 problems; their codes are explained under [/errors](errors).
"""

_TAGS = [
    {"name": "clinics", "description": "Tenants; for the operators of the platform."},
    {"name": "api keys", "description": "Keys of a clinic, with scopes and an optional list of channels."},
    {"name": "channels", "description": "WhatsApp numbers: create, link, watch, disconnect."},
    {"name": "messages", "description": "Send, read back and list messages."},
    {"name": "contacts", "description": "Look numbers up on WhatsApp."},
    {"name": "webhooks", "description": "Where events are sent, and the log of their deliveries."},
    {"name": "analytics", "description": "Volumes."},
    {"name": "health", "description": "Whether the platform works."},
]

_PROBLEM_SCHEMA: Plain = {
    "title": "Problem",
    "description": "RFC 9457 problem details. Decide by `code`.",
    "type": "object",
    "required": ["type", "title", "status", "code", "detail", "field", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "field": {"type": ["string", "null"], "description": "The field at fault as a dotted path."},
        "request_id": {"type": ["string", "null"]},
        "errors": {
            "type": "array",
            "description": "Every field at fault, for `invalid_request`.",
            "items": {
                "type": "object",
                "required": ["field", "detail"],
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}


def problems(*raised: type[errors.RecadoError]) -> dict[int | str, Plain]:
    """Return FastAPI's ``responses`` for the errors that are particular to one operation."""
    grouped: dict[int | str, Plain] = {}
    for error in raised:
        answer = grouped.setdefault(error.status, _problem_answer())
        _add_problem(answer, error)
    return grouped


def install_openapi(app: FastAPI) -> None:
    """Make the application serve this document instead of FastAPI's own."""

    def document() -> Plain:
        if app.openapi_schema is None:
            app.openapi_schema = _build(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend OpenAPI


def operations(document: Plain) -> Iterator[tuple[str, str, Plain]]:
    """Yield every operation of an OpenAPI document as (path, method, operation)."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in _METHODS:
                yield path, method, operation


def _build(app: FastAPI) -> Plain:
    document = get_openapi(
        title="Recado API",
        version=app.version,
        summary="WhatsApp for many clinics.",
        description=_DESCRIPTION.strip(),
        routes=app.routes,
        tags=_TAGS,
    )
    # Relative to where the document is read from, so that it holds behind any stage prefix or domain.
    document["servers"] = [{"url": "."}]
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    _restore_nulls(document, schemas)
    schemas["Problem"] = _PROBLEM_SCHEMA
    for path, _, operation in operations(document):
        _name_scope(operation)
        _add_common_problems(path, operation)
        _show_examples(operation, schemas)
    return document


def _restore_nulls(document: Plain, schemas: Plain) -> None:
    """Put examples in again: FastAPI leaves nulls out of them, although every field of an answer is always there."""
    for shape in (*_shapes(Given), *_shapes(Answer)):
        extra = shape.model_config.get("json_schema_extra")
        if isinstance(extra, dict) and shape.__name__ in schemas:
            schemas[shape.__name__]["examples"] = extra["examples"]
    examples = {error.code: problem_example(error) for error in leaves()}
    for _, _, operation in operations(document):
        for answer in operation["responses"].values():
            for code, shown in answer.get("content", {}).get(PROBLEM_JSON, {}).get("examples", {}).items():
                shown["value"] = examples[code]


def _name_scope(operation: Plain) -> None:
    """Say in words which scope is needed: OpenAPI's place for it is one that most tools do not show."""
    scopes: list[str] = next((scopes for way in operation.get("security", ()) for scopes in way.values()), [])
    if scopes:
        named = ", ".join(f"`{scope}`" for scope in scopes)
        operation["description"] += f"\n\nNeeds the scope {named}."


def _add_common_problems(path: str, operation: Plain) -> None:
    answers = operation["responses"]
    takes_body, takes_input = "requestBody" in operation, "requestBody" in operation or "parameters" in operation
    answers.pop("422", None) if "Problem" not in str(answers.get("422")) else None
    common: list[type[errors.RecadoError]] = []
    if "security" in operation:
        common += [errors.UnauthenticatedError, errors.InsufficientScopeError]
    if "{clinic_id}" in path:
        common.append(errors.ClinicNotFoundError)
    if "{channel_id}" in path:
        common.append(errors.ChannelNotFoundError)
    if takes_body:
        common += [errors.MalformedBodyError, errors.BodyTooLargeError]
    if takes_input:
        common.append(errors.InvalidRequestError)
    if "cursor" in {parameter["name"] for parameter in operation.get("parameters", [])}:
        common.append(errors.InvalidCursorError)
    common += [errors.InternalError]
    if path.startswith("/v1"):
        common.append(errors.ServiceUnavailableError)
    for error in common:
        _add_problem(answers.setdefault(str(error.status), _problem_answer()), error)


def _problem_answer() -> Plain:
    return {"description": "", "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def _add_problem(answer: Plain, error: type[errors.RecadoError]) -> None:
    content = answer.setdefault("content", {}).setdefault(PROBLEM_JSON, _problem_answer()["content"][PROBLEM_JSON])
    content.setdefault("examples", {})[error.code] = {"value": problem_example(error)}
    if answer["description"] in {"", error.title}:
        answer["description"] = error.title
    elif error.title not in answer["description"]:
        answer["description"] += f"; {error.title.lower()}"


def _shapes(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for shape in base.__subclasses__():
        yield shape
        yield from _shapes(shape)


def _show_examples(operation: Plain, schemas: Plain) -> None:
    """Show each schema's example at the operation too, where most tools look for it."""
    holders = [operation.get("requestBody", {}), *operation["responses"].values()]
    for content in (holder.get("content", {}).get("application/json") for holder in holders):
        if content:
            example = _example_of(content.get("schema", {}), schemas)
            if example is not None:
                content["example"] = example


def _example_of(schema: Plain, schemas: Plain) -> Any:
    """Return the example of a schema; a page's is made of its items'."""
    for alternative in schema.get("anyOf", ()):
        if "$ref" in alternative:
            return _example_of(alternative, schemas)
    if "$ref" not in schema:
        return None
    named = schemas[schema["$ref"].rpartition("/")[2]]
    if "examples" in named:
        return named["examples"][0]
    items = named.get("properties", {}).get("data", {}).get("items")
    inner = _example_of(items, schemas) if items else None
    return None if inner is None else {"data": [inner], "next_cursor": None}
