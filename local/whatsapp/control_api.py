"""The control API's plumbing: routes, JSON in and out, errors as problem documents."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from local.whatsapp.front_door import HttpRequest, HttpResponse

_log = logging.getLogger(__name__)


class ApiError(Exception):
    """An answer other than success: status, what is wrong, and which field is to blame."""

    def __init__(self, status: int, detail: str, field_name: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.field_name = field_name


@dataclass(frozen=True)
class Call:
    """One request to the control API, taken apart."""

    parameters: dict[str, str]
    query: dict[str, str]
    body: dict[str, Any] = field(default_factory=dict)

    def text(self, name: str, default: str | None = None) -> str:
        """A text field of the body.

        Raises:
            ApiError: it is missing without a default, or is not text.
        """
        value = self.body.get(name, default)
        if not isinstance(value, str) or (default is None and not value):
            raise ApiError(422, f"'{name}' must be a text", name)
        return value

    def optional_text(self, name: str) -> str | None:
        """A text field of the body that may be absent or null."""
        return None if self.body.get(name) is None else self.text(name)

    def number(self, name: str, default: float | None = None, *, lowest: float = 0, highest: float = 1e9) -> float:
        """A numeric field of the body within bounds.

        Raises:
            ApiError: it is missing without a default, not a number, or out of bounds.
        """
        value = self.body.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ApiError(422, f"'{name}' must be a number", name)
        if not lowest <= value <= highest:
            raise ApiError(422, f"'{name}' must lie between {lowest:g} and {highest:g}", name)
        return value

    def integer(self, name: str, default: int | None = None, *, lowest: int = 0, highest: int = 10**9) -> int:
        """A whole-number field of the body within bounds.

        Raises:
            ApiError: as :meth:`number`, or it is not whole.
        """
        value = self.number(name, default, lowest=lowest, highest=highest)
        if value != int(value):
            raise ApiError(422, f"'{name}' must be a whole number", name)
        return int(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """A true-or-false field of the body.

        Raises:
            ApiError: it is something else.
        """
        value = self.body.get(name, default)
        if not isinstance(value, bool):
            raise ApiError(422, f"'{name}' must be true or false", name)
        return value

    def cursor(self, name: str, default: int) -> int:
        """A whole number from the query string.

        Raises:
            ApiError: it is not one.
        """
        value = self.query.get(name) or str(default)
        if not value.isdigit():
            raise ApiError(422, f"'{name}' must be a whole number", name)
        return int(value)


Answer = tuple[int, Any]
Handler = Callable[[Call], Answer | Awaitable[Answer]]


class ControlApi:
    """Routes requests to handlers. Patterns are paths with ``{name}`` for one segment."""

    def __init__(self, finished: Callable[[], None]) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []
        self._finished = finished

    def add(self, method: str, pattern: str, handler: Handler) -> None:
        """Add a route."""
        expression = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)
        self._routes.append((method, re.compile(expression), handler))

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a request; what it changed is committed before the answer leaves."""
        try:
            status, content = await self._answer(request)
        except ApiError as error:
            return _problem(error)
        except Exception:  # noqa: BLE001 - the last resort: logged with its trace, answered as 500
            _log.exception("the control API failed")
            return _problem(ApiError(500, "the simulator failed; see its log"))
        finally:
            self._finished()
        return HttpResponse(status, json.dumps(content, ensure_ascii=False).encode() + b"\n")

    async def _answer(self, request: HttpRequest) -> Answer:
        url = urlsplit(request.target)
        matches = [(method, found, handler) for method, expression, handler in self._routes
                   if (found := expression.fullmatch(url.path.rstrip("/") or "/"))]  # fmt: skip
        for method, found, handler in matches:
            if method == request.method:
                parameters = {name: unquote(value) for name, value in found.groupdict().items()}
                query = {name: values[-1] for name, values in parse_qs(url.query).items()}
                result = handler(Call(parameters, query, _body(request)))
                return result if isinstance(result, tuple) else await result
        if matches:
            raise ApiError(405, f"this path takes {', '.join(sorted(method for method, _, _ in matches))}")
        raise ApiError(404, "no such path")


def _body(request: HttpRequest) -> dict[str, Any]:
    if not request.body.strip():
        return {}
    try:
        body = json.loads(request.body)
    except ValueError as error:
        raise ApiError(400, "the body is not JSON") from error
    if not isinstance(body, dict):
        raise ApiError(400, "the body must be a JSON object")
    return body


def _problem(error: ApiError) -> HttpResponse:
    document: dict[str, Any] = {"type": "about:blank", "title": _TITLES.get(error.status, "Error")}
    document |= {"status": error.status, "detail": error.detail}
    if error.field_name is not None:
        document["field"] = error.field_name
    body = json.dumps(document, ensure_ascii=False).encode() + b"\n"
    return HttpResponse(error.status, body, "application/problem+json")


_TITLES = {
    400: "Bad request",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    410: "Gone",
    422: "Unprocessable",
    500: "Internal error",
}
