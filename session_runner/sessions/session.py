"""A channel's session: an actor that carries its channel towards what is desired of it, one step at a time.

Notices and nudges only post into its mailbox; whatever decides or acts runs in the actor, in order. The two things
others need at once, whether it is connected and which incarnation it is, are set the moment the notice arrives.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any

from recado.channels.model import Channel, ChannelState, Desired
from recado.kernel.errors import ChannelNotFoundError
from session_runner.actors import Actor
from session_runner.health.vitals import SessionVitals
from session_runner.hosts.pool import Seat
from session_runner.outbox.sender import Sender
from session_runner.ports import Surroundings
from session_runner.sessions.convergence import Phase, Step, View, is_paired, next_step
from session_runner.sessions.endings import Endings
from session_runner.sessions.fates import Fates
from session_runner.sessions.incarnations import Incarnation
from session_runner.sessions.pairing import Pairing
from session_runner.sessions.reconnect import Fate
from session_runner.sessions.snapshots import Snapshots
from session_runner.sessions.standing import Standing
from session_runner.sessions.starting import Starting
from session_runner.sessions.stopping import Stopping
from session_runner.vault.credentials import Credentials
from session_runner.vault.vault import VaultFencedError

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
        self._around = around
        self._actor = Actor(
            self._converge,
            failed=self._failed,
            fatal=(VaultFencedError,),
            logger=around.logger,
            fields={"clinic_id": channel.clinic_id, "channel_id": channel.channel_id},
        )
        standing = self._standing = Standing(channel, around, self._actor.post)
        self.sender = Sender(standing, around)
        self.snapshots = Snapshots(standing)
        self._stopping = Stopping(standing, self.snapshots)
        self._fates = Fates(standing, self._stopping, self.snapshots)
        self._starting = Starting(standing, self._stopping, self.snapshots, self._fates)
        self._pairing = Pairing(standing, self.snapshots)
        self._endings = Endings(standing, self._stopping, self.sender, self._let_go)
        self._on_gone = on_gone
        self._gone = False

    # What others call; none of it blocks.

    def begin(self) -> None:
        """Start the actor and the sender."""
        if self.channel.desired is Desired.CONNECTED and is_paired(self.channel, self.view):
            self._standing.uptime.wanted(self._around.clock.monotonic(), "task_started")
        self._actor.begin(f"session {self.channel.channel_id}")
        self.sender.begin()

    def nudge(self) -> None:
        """Have the channel item read again and converged to."""
        self._standing.nudge()

    def on_notice(self, notice: dict[str, Any]) -> None:
        """Take a notice of the host; one of an earlier incarnation is dropped."""
        incarnation = self.incarnation
        if incarnation is None or notice.get("incarnation") != incarnation.id:
            return
        kind = notice["kind"]
        if kind != "session_event":
            self._actor.post(partial(self._pairing.on_notice, kind, notice, incarnation))
            return
        event = str(notice["event"])
        if event == Fate.CONNECTED.value:
            self._standing.set_connected(connected=True)
            self.sender.ring()
        elif event in _DOWN:
            self._standing.set_connected(connected=False, cause=event)
        if event in set(Fate) and self.view.phase is Phase.RUNNING:
            self._actor.post(partial(self._fates.meet, Fate(event), notice, incarnation))
        elif event == "identity_changed":
            self._actor.post(self.snapshots.save_if_due)
        else:
            self._around.logger.info("session event", extra=self.fields(event=event))

    def on_host_lost(self, seat: Seat) -> None:
        """Take note that a host has died."""
        if self.incarnation is not None and self.incarnation.seat is seat:
            self._standing.set_connected(connected=False, cause=Fate.HOST_LOST.value)
            self._actor.post(partial(self._host_lost, self.incarnation))

    def move_away(self, seat: Seat) -> None:
        """Have a session that runs on this host stopped there and begun on another."""
        self._actor.post(partial(self._move_away, seat))

    async def request(self, kind: str, *, seconds: float, **payload: Any) -> dict[str, Any]:
        """Ask something of the running session.

        Raises:
            HostError: see ``session_runner.hosts.host``; NotSentError when there is no running session.
        """
        return await self._standing.request(kind, seconds=seconds, **payload)

    def vitals(self, *, thread_alive: bool, keepalive_failures: int, last_frame_at: datetime | None) -> SessionVitals:
        """Return what the health monitor judges by; see ``Standing.vitals``."""
        return self._standing.vitals(
            thread_alive=thread_alive, keepalive_failures=keepalive_failures, last_frame_at=last_frame_at
        )

    async def put_liveness(self, last_frame_at: datetime | None) -> None:
        """Write the liveness item, with the moment something last came in, if that is news."""
        await self._standing.put_liveness(last_frame_at)

    def fields(self, **more: object) -> dict[str, object]:
        """Return the log fields of this session."""
        return self._standing.fields(**more)

    @property
    def channel(self) -> Channel:
        """The channel item as last read."""
        return self._standing.channel

    @property
    def state(self) -> ChannelState:
        """The channel's state as this process last reported it, or as the item says."""
        return self._standing.state

    @property
    def view(self) -> View:
        """What this process knows of the session."""
        return self._standing.view

    @property
    def connected(self) -> asyncio.Event:
        """Set while WhatsApp has accepted the running incarnation."""
        return self._standing.connected

    @property
    def incarnation(self) -> Incarnation | None:
        """The present run, if there is one."""
        return self._standing.incarnation

    @property
    def credentials(self) -> Credentials:
        """The session's credentials."""
        return self._standing.credentials

    # The actor.

    def _failed(self) -> None:
        self._standing.reread = True

    async def _converge(self) -> float | None:
        standing = self._standing
        if standing.reread and not await self._read_again():
            return None
        for _ in range(_STEPS_A_ROUND):
            step, wait = next_step(standing.channel, standing.view, standing.moment())
            if step is Step.NOTHING:
                return None
            if step is Step.WAIT:
                return wait
            self._around.logger.info("session step", extra=self.fields(step=step.value))
            await self._take(step)
            if self._gone or standing.closing:
                return None
        raise RuntimeError("the session does not converge")

    async def _read_again(self) -> bool:
        standing = self._standing
        standing.reread = False
        before = standing.channel
        try:
            channel = await self._around.blocking(self._around.channels.get, before.clinic_id, before.channel_id)
        except ChannelNotFoundError:
            await self._stopping.end("deleted")
            await self._around.blocking(standing.credentials.wipe)
            self._let_go()
            return False
        standing.channel = channel
        if channel.desired_version != before.desired_version:
            # Somebody asked anew: no waiting for the end of a pause that an earlier failure began.
            self._fates.forget_attempts()
        ending = channel.desired in {Desired.LOGGED_OUT, Desired.DELETED}
        if not ending:
            standing.view.ending_since = None
        elif standing.view.ending_since is None:
            standing.view.ending_since = self._around.clock.monotonic()
        self.sender.stop_after(channel.drain_sequence if ending else None)
        return True

    async def _take(self, step: Step) -> None:
        steps: dict[Step, Callable[[], Awaitable[None]]] = {
            Step.PAIR: self._pairing.begin,
            Step.END_PAIRING: self._pairing.end,
            Step.START: self._starting.begin,
            Step.RESTART: partial(self._stopping.end, "restarted"),
            Step.LOSE_PATIENCE: partial(self._fates.judge, Fate.NOT_CONNECTED, {}),
            Step.STOP: self._stop,
            Step.LOG_OUT: self._endings.log_out,
            Step.FORGET: self._endings.forget,
            Step.DELETE: self._endings.delete,
            Step.REPORT_DISCONNECTED: self._report_disconnected,
            Step.REPORT_LOGGED_OUT: partial(self._standing.report, ChannelState.LOGGED_OUT, "requested"),
        }
        await steps[step]()

    async def _stop(self) -> None:
        self._standing.uptime.written_off()
        await self._stopping.end("requested", clean=True)
        await self._standing.report(ChannelState.DISCONNECTED, "requested")

    async def _report_disconnected(self) -> None:
        if self.channel.desired is Desired.CONNECTED:
            await self._standing.give_up(ChannelState.DISCONNECTED, "not_paired")
        else:
            await self._standing.report(ChannelState.DISCONNECTED, "requested")

    async def _move_away(self, seat: Seat) -> None:
        if self.view.phase is Phase.RUNNING and self.incarnation is not None and self.incarnation.seat is seat:
            await self._stopping.end("host_recycled", lost_by="host_recycled")

    async def _host_lost(self, incarnation: Incarnation) -> None:
        if incarnation is not self.incarnation:
            return
        if self.view.phase is Phase.PAIRING:
            await self._pairing.on_host_lost()
            return
        await self._fates.meet(Fate.HOST_LOST, {}, incarnation)

    def _let_go(self) -> None:
        """The channel exists no more: end the actor and the sender."""
        self._gone = True
        self._actor.end()
        self.sender.cancel()
        self._on_gone(self.channel.channel_id)

    # The end of the process.

    async def shut_down(self, seconds: float) -> None:
        """Let the step under way end, stop the session and leave a clean snapshot.

        Raises:
            TimeoutError: it took longer; what is in the vault is not marked clean.
        """
        self._standing.closing = True
        self._actor.end()
        async with asyncio.timeout(seconds):
            await self.sender.close()
            await self._actor.ended()
            if self.view.phase is Phase.PAIRING:
                await self._pairing.end()
            elif self.view.phase is Phase.RUNNING:
                await self._standing.report(ChannelState.DISCONNECTED, "runner_stopped")
                await self._stopping.end("runner_stopped", clean=True)
