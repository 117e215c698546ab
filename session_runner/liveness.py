"""Every half minute: ask each host how its sessions are, write that down, and notice changed credentials."""

import asyncio
from collections.abc import Callable, Mapping

from recado.kernel.clock import from_text
from session_runner.host_errors import HostError
from session_runner.host_pool import HostPool, Seat
from session_runner.ports import Surroundings
from session_runner.sessions import Session

STATUS_SECONDS = 10.0


class Liveness:
    """Watches the hosts' sessions.

    Args:
        sessions: the shard's sessions by channel.
        pool: the hosts.
        around: what all sessions share.
        gap: seconds between two rounds.
    """

    def __init__(
        self, sessions: Callable[[], Mapping[str, Session]], pool: HostPool, around: Surroundings, gap: float
    ) -> None:
        self._sessions = sessions
        self._pool = pool
        self._around = around
        self._gap = gap

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            await asyncio.sleep(self._gap)
            for seat in self._pool.seats:
                if seat.channels and not seat.pairing:
                    try:
                        await self._look_at(seat)
                    except Exception:
                        self._around.logger.exception("a host's sessions could not be looked at")

    async def _look_at(self, seat: Seat) -> None:
        try:
            answer = await seat.host.request("status", timeout=STATUS_SECONDS)
        except HostError as error:
            self._around.logger.warning("a host does not say how it is", extra={"code": error.code})
            return
        for channel_id, status in answer["sessions"].items():
            session = self._sessions().get(channel_id)
            if session is None or session.incarnation is None or session.incarnation.id != status["incarnation"]:
                continue
            session.snapshots.notice(status.get("fingerprint"))
            if status["connected"] and not status["thread_alive"]:
                session.on_notice(
                    {
                        "kind": "session_event",
                        "event": "pump_ended",
                        "incarnation": status["incarnation"],
                        "reason": "thread_ended",
                    }
                )
            last = status.get("last_event_at")
            await session.put_liveness(from_text(last) if last else None)
