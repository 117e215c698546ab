"""What surrounds every request: an id, one line in the log, and the last resort for what nobody foresaw."""

import time
import traceback

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from functions.api.errors import problem_response
from recado.aws.logging import logger
from recado.kernel.errors import InternalError
from recado.kernel.ids import Prefix, is_id, new_id

_UNLOGGED = frozenset({"/health"})
_SERVER_ERROR = 500

_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=31536000"),
)
_PRIVATE = (b"cache-control", b"no-store")


class AccessLog:
    """ASGI middleware; neither query strings nor bodies nor raw paths are logged, since numbers may stand in them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and see to its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        request.state.request_id = new_id(Prefix.REQUEST)
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message, request)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:  # noqa: BLE001 - the last resort: nothing may leave but a problem
            _log_unforeseen(error, request)
            if status == 0:
                problem = InternalError("Something went wrong on our side; it is logged under the request id.")
                await problem_response(problem, request)(scope, receive, send_with_id)
        finally:
            _log(request, status, time.perf_counter() - started)


def _add_headers(message: Message, request: Request) -> None:
    headers = message.setdefault("headers", [])
    headers.append((b"x-request-id", request.state.request_id.encode()))
    headers.extend(_SECURITY_HEADERS)
    # Answers hold patients' data: no cache on the way may keep them. The documentation sets its own.
    if not any(name == b"cache-control" for name, _ in headers):
        headers.append(_PRIVATE)


def _log(request: Request, status: int, seconds: float) -> None:
    if request.scope["path"] in _UNLOGGED:
        return
    route = getattr(request.scope.get("route"), "path", None)
    channel_id = request.path_params.get("channel_id", "")
    fields = {
        "method": request.method,
        "route": route or "(none)",
        "status": status,
        "duration_ms": round(seconds * 1000, 1),
        "request_id": request.state.request_id,
        "clinic_id": getattr(request.state, "clinic_id", None),
        "channel_id": channel_id if is_id(Prefix.CHANNEL, channel_id) else None,
        "api_key_id": getattr(request.state, "api_key_id", None),
        "subject_id": getattr(request.state, "subject_id", None),
        "refusal": getattr(request.state, "refusal", None),
        "error_code": getattr(request.state, "error_code", None),
    }
    write = logger("api").error if status >= _SERVER_ERROR else logger("api").info
    write("request", extra={name: value for name, value in fields.items() if value is not None})


def _log_unforeseen(error: Exception, request: Request) -> None:
    """Log what happened and where, without the exception's text: it may repeat what a patient wrote."""
    causes: list[str] = []
    current: BaseException | None = error
    while current is not None:
        causes.append(type(current).__name__)
        current = current.__cause__ or current.__context__
    logger("api").error(
        "unforeseen error",
        extra={
            "request_id": request.state.request_id,
            "error_types": causes,
            "trace": traceback.format_tb(error.__traceback__),
        },
    )
