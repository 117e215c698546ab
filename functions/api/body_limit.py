"""The largest body that is read at all."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TOO_LARGE = 413


class BodyLimit:
    """ASGI middleware that stops reading a body where it becomes too large.

    FastAPI's own ``max_body_size`` answers in plain text, past the error handlers; an HTTPException raised while the
    body is read reaches them.

    Args:
        app: the application.
        most_bytes: the largest body.
    """

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        self._app = app
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its body counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if max(received, int(declared) if declared.isdecimal() else 0) > self._most_bytes:
                raise HTTPException(_TOO_LARGE)
            return message

        await self._app(scope, receive_counted, send)
