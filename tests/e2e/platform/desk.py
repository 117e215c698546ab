"""A clinic seen from outside: the view that measurements use, and what tests ask of it besides."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import httpx

from tests.bench.platform import Addresses, Clinic, Phones
from tests.e2e.platform.endpoint_server import EndpointServer
from tests.e2e.platform.waiting import eventually

ALL_SCOPES = (
    "clinics:admin",
    "keys:write",
    "channels:write",
    "messages:read",
    "messages:send",
    "webhooks:write",
    "reports:read",
    "privacy:admin",
)


class Desk(Clinic):
    """One clinic with a key that may do all a clinic may, and at most one channel at a time in view."""

    @classmethod
    async def create(cls, addresses: Addresses, name: str, scopes: Sequence[str] = ALL_SCOPES) -> Self:
        """Make a clinic and a key for it."""
        return await super().create(addresses, name, scopes)

    async def answer(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Make one request below the clinic's path and return its answer, whatever that is."""
        # Longer than a client would wait: on a busy machine a crowd queues at the front door.
        return await self._http.request(method, path, timeout=120, **options)

    async def answer_from_root(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Make one request with the clinic's key on any path of the API and return its answer."""
        root = str(self._http.base_url).partition("/v1/")[0]
        return await self.answer(method, root + path, **options)

    async def post_message(self, body: Any, **headers: str) -> httpx.Response:
        """Ask for a message to be sent and return the answer, whatever that is."""
        return await self.answer("POST", f"/channels/{self.channel_id}/messages", json=body, headers=headers)

    async def new_channel(self) -> None:
        """Make a channel that is not linked and turn to it."""
        self.channel_id = (await self.call("POST", "/channels", {"name": "Recepção"}))["channel_id"]

    async def scan(self, phones: Phones, number: str) -> None:
        """Ask for the channel to be connected and scan its QR code with the phone of that number."""
        await self.call("POST", f"/channels/{self.channel_id}/connect", {"method": "qr"})
        code = (await self.call("GET", f"/channels/{self.channel_id}/qr?wait=20"))["code"]
        await phones.call("POST", f"/phones/{number}/scan", {"code": code})
        self.number = number

    async def until_state(self, *states: str) -> dict[str, Any]:
        """Wait until the channel is in one of these states and return it."""

        return await self._until("state", self.channel, states)

    async def message(self, message_id: str) -> dict[str, Any]:
        """Return one message of the channel."""
        found: dict[str, Any] = await self.call("GET", f"/channels/{self.channel_id}/messages/{message_id}")
        return found

    async def until_status(self, message_id: str, *statuses: str) -> dict[str, Any]:
        """Wait until a message has one of these statuses and return it."""

        return await self._until("status", lambda: self.message(message_id), statuses)

    async def endpoint(self, url: str, event_types: Sequence[str], **more: Any) -> dict[str, Any]:
        """Register a webhook endpoint and return it with its secret."""
        made: dict[str, Any] = await self.call(
            "POST", "/webhook-endpoints", {"url": url, "event_types": list(event_types), **more}
        )
        return made

    async def listen(self, server: EndpointServer, event_types: Sequence[str], **more: Any) -> dict[str, Any]:
        """Register an endpoint on a path of its own of the server; the answer's ``path`` tells it."""
        path = server.new_path()
        return {**await self.endpoint(f"{server.url}{path}", event_types, **more), "path": path}

    async def delivery(self, endpoint_id: str, delivery_id: str) -> dict[str, Any]:
        """Return one delivery with its attempts."""
        found: dict[str, Any] = await self.call("GET", f"/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}")
        return found

    async def deliveries(self, endpoint_id: str) -> list[dict[str, Any]]:
        """Return the newest deliveries of an endpoint."""
        page = await self.call("GET", f"/webhook-endpoints/{endpoint_id}/deliveries?limit=100")
        return list(page["data"])

    async def ping(self, endpoint_id: str) -> str:
        """Have an endpoint pinged and return the delivery's id."""
        return str((await self.call("POST", f"/webhook-endpoints/{endpoint_id}/ping"))["delivery_id"])

    async def until_delivery(self, endpoint_id: str, delivery_id: str, *statuses: str) -> dict[str, Any]:
        """Wait until a delivery has one of these statuses and return it."""

        return await self._until("status", lambda: self.delivery(endpoint_id, delivery_id), statuses)

    async def volume(self) -> dict[str, int]:
        """Return how many messages the clinic had in and out round the present hour."""
        now = datetime.now(UTC)
        period = {"start": (now - timedelta(hours=2)).isoformat(), "end": (now + timedelta(hours=2)).isoformat()}
        answer = await self.answer("GET", "/analytics/volume", params=period)
        answer.raise_for_status()
        totals: dict[str, int] = answer.json()["totals"]
        return totals

    async def _until(
        self, field: str, read: Callable[[], Awaitable[dict[str, Any]]], values: Sequence[str]
    ) -> dict[str, Any]:
        last: dict[str, Any] = {}

        async def probe() -> dict[str, Any] | None:
            last.update(await read())
            return last if last[field] in values else None

        return await eventually(probe, lambda: f"{field} becomes {' or '.join(values)}; at last: {last}")
