"""What the tests of hosts hold in their hands: hosts against a simulator, their notices and their journals."""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from local.whatsapp.redirect import client_environment
from session_runner.hosts.host import Host
from session_runner.journal.journal import Journal, JournalRow
from tests.e2e.whatsapp.harness import ROOT, RunningSimulator

CLINIC_ID = "cli_test"
CLINIC = "5511988880001"
PATIENT = "5511977770001"
WAIT_SECONDS = 20.0


async def eventually(check: Callable[[], Any]) -> Any:
    """Return what ``check`` returns once that is true."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not (result := await asyncio.to_thread(check)):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    return result


class RunningHost:
    """A host with the notices it gave and the journal it writes."""

    def __init__(self, journal_path: Path) -> None:
        self.notices: list[dict[str, Any]] = []
        self.journal_path = journal_path
        self._arrived = asyncio.Event()
        self.host = Host(self._take)
        self.request = self.host.request

    def _take(self, notice: dict[str, Any]) -> None:
        self.notices.append(notice)
        self._arrived.set()

    async def notice(self, **fields: Any) -> dict[str, Any]:
        """Wait for a notice with these fields, among those not waited for yet, and take it out."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                self._arrived.clear()
                for notice in self.notices:
                    if all(notice.get(name) == value for name, value in fields.items()):
                        self.notices.remove(notice)
                        return notice
                await self._arrived.wait()

    def rows(self, kind: str | None = None) -> list[JournalRow]:
        journal = Journal(self.journal_path)
        try:
            return [row for row in journal.pending(10_000) if kind in {None, row.kind}]
        finally:
            journal.close()

    async def row(self, kind: str, **data: Any) -> JournalRow:
        """Wait for an entry of that kind with these data."""

        def found() -> JournalRow | None:
            rows = (row for row in self.rows(kind) if all(row.data.get(name) == data[name] for name in data))
            return next(rows, None)

        return await eventually(found)  # type: ignore[no-any-return]


class HostBench:
    """Starts hosts, links phones, and knows where the session files are."""

    def __init__(self, simulator: RunningSimulator, directory: Path) -> None:
        self.simulator = simulator
        self.directory = directory / "sessions"
        self._journals = directory / "journals"
        self._journals.mkdir()
        self._hosts: list[RunningHost] = []

    def environment(self) -> Mapping[str, str]:
        return client_environment(self.simulator.port, self.simulator.state, python_path=str(ROOT))

    async def start(self, **options: Any) -> RunningHost:
        running = RunningHost(self._journals / f"{len(self._hosts)}.sqlite")
        self._hosts.append(running)
        await running.host.start(
            directory=self.directory, journal_path=running.journal_path, environment=self.environment(), **options
        )
        return running

    def session(self, channel_id: str = "chn_clinic", database: Path | None = None) -> dict[str, Any]:
        """The fields that start or pair a session, with a fresh incarnation."""
        file = database or self.directory / channel_id / "session.db"
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return {
            "channel_id": channel_id,
            "clinic_id": CLINIC_ID,
            "database": str(file),
            "incarnation": uuid.uuid4().hex,
        }

    async def link(self, channel_id: str = "chn_clinic", number: str = CLINIC) -> dict[str, Any]:
        """Link a phone by QR code in a host of its own; return the notice ``paired``."""
        pairing = await self.start(pairing=True)
        await pairing.request("pair", **self.session(channel_id), method="qr", phone=None)
        shown = await pairing.notice(kind="pairing_code")
        await self.phone(number, "scan", code=shown["code"])
        paired = await pairing.notice(kind="paired")
        await pairing.request("stop_session", channel_id=channel_id)
        await pairing.host.stop()
        return paired

    async def connected(self, **options: Any) -> RunningHost:
        """A host in which the clinic's session is connected."""
        running = await self.start(**options)
        answer = await running.request("start_session", **self.session())
        assert answer["state"] == "connected"
        await running.notice(kind="session_event", event="connected")
        return running

    def rows(self, kind: str) -> list[JournalRow]:
        """The entries of that kind in the journals of all hosts."""
        return [row for running in self._hosts for row in running.rows(kind)]

    async def call(self, method: str, path: str, **body: Any) -> Any:
        status, answer = await self.call_whatever(method, path, **body)
        assert status < 300, answer
        return answer

    async def call_whatever(self, method: str, path: str, **body: Any) -> tuple[int, Any]:
        """Call the simulator, whatever it answers."""
        return await asyncio.to_thread(self.simulator.call, method, path, body if method == "POST" else None)

    async def phone(self, number: str, action: str, **body: Any) -> Any:
        return await self.call("POST", f"/phones/{number}/{action}", **body)

    async def write(self, sender: str, to: str, text: str, **more: Any) -> str:
        return str((await self.phone(sender, "messages", to=to, text=text, **more))["id"])

    async def received(self, number: str) -> list[dict[str, Any]]:
        found = await self.call("GET", f"/phones/{number}/messages")
        return list(found)

    async def close(self) -> None:
        for running in self._hosts:
            running.host.kill()
            if running.host.pid:
                await asyncio.shield(running.host.exited)


def jid_of(number: str) -> str:
    return f"{number}@s.whatsapp.net"
