"""Replacing a worn-out host: its sessions move to another one by one, then it ends. No message is lost on the way.

A session's stop lets the sends under way end and the last events reach the journal; what is to be sent meanwhile
waits in the outbox until the session is connected again.
"""

import asyncio
from collections.abc import Callable, Mapping

from aws_lambda_powertools import Logger

from session_runner.hosts.pool import HostPool, Seat
from session_runner.sessions.session import Session

CONNECT_SECONDS = 30.0
LOOK_SECONDS = 0.05


class Recycling:
    """Replaces one host at a time.

    Args:
        sessions: the shard's sessions by channel.
        pool: the hosts.
        logger: for what is replaced and why.
    """

    def __init__(self, sessions: Callable[[], Mapping[str, Session]], pool: HostPool, logger: Logger) -> None:
        self._sessions = sessions
        self._pool = pool
        self._logger = logger
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a host is being replaced."""
        return self._task is not None and not self._task.done()

    def begin(self, seat: Seat, reason: str) -> None:
        """Replace this host, unless one is being replaced already."""
        if not self.busy and seat.alive:
            self._logger.warning(
                "a host is replaced", extra={"pid": seat.host.pid, "cause": reason, "sessions": len(seat.channels)}
            )
            self._pool.drain(seat)
            self._task = asyncio.create_task(self._replace(seat), name=f"recycle {seat.host.pid}")

    def cancel(self) -> None:
        """Go no further: the process ends."""
        if self._task:
            self._task.cancel()

    async def _replace(self, seat: Seat) -> None:
        for channel_id in sorted(seat.channels):
            session = self._sessions().get(channel_id)
            if session is not None:
                session.move_away(seat)
                # The next one only when this one is back, so that never more than one is away because of us.
                await self._moved(session, seat)
        if await _until(lambda: not seat.channels, CONNECT_SECONDS):
            await self._pool.dismiss(seat)
        else:
            # Sessions that neither leave nor die with it keep it going; the next round looks again.
            self._logger.error("a host could not be emptied", extra={"sessions": len(seat.channels)})
            self._pool.undrain(seat)

    async def _moved(self, session: Session, seat: Seat) -> None:
        def moved() -> bool:
            incarnation = session.incarnation
            return incarnation is not None and incarnation.seat is not seat and session.connected.is_set()

        if not await _until(moved, CONNECT_SECONDS):
            self._logger.warning("a session is not back yet after its move", extra=session.fields())


async def _until(reached: Callable[[], bool], seconds: float) -> bool:
    end = asyncio.get_running_loop().time() + seconds
    while not reached():
        if asyncio.get_running_loop().time() >= end:
            return False
        await asyncio.sleep(LOOK_SECONDS)
    return True
