"""A clinic's own web server in this process, which takes webhooks and answers each path as it is told."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer to a webhook; ``delay`` is in seconds."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request as it came; ``at`` is in monotonic seconds."""

    path: str
    raw: bytes
    headers: Mapping[str, str]
    at: float

    @property
    def body(self) -> dict[str, Any]:
        """The webhook's JSON."""
        plain: dict[str, Any] = json.loads(self.raw)
        return plain

    def verify(self, secret: str) -> None:
        """Check the signature as Standard Webhooks says.

        Raises:
            WebhookVerificationError: it is not of this secret.
        """
        Webhook(secret).verify(self.raw, dict(self.headers), json_parse=False)


class EndpointServer:
    """Records every request; unless told otherwise, a path answers 200 at once."""

    def __init__(self) -> None:
        self.url = ""
        self.arrivals: list[Arrival] = []
        self.unanswered: dict[str, int] = {}
        self._replies: dict[str, list[Reply]] = {}
        self._numbers = itertools.count(1)

    def new_path(self) -> str:
        """Return a path that nobody uses yet."""
        return f"/hooks/{next(self._numbers)}"

    def answer(self, path: str, *replies: Reply) -> None:
        """Have the path answer so, one reply after the other; the last one holds on."""
        self._replies[path] = list(replies)

    def at(self, path: str) -> list[Arrival]:
        """Return what came to a path so far."""
        return [arrival for arrival in self.arrivals if arrival.path == path]

    def events_at(self, path: str) -> list[dict[str, Any]]:
        """Return the events that came to a path, each once, by the order of their first arrival."""
        return list({arrival.body["id"]: arrival.body for arrival in reversed(self.at(path))}.values())[::-1]

    async def take(self, request: web.Request) -> web.Response:
        """Record a request and answer it."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        path = request.path
        self.arrivals.append(Arrival(path, await request.read(), headers, time.monotonic()))
        replies = self._replies.get(path, [Reply()])
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        self.unanswered[path] = self.unanswered.get(path, 0) + 1
        try:
            await asyncio.sleep(reply.delay)
        finally:
            self.unanswered[path] -= 1
        return web.Response(status=reply.status, headers=dict(reply.headers))


@asynccontextmanager
async def endpoint_server() -> AsyncIterator[EndpointServer]:
    """Run a server on a free port of this machine."""
    server = EndpointServer()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()
