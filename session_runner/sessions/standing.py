"""How one channel's session stands: what is desired, what runs, since when; and how that is reported.

The parts that act (starting, pairing, stopping, endings) share this and know each other only downwards.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from recado.channels.model import Channel, ChannelState
from recado.kernel.errors import ServiceUnavailableError
from session_runner.actors import Task
from session_runner.health.uptime import Uptime
from session_runner.health.vitals import ERROR_WINDOW_SECONDS, RESTART_WINDOW_SECONDS, SessionVitals, Window
from session_runner.hosts.errors import HostGone, NotSentError, UnknownOutcomeError
from session_runner.hosts.pool import Seat
from session_runner.ports import Surroundings
from session_runner.sessions.convergence import Moment, Phase, View, is_paired
from session_runner.sessions.incarnations import Incarnation
from session_runner.vault.credentials import Credentials

PROXY_PATIENCE_SECONDS = 60.0


class Standing:
    """One session's standing.

    Args:
        channel: the channel item as read.
        around: what all sessions share.
        post: has something done by the session's actor.
    """

    def __init__(self, channel: Channel, around: Surroundings, post: Callable[[Task | None], None]) -> None:
        self.channel = channel
        self.around = around
        self.post = post
        self.view = View()
        self.connected = asyncio.Event()
        self.incarnation: Incarnation | None = None
        self.credentials = Credentials(around.directory, around.vault, channel.clinic_id, channel.channel_id)
        self.closing = False
        self.reread = False
        self.uptime = Uptime()
        self._errors = Window(ERROR_WINDOW_SECONDS)
        self._restarts = Window(RESTART_WINDOW_SECONDS)
        self._last_frame_at: datetime | None = None

    def fields(self, **more: object) -> dict[str, object]:
        """Return the log fields of this session."""
        return {"clinic_id": self.channel.clinic_id, "channel_id": self.channel.channel_id, **more}

    def nudge(self) -> None:
        """Have the channel item read again and converged to."""
        self.reread = True
        self.post(None)

    def moment(self) -> Moment:
        """Return the present on both clocks."""
        patience = self.around.connect_patience
        if self.channel.proxy_address is not None:
            # The client's own reconnects do not tell why they fail; a new incarnation's dial says that it is the proxy.
            patience = min(patience, PROXY_PATIENCE_SECONDS)
        return Moment(self.around.clock.now(), self.around.clock.monotonic(), patience)

    @property
    def state(self) -> ChannelState:
        """The channel's state as this process last reported it, or as the item says."""
        return self.view.reported or self.channel.state

    async def request(self, kind: str, *, seconds: float, **payload: Any) -> dict[str, Any]:
        """Ask something of the running session.

        Raises:
            HostError: see ``session_runner.hosts.host``; NotSentError when there is no running session.
        """
        if self.incarnation is None or self.view.phase is not Phase.RUNNING:
            raise NotSentError("not_running", "the session does not run", {})
        try:
            return await self.incarnation.request(kind, seconds=seconds, **payload)
        except (UnknownOutcomeError, HostGone) as error:
            self.count_error(error.code)
            raise

    def begin_incarnation(self, seat: Seat, phase: Phase) -> Incarnation:
        """Begin a new incarnation on a host."""
        channel = self.channel
        self.incarnation = Incarnation(self.around.pool, seat, channel.clinic_id, channel.channel_id)
        self.view.phase = phase
        if phase is Phase.RUNNING:
            # What went wrong before says nothing about the new incarnation.
            self._errors = Window(ERROR_WINDOW_SECONDS)
            self._restarts.add(self.around.clock.monotonic())
        self.view.restart_seen = channel.restart_requested_at
        self.view.banned_until = None
        self.set_connected(connected=False)
        self.view.not_connected_since = self.around.clock.monotonic()
        return self.incarnation

    def set_connected(self, *, connected: bool, cause: str | None = None) -> None:
        """Take note, at once, of whether WhatsApp has accepted the running incarnation.

        Args:
            connected: whether it has.
            cause: how the connection was lost, for the metrics; None when nobody waits for it to come back.
        """
        now = self.around.clock.monotonic()
        if self.view.connected and not connected:
            self.view.not_connected_since = now
        self.view.connected = connected
        if connected:
            self.connected.set()
            if recovery := self.uptime.connected(now):
                seconds, lost_by = recovery
                self.around.metrics.observe("RecoverySeconds", seconds, event_type=lost_by)
        else:
            self.connected.clear()
            if (lasted := self.uptime.disconnected(now, cause)) is not None:
                self.around.metrics.observe("ConnectionSeconds", lasted)

    def count_error(self, event_type: str) -> None:
        """Count an error, for the health monitor and the metrics."""
        self._errors.add(self.around.clock.monotonic())
        self.around.metrics.count("Errors", event_type=event_type)

    def vitals(self, *, thread_alive: bool, keepalive_failures: int, last_frame_at: datetime | None) -> SessionVitals:
        """Return what the health monitor judges by.

        Args:
            thread_alive: whether its thread in the host runs.
            keepalive_failures: keep-alives without an answer, in a row.
            last_frame_at: when something last came in.
        """
        now = self.around.clock.monotonic()
        age = (self.around.clock.now() - last_frame_at).total_seconds() if last_frame_at else None
        return SessionVitals(
            connected=self.view.connected,
            thread_alive=thread_alive,
            keepalive_failures=keepalive_failures,
            last_frame_age=age,
            errors=self._errors.count(now),
            restarts=self._restarts.count(now),
        )

    async def report(
        self, state: ChannelState, reason: str, *, desired_version: int | None = None, retry_at: datetime | None = None
    ) -> None:
        """State the channel's new state as a fact."""
        self.view.reported = state
        self.around.logger.info("channel state", extra=self.fields(state=state.value, reason=reason))
        linked = is_paired(self.channel, self.view)
        banned_until = self.view.banned_until if state is ChannelState.BANNED else None
        await self.around.facts.channel_state(
            self.channel,
            self.incarnation.id if self.incarnation else self.channel.channel_id,
            state,
            reason,
            phone=self.channel.phone if linked else None,
            lid=self.channel.lid if linked else None,
            ban_expires_at=banned_until,
            retry_at=retry_at,
            desired_version=desired_version,
        )

    async def give_up(self, state: ChannelState, reason: str) -> None:
        """Report an end of the attempt: nothing is tried again until somebody asks anew."""
        self.view.gave_up_version = self.channel.desired_version
        await self.report(state, reason, desired_version=self.channel.desired_version)

    async def put_liveness(self, last_frame_at: datetime | None) -> None:
        """Write the liveness item, with the moment something last came in, if that is news."""
        channel = self.channel
        self._last_frame_at = last_frame_at or self._last_frame_at
        try:
            await self.around.blocking(
                self.around.channels.put_liveness,
                channel.clinic_id,
                channel.channel_id,
                connected=self.view.connected,
                last_frame_at=self._last_frame_at,
                epoch=self.around.epoch,
            )
        except ServiceUnavailableError:
            self.around.logger.warning("liveness not written", extra=self.fields())
