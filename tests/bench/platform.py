"""What a measurement needs of a running local stack: the API as a clinic sees it, the phones and a webhook receiver."""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import httpx

SCOPES = ["channels:read", "channels:write", "messages:read", "messages:send", "webhooks:read", "webhooks:write"]
_REQUEST_TIMEOUT = httpx.Timeout(35.0)
_LIMITS = httpx.Limits(max_connections=64)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a local stack listens, the platform key that may create clinics on it, and the folder of its state."""

    api: str
    phones: str
    admin_key: str
    state: Path


class Phones:
    """The simulator's control API: what people do with their phones."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.AsyncClient(base_url=url, timeout=_REQUEST_TIMEOUT, limits=_LIMITS, trust_env=False)

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Make one request and return its JSON.

        Raises:
            httpx.HTTPStatusError: the simulator refused.
        """
        answer = await self._http.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json()

    async def register(self, number: str) -> None:
        """Let a person with this number (digits) be on WhatsApp."""
        await self.call("POST", "/phones", {"number": number})

    async def send(self, number: str, to: str, text: str) -> str:
        """Let the person send a text and return the WhatsApp id."""
        answer = await self.call("POST", f"/phones/{number}/messages", {"to": to, "text": text})
        return str(answer["id"])

    async def ledger(self) -> list[dict[str, Any]]:
        """Return every row of the ledger."""
        rows: list[dict[str, Any]] = []
        while page := await self.call("GET", f"/ledger?limit=1000&after={rows[-1]['cursor'] if rows else 0}"):
            rows += page
        return rows

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


class Clinic:
    """One clinic with one channel, seen through the API with the clinic's own key."""

    def __init__(self, url: str, clinic_id: str, key: str) -> None:
        self.clinic_id = clinic_id
        self.channel_id = ""
        self.number = ""
        self._http = httpx.AsyncClient(
            base_url=f"{url}/v1/clinics/{clinic_id}",
            headers={"Authorization": f"Bearer {key}"},
            timeout=_REQUEST_TIMEOUT,
            limits=_LIMITS,
            trust_env=False,
        )

    @classmethod
    def beside(cls, clinic: "Clinic") -> "Clinic":
        """Return another view of the same clinic, for a further channel; it shares the connections."""
        other = cls.__new__(cls)
        other.clinic_id, other.channel_id, other.number = clinic.clinic_id, "", ""
        other._http = clinic._http
        return other

    @classmethod
    async def create(cls, addresses: Addresses, name: str, scopes: Sequence[str] = SCOPES) -> Self:
        """Make a clinic and a key with these scopes for it, with the platform key."""
        headers = {"Authorization": f"Bearer {addresses.admin_key}"}
        async with httpx.AsyncClient(headers=headers, timeout=_REQUEST_TIMEOUT, trust_env=False) as admin:
            made = await admin.post(f"{addresses.api}/v1/clinics", json={"name": name})
            made.raise_for_status()
            clinic_id = made.json()["clinic_id"]
            key = await admin.post(
                f"{addresses.api}/v1/clinics/{clinic_id}/api-keys", json={"name": "bench", "scopes": list(scopes)}
            )
            key.raise_for_status()
        return cls(addresses.api, clinic_id, key.json()["api_key"])

    async def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> Any:
        """Make one request below the clinic's path and return its JSON.

        Raises:
            httpx.HTTPStatusError: the API refused.
        """
        answer = await self._http.request(method, path, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    async def pair(self, phones: Phones, number: str) -> None:
        """Make the clinic's channel and link it to the phone with this number (digits).

        Raises:
            TimeoutError: the channel was not connected within a minute.
        """
        channel = await self.call("POST", "/channels", {"name": "bench"})
        self.channel_id, self.number = channel["channel_id"], number
        await self.call("POST", f"/channels/{self.channel_id}/connect", {"method": "qr"})
        code = await self._pairing_code()
        await phones.call("POST", f"/phones/{number}/scan", {"code": code})
        for _ in range(3):
            if (await self.channel("?wait_for=connected"))["state"] == "connected":
                return
        raise TimeoutError(f"the channel of {number} did not connect")

    async def _pairing_code(self) -> str:
        for _ in range(3):
            answer = await self._http.get(f"/channels/{self.channel_id}/qr?wait=20")
            if answer.status_code != httpx.codes.NOT_FOUND:  # there is none yet: many are being linked
                break
        answer.raise_for_status()
        return str(answer.json()["code"])

    async def subscribe(self, hooks: "Receiver", event_types: list[str]) -> None:
        """Make a webhook endpoint that leads to the receiver, and let the receiver verify it."""
        body = {"url": f"{hooks.url}/{self.clinic_id}", "event_types": event_types}
        await hooks.learn((await self.call("POST", "/webhook-endpoints", body))["secret"])

    async def channel(self, query: str = "") -> Any:
        """Return the channel as the API shows it."""
        return await self.call("GET", f"/channels/{self.channel_id}{query}")

    async def send(self, to: str, text: str, key: str | None = None) -> str:
        """Send a text to a number (digits) and return the message id."""
        body = {"to": to, "type": "text", "text": {"body": text}}
        headers = {"Idempotency-Key": key} if key else None
        answer = await self.call("POST", f"/channels/{self.channel_id}/messages", body, headers)
        return str(answer["message_id"])

    async def messages(self, direction: str) -> list[dict[str, Any]]:
        """Return the clinic's whole message log in one direction, newest first."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            query = f"/messages?direction={direction}&limit=100" + (f"&cursor={cursor}" if cursor else "")
            page = await self.call("GET", query)
            found += page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


class Receiver:
    """A webhook receiver in a process of its own, which can be killed and started again on the same port."""

    def __init__(self, record: Path) -> None:
        self.record = record
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "local.receiver",
            *("--port", str(self.port), "--record", str(self.record), "--secrets", str(self.record.parent / "secrets")),
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        async with asyncio.timeout(20), httpx.AsyncClient(trust_env=False) as http:
            while True:
                try:
                    await http.get(self.url, timeout=1)
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
                else:
                    return

    async def kill(self) -> None:
        """Kill it without warning."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def learn(self, secret: str) -> None:
        """Tell it an endpoint's secret, so that it can verify what comes."""
        async with httpx.AsyncClient(trust_env=False) as http:
            (await http.post(f"{self.url}/secrets", json={"secret": secret})).raise_for_status()

    def received(self) -> list[dict[str, Any]]:
        """Return every webhook that was verified and taken, in order of arrival: body, headers and moment."""
        if not self.record.exists():
            return []
        # The last line may be half written when the receiver was killed.
        lines = [line for line in self.record.read_text(encoding="utf-8").split("\n")[:-1] if line]
        taken = (json.loads(line) for line in lines)
        return [hook for hook in taken if hook["answered"] == HTTPStatus.OK and hook["verified"]]


@asynccontextmanager
async def receiver(record: Path) -> AsyncIterator[Receiver]:
    """Run a receiver for the length of a measurement."""
    running = Receiver(record)
    await running.start()
    try:
        yield running
    finally:
        await running.kill()
