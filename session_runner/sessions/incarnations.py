"""One run of a session on a host: from the moment it is given a seat until it is stopped or its host dies."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

from session_runner.hosts.errors import HostError, NotSentError
from session_runner.hosts.pool import HostPool, Seat

# Longer than the watchdog's patience: starts wait for each other inside a host, and a hanging dial takes its time.
START_SECONDS = 600.0
# The library's longest dial, 60 s through a proxy that takes the connection and never answers, and some.
STOP_SECONDS = 75.0
STOP_PAUSE_SECONDS = 0.5
SNAPSHOT_SECONDS = 20.0
LOGOUT_SECONDS = 20.0
_STOPPED_ANYHOW = {"unknown_session", "not_running", "host_gone"}


class Incarnation:
    """A session's present run; its id tells its notices from those of earlier runs.

    Args:
        pool: where the seat goes back to.
        seat: the host it runs on.
        clinic_id: the clinic.
        channel_id: the channel.
    """

    def __init__(self, pool: HostPool, seat: Seat, clinic_id: str, channel_id: str) -> None:
        self.id = str(uuid.uuid4())
        self.seat = seat
        self._pool = pool
        self._clinic_id = clinic_id
        self._channel_id = channel_id

    async def start(self, database: Path, proxy: str | None = None) -> dict[str, Any]:
        """Start the stored session; returns when it is connected, has failed, or goes on trying by itself.

        Args:
            database: its live file.
            proxy: the URL of the proxy it goes through; None: as the host's environment says.

        Raises:
            HostError: it could not be started.
        """
        return await self._ask("start_session", START_SECONDS, **self._named(database), proxy=proxy)

    async def pair(self, database: Path, method: str, phone: str | None, proxy: str | None = None) -> dict[str, Any]:
        """Start a pairing; what becomes of it comes as notices. The arguments are those of ``start`` and the request.

        Raises:
            HostError: it could not be started.
        """
        return await self._ask("pair", START_SECONDS, **self._named(database), method=method, phone=phone, proxy=proxy)

    async def request(self, kind: str, *, seconds: float, **payload: Any) -> dict[str, Any]:
        """Ask something of the running session.

        Raises:
            HostError: see ``session_runner.hosts.host``.
        """
        if not self.seat.alive:
            raise NotSentError("host_gone", "the host has died", {})
        return await self._ask(kind, seconds, **payload)

    async def stop(self) -> None:
        """Stop the session in order; idempotent.

        A host that does not manage to is killed: a session that may still be connected must not meet its successor.
        """
        end = asyncio.get_running_loop().time() + STOP_SECONDS
        while True:
            try:
                await self._ask("stop_session", STOP_SECONDS)
            except HostError as error:
                # The library cannot be stopped while it dials, which takes up to a minute through a proxy that does not
                # answer. The stop goes on in the host; forty-nine other sessions there are worth the wait.
                if error.code == "timeout" and asyncio.get_running_loop().time() < end:
                    await asyncio.sleep(STOP_PAUSE_SECONDS)
                    continue
                if error.code not in _STOPPED_ANYHOW:
                    self.seat.host.kill()
            return

    async def snapshot(self, path: Path) -> str:
        """Have a consistent copy of the live file written, and return its fingerprint.

        Raises:
            HostError: it was refused (``not_paired``: the link is gone) or the host died.
        """
        answer = await self._ask("snapshot", SNAPSHOT_SECONDS, path=str(path))
        return str(answer["fingerprint"])

    async def log_out(self) -> None:
        """Tell WhatsApp that this device is unlinked.

        Raises:
            HostError: it was not told.
        """
        await self._ask("logout", LOGOUT_SECONDS)

    async def leave(self) -> None:
        """Give the seat back after the stop; a shared host goes on without this session, a disposable one is killed."""
        if self.seat.alive and not self.seat.pairing:
            try:
                await self._ask("forget_session", STOP_SECONDS)
            except HostError as error:
                if error.code not in _STOPPED_ANYHOW:
                    self.seat.host.kill()
        self._pool.leave(self._channel_id, self.seat)

    async def _ask(self, kind: str, seconds: float, **payload: Any) -> dict[str, Any]:
        return await self.seat.host.request(kind, timeout=seconds, channel_id=self._channel_id, **payload)

    def _named(self, database: Path) -> dict[str, Any]:
        return {"clinic_id": self._clinic_id, "database": str(database), "incarnation": self.id}
