"""Errors as RFC 9457 problem details (``application/problem+json``), never with a trace, a key or a patient's words."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from functions.api.error_catalogue import problem_kind
from functions.api.settings import api_settings
from recado.kernel.errors import (
    BodyTooLargeError,
    InternalError,
    InvalidRequestError,
    MalformedBodyError,
    MethodNotAllowedError,
    RecadoError,
    RouteNotFoundError,
    UnauthenticatedError,
)

PROBLEM_JSON = "application/problem+json"


class ProblemResponse(JSONResponse):
    """A problem details body."""

    media_type = PROBLEM_JSON


def problem_response(
    error: RecadoError,
    request: Request,
    *,
    failures: Sequence[dict[str, str]] = (),
    headers: dict[str, str] | None = None,
) -> ProblemResponse:
    """Return the answer for an error.

    Args:
        error: what went wrong.
        request: the request it went wrong in; gives the request id.
        failures: every field at fault as ``{"field", "detail"}``, when there may be several.
        headers: extra headers, such as ``Allow``.
    """
    body: dict[str, Any] = {
        "type": f"{api_settings().public_url.rstrip('/')}/errors/{problem_kind(error)}",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": _sentence(type(error)) if error.detail == error.title else error.detail,
        "field": error.field,
        "request_id": getattr(request.state, "request_id", None),
    }
    if failures:
        body["errors"] = list(failures)
    request.state.error_code = error.code
    all_headers = dict(headers or {})
    if isinstance(error, UnauthenticatedError):
        # RFC 9110 §11.6.1: a 401 names at least one way to authenticate.
        all_headers["WWW-Authenticate"] = 'Bearer realm="recado"'
    return ProblemResponse(body, status_code=error.status, headers=all_headers)


def install_error_handlers(app: FastAPI) -> None:
    """Make the application answer every refusal as a problem."""
    app.add_exception_handler(RecadoError, _on_recado_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)


async def _on_recado_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RecadoError)  # noqa: S101 - Starlette's handler type is wider than what it passes
    return problem_response(error, request)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    problems: dict[int, RecadoError] = {
        400: MalformedBodyError("The body could not be read as JSON."),
        404: RouteNotFoundError("No operation has this path."),
        405: MethodNotAllowedError("This path does not take this method."),
        413: BodyTooLargeError("The body is larger than 256 KiB."),
    }
    problem = problems.get(error.status_code, InternalError())
    return problem_response(problem, request, headers=dict(error.headers or {}))


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    failures = error.errors()
    if any(failure["type"] == "json_invalid" for failure in failures):
        return problem_response(MalformedBodyError("The body is not valid JSON."), request)
    if any(failure["loc"] == ("body",) and failure["type"] != "missing" for failure in failures):
        return problem_response(
            MalformedBodyError("The body must be one JSON object, sent as Content-Type: application/json."), request
        )
    described = [{"field": _field(failure["loc"]), "detail": _detail(failure)} for failure in failures]
    first = described[0]
    problem = InvalidRequestError(f"{first['field']}: {first['detail']}", field=first["field"])
    return problem_response(problem, request, failures=described)


def _field(location: Sequence[str | int]) -> str:
    """Return where a failure lies as a dotted path, without the place (body, query, header) it came in."""
    return ".".join(str(part) for part in location[1:]) or str(location[0])


def _detail(failure: dict[str, Any]) -> str:
    """Return pydantic's sentence; it names the rule and never repeats the input."""
    if failure["type"] == "extra_forbidden":
        return "Unknown field."
    return str(failure["msg"]).removeprefix("Value error, ")


def _sentence(error: type[RecadoError]) -> str:
    """Return what an error says of itself when it was raised without a word."""
    return (error.__doc__ or error.title).strip().splitlines()[0]


def problem_example(error: type[RecadoError]) -> dict[str, Any]:
    """Return a problem body as the documentation shows it."""
    return {
        "type": f"https://api.example.com/errors/{problem_kind(error)}",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": _sentence(error),
        "field": None,
        "request_id": "req_01kb1v00000000000000000000",
    }
