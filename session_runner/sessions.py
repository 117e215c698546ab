"""A channel's session: an actor that carries its channel towards what is desired of it, one step at a time.

Notices and nudges only post into its mailbox; whatever decides or acts runs in the actor, in order. The two things
others need at once, whether it is connected and which incarnation it is, are set the moment the notice arrives.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from recado.channels.model import Channel, ChannelState, Desired
from recado.kernel.errors import ChannelNotFoundError, ServiceUnavailableError
from session_runner.actors import Actor, Task
from session_runner.convergence import Moment, Phase, Step, View, is_paired, next_step
from session_runner.credentials import Credentials
from session_runner.endings import Endings
from session_runner.host_errors import HostGone, NotSentError, UnknownOutcomeError
from session_runner.host_pool import Seat
from session_runner.incarnations import Incarnation
from session_runner.outbox import Sender
from session_runner.pairing import Pairing
from session_runner.ports import Surroundings
from session_runner.reconnect import Fate, History, Ruling, rule
from session_runner.snapshots import Snapshots
from session_runner.starting import Starting
from session_runner.uptime import Uptime
from session_runner.vault import VaultFencedError
from session_runner.vitals import ERROR_WINDOW_SECONDS, RESTART_WINDOW_SECONDS, SessionVitals, Window

_STEPS_A_ROUND = 12
_DOWN = {fate.value for fate in Fate} - {Fate.CONNECTED.value}


class Session:
    """One channel's session.

    Args:
        channel: the channel item as read.
        around: what all sessions share.
        on_gone: called when the channel exists no more.
    """

    def __init__(self, channel: Channel, around: Surroundings, on_gone: Callable[[str], None]) -> None:
        self.channel = channel
        self.around = around
        self.view = View()
        self.connected = asyncio.Event()
        self.incarnation: Incarnation | None = None
        self.credentials = Credentials(around.directory, around.vault, channel.clinic_id, channel.channel_id)
        self.sender = Sender(self, around)
        self.pairing = Pairing(self)
        self.snapshots = Snapshots(self)
        self._starting = Starting(self)
        self._endings = Endings(self)
        self._on_gone = on_gone
        self._history = History()
        self._uptime = Uptime()
        self._errors = Window(ERROR_WINDOW_SECONDS)
        self._restarts = Window(RESTART_WINDOW_SECONDS)
        self._reread = False
        self._gone = False
        self._closing = False
        self._last_frame_at: datetime | None = None
        self._actor = Actor(
            self._converge,
            failed=self._failed,
            fatal=(VaultFencedError,),
            logger=around.logger,
            fields=self.fields(),
        )

    # What others call; none of it blocks.

    def begin(self) -> None:
        """Start the actor and the sender."""
        if self.channel.desired is Desired.CONNECTED and is_paired(self.channel, self.view):
            self._uptime.wanted(self.around.clock.monotonic(), "task_started")
        self._actor.begin(f"session {self.channel.channel_id}")
        self.sender.begin()

    def nudge(self) -> None:
        """Have the channel item read again and converged to."""
        self._reread = True
        self._actor.post()

    def post(self, task: Task) -> None:
        """Have something done by the actor."""
        self._actor.post(task)

    def on_notice(self, notice: dict[str, Any]) -> None:
        """Take a notice of the host; one of an earlier incarnation is dropped."""
        if self.incarnation is None or notice.get("incarnation") != self.incarnation.id:
            return
        kind = notice["kind"]
        if kind != "session_event":
            self.post(partial(self.pairing.on_notice, kind, notice, self.incarnation))
            return
        event = str(notice["event"])
        if event == "connected":
            self._set_connected(connected=True)
            self.sender.ring()
        elif event in _DOWN:
            self._set_connected(connected=False, cause=event)
        if event in set(Fate) and self.view.phase is Phase.RUNNING:
            self.post(partial(self.meet, Fate(event), notice, self.incarnation))
        elif event == "identity_changed":
            self.post(self.snapshots.save_if_due)
        else:
            self.around.logger.info("session event", extra=self.fields(event=event))

    def on_host_lost(self, seat: Seat) -> None:
        """Take note that a host has died."""
        if self.incarnation is not None and self.incarnation.seat is seat:
            self._set_connected(connected=False, cause=Fate.HOST_LOST.value)
            self.post(partial(self._host_lost, self.incarnation))

    def move_away(self, seat: Seat) -> None:
        """Have a session that runs on this host stopped there and begun on another."""
        self.post(partial(self._move_away, seat))

    async def request(self, kind: str, *, seconds: float, **payload: Any) -> dict[str, Any]:
        """Ask something of the running session.

        Raises:
            HostError: see ``session_runner.hosts``; NotSentError when there is no running session.
        """
        if self.incarnation is None or self.view.phase is not Phase.RUNNING:
            raise NotSentError("not_running", "the session does not run", {})
        try:
            return await self.incarnation.request(kind, seconds=seconds, **payload)
        except (UnknownOutcomeError, HostGone) as error:
            self._error(error.code)
            raise

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

    @property
    def state(self) -> ChannelState:
        """The channel's state as this process last reported it, or as the item says."""
        return self.view.reported or self.channel.state

    def fields(self, **more: object) -> dict[str, object]:
        """Return the log fields of this session."""
        return {"clinic_id": self.channel.clinic_id, "channel_id": self.channel.channel_id, **more}

    # The actor.

    def _failed(self) -> None:
        self._reread = True

    async def _converge(self) -> float | None:
        if self._reread and not await self._read_again():
            return None
        for _ in range(_STEPS_A_ROUND):
            step, wait = next_step(self.channel, self.view, self._moment())
            if step is Step.NOTHING:
                return None
            if step is Step.WAIT:
                return wait
            self.around.logger.info("session step", extra=self.fields(step=step.value))
            await self._take(step)
            if self._gone or self._closing:
                return None
        raise RuntimeError("the session does not converge")

    async def _read_again(self) -> bool:
        self._reread = False
        channel = self.channel
        try:
            self.channel = await self.around.blocking(self.around.channels.get, channel.clinic_id, channel.channel_id)
        except ChannelNotFoundError:
            await self.end("deleted")
            await self.around.blocking(self.credentials.wipe)
            self.gone()
            return False
        if self.channel.desired_version != channel.desired_version:
            # Somebody asked anew: no waiting for the end of a pause that an earlier failure began.
            self.view.not_before = 0.0
        ending = self.channel.desired in {Desired.LOGGED_OUT, Desired.DELETED}
        if not ending:
            self.view.ending_since = None
        elif self.view.ending_since is None:
            self.view.ending_since = self.around.clock.monotonic()
        self.sender.stop_after(self.channel.drain_sequence if ending else None)
        return True

    async def _take(self, step: Step) -> None:
        steps: dict[Step, Callable[[], Awaitable[None]]] = {
            Step.PAIR: self.pairing.begin,
            Step.END_PAIRING: self.pairing.end,
            Step.START: self._starting.begin,
            Step.RESTART: partial(self.end, "restarted"),
            Step.STOP: self._stop,
            Step.LOG_OUT: self._endings.log_out,
            Step.FORGET: self._endings.forget,
            Step.DELETE: self._endings.delete,
            Step.REPORT_DISCONNECTED: partial(self._report_disconnected),
            Step.REPORT_LOGGED_OUT: partial(self.report, ChannelState.LOGGED_OUT, "requested"),
        }
        await steps[step]()

    async def _stop(self) -> None:
        self._uptime.written_off()
        await self.end("requested", clean=True)
        await self.report(ChannelState.DISCONNECTED, "requested")

    async def _report_disconnected(self) -> None:
        if self.channel.desired is Desired.CONNECTED:
            await self.give_up(ChannelState.DISCONNECTED, "not_paired")
        else:
            await self.report(ChannelState.DISCONNECTED, "requested")

    async def _move_away(self, seat: Seat) -> None:
        if self.view.phase is Phase.RUNNING and self.incarnation is not None and self.incarnation.seat is seat:
            await self.end("host_recycled", lost_by="host_recycled")

    async def _host_lost(self, incarnation: Incarnation) -> None:
        if incarnation is not self.incarnation:
            return
        if self.view.phase is Phase.PAIRING:
            await self.pairing.on_host_lost()
            return
        await self.meet(Fate.HOST_LOST, {}, incarnation)

    async def meet(self, fate: Fate, detail: dict[str, Any], incarnation: Incarnation) -> None:
        """Rule on what has happened to an incarnation, and follow the ruling; an earlier one's fate is passed over."""
        if incarnation is not self.incarnation or self.view.phase is not Phase.RUNNING:
            return
        ruling, self._history = rule(
            fate,
            detail,
            self._history,
            now=self.around.clock.monotonic(),
            ours=self.around.lease_held(),
            backoff=self.around.backoff,
            fraction=self.around.chance.random(),
        )
        if fate is not Fate.CONNECTED:
            self._error(fate.value)
        if ruling.gives_up or ruling.banned_for is not None:
            self._uptime.written_off()
        await self._follow(ruling)
        if fate is Fate.CONNECTED:
            await self._connected()
        else:
            await self.put_liveness(None)

    async def _follow(self, ruling: Ruling) -> None:
        now = self.around.clock.now()
        if ruling.banned_for is not None:
            self.view.banned_until = now + timedelta(seconds=ruling.banned_for)
        if ruling.retry_after is not None:
            self.view.not_before = self.around.clock.monotonic() + ruling.retry_after
        if ruling.forgets:
            await self.end(ruling.reason)
            await self.unlink(ruling.reason)
            return
        if ruling.gives_up:
            self.view.gave_up_version = self.channel.desired_version
        version = self.channel.desired_version if ruling.clears_desired else None
        if ruling.state is self.view.reported is ChannelState.CONNECTED:
            return
        await self.report(ruling.state, ruling.reason, desired_version=version)
        if ruling.stop:
            await self.end(ruling.reason)

    async def _connected(self) -> None:
        await self.put_liveness(self.around.clock.now())
        await self.snapshots.save_first()

    # Steps that pairing and the endings share.

    async def report(self, state: ChannelState, reason: str, *, desired_version: int | None = None) -> None:
        """State the channel's new state as a fact."""
        self.view.reported = state
        linked = is_paired(self.channel, self.view)
        await self.around.facts.channel_state(
            self.channel,
            self.incarnation.id if self.incarnation else self.channel.channel_id,
            state,
            reason,
            phone=self.channel.phone if linked else None,
            lid=self.channel.lid if linked else None,
            ban_expires_at=self.view.banned_until if state is ChannelState.BANNED else None,
            desired_version=desired_version,
        )

    async def give_up(self, state: ChannelState, reason: str) -> None:
        """Report an end of the attempt: nothing is tried again until somebody asks anew."""
        self.view.gave_up_version = self.channel.desired_version
        await self.report(state, reason, desired_version=self.channel.desired_version)

    async def unlink(self, reason: str) -> None:
        """Make the end of the link known: tombstone, number given up, ``logged_out``."""
        await self.around.blocking(self.credentials.bury)
        channel = self.channel
        await self.around.blocking(self.around.channels.release_number, channel.clinic_id, channel.channel_id)
        self.view.paired = False
        if channel.desired is Desired.CONNECTED:
            await self.give_up(ChannelState.LOGGED_OUT, reason)
        else:
            await self.report(ChannelState.LOGGED_OUT, reason)

    def settle_on(self, seat: Seat, phase: Phase) -> Incarnation:
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
        self._set_connected(connected=False)
        self.view.not_connected_since = self.around.clock.monotonic()
        return self.incarnation

    async def end(self, reason: str, *, clean: bool = False, lost_by: str | None = None) -> None:
        """Stop the running incarnation, if there is one, and give its seat back.

        Args:
            reason: for the log.
            clean: write the final snapshot, marked as complete.
            lost_by: for the metrics, when it is to be connected again at once.
        """
        incarnation, self.incarnation = self.incarnation, None
        phase, self.view.phase = self.view.phase, Phase.ABSENT
        self._set_connected(connected=False, cause=lost_by)
        if incarnation is None:
            return
        self.around.logger.info("session ends", extra=self.fields(reason=reason))
        await incarnation.stop()
        if clean and phase is Phase.RUNNING and incarnation.seat.alive:
            await self.snapshots.save(incarnation, clean=True)
        await incarnation.leave()

    def gone(self) -> None:
        """The channel exists no more: end the actor and the sender."""
        self._gone = True
        self._actor.end()
        self.sender.cancel()
        self._on_gone(self.channel.channel_id)

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

    # The end of the process.

    async def shut_down(self, seconds: float) -> None:
        """Let the step under way end, stop the session and leave a clean snapshot.

        Raises:
            TimeoutError: it took longer; what is in the vault is not marked clean.
        """
        self._closing = True
        self._actor.end()
        async with asyncio.timeout(seconds):
            await self.sender.close()
            await self._actor.ended()
            if self.view.phase is Phase.PAIRING:
                await self.pairing.end()
            elif self.view.phase is Phase.RUNNING:
                await self.report(ChannelState.DISCONNECTED, "runner_stopped")
                await self.end("runner_stopped", clean=True)

    @property
    def closing(self) -> bool:
        """Whether the process is about to end."""
        return self._closing

    def _error(self, event_type: str) -> None:
        self._errors.add(self.around.clock.monotonic())
        self.around.metrics.count("Errors", event_type=event_type)

    def _set_connected(self, *, connected: bool, cause: str | None = None) -> None:
        now = self.around.clock.monotonic()
        if self.view.connected and not connected:
            self.view.not_connected_since = now
        self.view.connected = connected
        if connected:
            self.connected.set()
            if recovery := self._uptime.connected(now):
                seconds, lost_by = recovery
                self.around.metrics.observe("RecoverySeconds", seconds, event_type=lost_by)
        else:
            self.connected.clear()
            if (lasted := self._uptime.disconnected(now, cause)) is not None:
                self.around.metrics.observe("ConnectionSeconds", lasted)

    def _moment(self) -> Moment:
        return Moment(self.around.clock.now(), self.around.clock.monotonic())
