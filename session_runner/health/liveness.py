"""Every half minute: how is each host and each session? Written down, judged, and acted upon where that helps.

An unhealthy session gets a new incarnation, the way a dead one does; a degraded one is reported. A host that wears
out is replaced, one that does not answer any more is killed, and its sessions come back elsewhere.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from recado.kernel.clock import from_text
from session_runner.health.vitals import (
    Condition,
    Finding,
    HostVitals,
    MonitorLimits,
    judge_host,
    judge_session,
    memory_of,
)
from session_runner.hosts.errors import HostError
from session_runner.hosts.pool import HostPool, Seat
from session_runner.hosts.recycling import Recycling
from session_runner.ports import Surroundings
from session_runner.sessions.session import Session

UNANSWERED_LIMIT = 3


class Liveness:
    """Watches the hosts and their sessions.

    Args:
        sessions: the shard's sessions by channel.
        pool: the hosts.
        around: what all sessions share.
        gap: seconds between two rounds.
        limits: from where on it acts.
    """

    def __init__(
        self,
        sessions: Callable[[], Mapping[str, Session]],
        pool: HostPool,
        around: Surroundings,
        gap: float,
        limits: MonitorLimits,
    ) -> None:
        self._sessions = sessions
        self._pool = pool
        self._around = around
        self._gap = gap
        self._limits = limits
        self._recycling = Recycling(sessions, pool, around.logger)
        self._findings: dict[str, Finding] = {}

    @property
    def degraded(self) -> dict[str, int]:
        """How many sessions were not well in the last round, by reason."""
        return dict(Counter(finding.reason for finding in self._findings.values()))

    async def run(self) -> None:
        """Go round until cancelled."""
        try:
            while True:
                await asyncio.sleep(self._gap)
                await self._round()
        finally:
            self._recycling.cancel()

    async def _round(self) -> None:
        for seat in self._pool.seats:
            if seat.channels and not seat.pairing:
                try:
                    await self._look_at(seat)
                except Exception:
                    self._around.logger.exception("a host's sessions could not be looked at")
        present = self._sessions()
        self._findings = {
            channel_id: finding for channel_id, finding in self._findings.items() if channel_id in present
        }
        self._around.metrics.gauge("SessionsDegraded", len(self._findings))

    async def _look_at(self, seat: Seat) -> None:
        try:
            answer = await seat.host.request("status", timeout=self._limits.answer_seconds)
        except HostError as error:
            self._unanswered(seat, error)
            return
        seat.unanswered = 0
        for channel_id, status in answer["sessions"].items():
            session = self._sessions().get(channel_id)
            if session is None or session.incarnation is None or session.incarnation.id != status["incarnation"]:
                continue
            await self._look_at_session(session, status)
        await self._judge_host(seat, answer)

    def _unanswered(self, seat: Seat, error: HostError) -> None:
        seat.unanswered += 1
        extra = {"pid": seat.host.pid, "code": error.code, "times": seat.unanswered}
        if seat.unanswered < UNANSWERED_LIMIT:
            self._around.logger.warning("a host does not say how it is", extra=extra)
            return
        self._around.logger.error("a host hangs and is killed", extra=extra)
        self._around.metrics.count("Errors", event_type="host_hung")
        seat.host.kill()

    async def _look_at_session(self, session: Session, status: dict[str, Any]) -> None:
        session.snapshots.notice(status.get("fingerprint"))
        last = from_text(status["last_event_at"]) if status.get("last_event_at") else None
        vitals = session.vitals(
            thread_alive=not status["connected"] or status["thread_alive"],
            keepalive_failures=int(status.get("keepalive_failures") or 0),
            last_frame_at=last,
        )
        self._act_on(session, judge_session(vitals, self._limits.session), status["incarnation"])
        await session.put_liveness(last)

    def _act_on(self, session: Session, finding: Finding, incarnation: str) -> None:
        channel_id = session.channel.channel_id
        before = self._findings.pop(channel_id, None)
        if finding.condition is Condition.HEALTHY:
            if before is not None:
                self._around.logger.info("a session is well again", extra=session.fields())
            return
        self._findings[channel_id] = finding
        if finding != before:
            fields = session.fields(condition=finding.condition.value, cause=finding.reason)
            self._around.logger.warning("a session is not well", extra=fields)
        if finding.condition is Condition.UNHEALTHY:
            session.on_notice(
                {
                    "kind": "session_event",
                    "event": "pump_ended",
                    "incarnation": incarnation,
                    "reason": finding.reason,
                }
            )

    async def _judge_host(self, seat: Seat, answer: dict[str, Any]) -> None:
        if self._limits.host is None or "descriptors" not in answer:
            return
        seat.memory_bytes = await self._around.blocking(_memory_of_process, seat.host.pid)
        age = time.monotonic() - seat.started_at
        vitals = HostVitals(answer["threads"], answer["descriptors"], seat.memory_bytes, age)
        metrics = self._around.metrics
        metrics.observe("HostDescriptors", vitals.descriptors, unit=MetricUnit.Count)
        metrics.observe("HostThreads", vitals.threads, unit=MetricUnit.Count)
        metrics.observe("HostMemory", vitals.memory_bytes, unit=MetricUnit.Bytes)
        if reason := judge_host(vitals, self._limits.host):
            self._recycling.begin(seat, reason)


def _memory_of_process(pid: int) -> int:
    try:
        return memory_of(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii"))
    except OSError:
        return 0  # it has just ended
