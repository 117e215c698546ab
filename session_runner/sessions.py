"""A channel's session: an actor that carries its channel towards what is desired of it, one step at a time.

Notices and nudges only post into its mailbox; whatever decides or acts runs in the actor, in order. The two things
others need at once, whether it is connected and which incarnation it is, are set the moment the notice arrives.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from recado.channels.model import Channel, ChannelState, Desired
from recado.kernel.errors import ChannelNotFoundError
from session_runner.convergence import Moment, Phase, Step, View, next_step
from session_runner.credentials import Credentials, Found
from session_runner.endings import Endings
from session_runner.host_errors import HostError, NotSentError
from session_runner.host_pool import Seat
from session_runner.incarnations import Incarnation
from session_runner.outbox import Sender
from session_runner.pairing import Pairing
from session_runner.ports import Surroundings
from session_runner.reconnect import Fate, History, Ruling, rule
from session_runner.vault import VaultBusyError, VaultFencedError
from session_runner.vault_format import VaultDamagedError

RETRY_SECONDS = (1.0, 30.0)
SAVE_GAP_SECONDS = 60.0
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
        self._endings = Endings(self)
        self._on_gone = on_gone
        self._history = History()
        self._mailbox: asyncio.Queue[Callable[[], Awaitable[None]] | None] = asyncio.Queue()
        self._reread = False
        self._closing = False
        self._gone = False
        self._starting: asyncio.Task[None] | None = None
        self._actor: asyncio.Task[None] | None = None
        self._saved_at = 0.0
        self._fingerprint: str | None = None
        self._last_frame_at: datetime | None = None

    # What others call; none of it blocks.

    def begin(self) -> None:
        """Start the actor and the sender."""
        self._actor = asyncio.create_task(self._run(), name=f"session {self.channel.channel_id}")
        self.sender.begin()

    def nudge(self) -> None:
        """Have the channel item read again and converged to."""
        self._reread = True
        self._mailbox.put_nowait(None)

    def post(self, task: Callable[[], Awaitable[None]]) -> None:
        """Have something done by the actor."""
        self._mailbox.put_nowait(task)

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
            self._set_connected(connected=False)
        if event in set(Fate) and self.view.phase is Phase.RUNNING:
            self.post(partial(self._meet, Fate(event), notice, self.incarnation))
        elif event == "identity_changed":
            self.post(self._save_if_due)
        else:
            self.around.logger.info("session event", extra=self.fields(event=event))

    def on_host_lost(self, seat: Seat) -> None:
        """Take note that a host has died."""
        if self.incarnation is not None and self.incarnation.seat is seat:
            self._set_connected(connected=False)
            self.post(partial(self._host_lost, self.incarnation))

    def on_fingerprint(self, fingerprint: str | None) -> None:
        """Take note of what the credentials looked like a moment ago."""
        if fingerprint is not None and fingerprint != self._fingerprint and self.view.connected:
            self.post(self._save_if_due)

    async def request(self, kind: str, *, seconds: float, **payload: Any) -> dict[str, Any]:
        """Ask something of the running session.

        Raises:
            HostError: see ``session_runner.hosts``; NotSentError when there is no running session.
        """
        if self.incarnation is None or self.view.phase is not Phase.RUNNING:
            raise NotSentError("not_running", "the session does not run", {})
        return await self.incarnation.request(kind, seconds=seconds, **payload)

    @property
    def state(self) -> ChannelState:
        """The channel's state as this process last reported it, or as the item says."""
        return self.view.reported or self.channel.state

    def fields(self, **more: object) -> dict[str, object]:
        """Return the log fields of this session."""
        return {"clinic_id": self.channel.clinic_id, "channel_id": self.channel.channel_id, **more}

    # The actor.

    async def _run(self) -> None:
        wait: float | None = 0.0
        retry = RETRY_SECONDS[0]
        while not (self._closing or self._gone):
            task = await self._following(wait)
            try:
                if task is not None:
                    await task()
                wait = await self._converge() if self._mailbox.empty() else 0.0
                retry = RETRY_SECONDS[0]
            except VaultFencedError:
                self.around.logger.exception("a newer owner holds the session", extra=self.fields())
                await self._let_go()
                return
            except Exception:
                self.around.logger.exception("session step failed, trying again", extra=self.fields())
                wait, retry = retry, min(retry * 2, RETRY_SECONDS[1])
                self._reread = True

    async def _following(self, wait: float | None) -> Callable[[], Awaitable[None]] | None:
        try:
            async with asyncio.timeout(wait):
                return await self._mailbox.get()
        except TimeoutError:
            return None

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
            if self._gone:
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
            Step.START: self._start,
            Step.RESTART: partial(self.end, "restarted"),
            Step.STOP: self._stop,
            Step.LOG_OUT: self._endings.log_out,
            Step.FORGET: self._endings.forget,
            Step.DELETE: self._endings.delete,
            Step.REPORT_DISCONNECTED: partial(self._report_disconnected),
            Step.REPORT_LOGGED_OUT: partial(self.report, ChannelState.LOGGED_OUT, "requested"),
        }
        await steps[step]()

    async def _start(self) -> None:
        try:
            found = await self.around.blocking(self.credentials.restore)
        except VaultDamagedError as error:
            self.around.logger.exception("the vault's object cannot be used", extra=self.fields(cause=str(error)))
            await self.give_up(ChannelState.FAILED, "vault_damaged")
            return
        if found is Found.NOTHING:
            await self.unlink("credentials_lost")
            return
        if found is Found.RESTORED:
            self._saved_at = 0.0
        if self.view.reported is not ChannelState.CONNECTING:
            await self.report(ChannelState.CONNECTING, "")
        await self.around.start_pacer.pass_through()
        if self._closing:
            return
        seat = await self.around.pool.place(self.channel.channel_id)
        self.settle_on(seat, Phase.RUNNING)
        self._starting = asyncio.create_task(self._await_start(self.incarnation))

    async def _await_start(self, incarnation: Incarnation | None) -> None:
        if incarnation is None:
            return
        try:
            await incarnation.start(self.credentials.database)
        except HostError as error:
            if error.code != "host_gone" and incarnation.seat.alive:
                self.around.logger.warning("session did not start", extra=self.fields(code=error.code))
                self.post(partial(self._start_failed, error.code, incarnation))

    async def _start_failed(self, code: str, incarnation: Incarnation) -> None:
        if incarnation is not self.incarnation:
            return
        if code == "not_paired":
            await self.end("credentials_lost")
            await self.unlink("credentials_lost")
        else:
            await self._meet(Fate.START_FAILED, {"reason": f"start_{code}"}, incarnation)

    async def _stop(self) -> None:
        await self.end("requested", clean=True)
        await self.report(ChannelState.DISCONNECTED, "requested")

    async def _report_disconnected(self) -> None:
        if self.channel.desired is Desired.CONNECTED:
            await self.give_up(ChannelState.DISCONNECTED, "not_paired")
        else:
            await self.report(ChannelState.DISCONNECTED, "requested")

    async def _host_lost(self, incarnation: Incarnation) -> None:
        if incarnation is not self.incarnation:
            return
        if self.view.phase is Phase.PAIRING:
            await self.pairing.on_host_lost()
            return
        await self._meet(Fate.HOST_LOST, {}, incarnation)

    async def _meet(self, fate: Fate, detail: dict[str, Any], incarnation: Incarnation) -> None:
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
        if self._saved_at == 0.0:
            await self._save()

    # Steps that pairing and the endings share.

    async def report(self, state: ChannelState, reason: str, *, desired_version: int | None = None) -> None:
        """State the channel's new state as a fact."""
        self.view.reported = state
        await self.around.facts.channel_state(
            self.channel,
            self.incarnation.id if self.incarnation else self.channel.channel_id,
            state,
            reason,
            phone=self.channel.phone,
            lid=self.channel.lid,
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
        self.view.started_at = self.around.clock.now()
        self.view.banned_until = None
        self._set_connected(connected=False)
        self.view.not_connected_since = self.around.clock.monotonic()
        return self.incarnation

    async def end(self, reason: str, *, clean: bool = False) -> None:
        """Stop the running incarnation, if there is one, and give its seat back.

        Args:
            reason: for the log.
            clean: write the final snapshot, marked as complete.
        """
        incarnation, self.incarnation = self.incarnation, None
        phase, self.view.phase = self.view.phase, Phase.ABSENT
        self._set_connected(connected=False)
        if incarnation is None:
            return
        self.around.logger.info("session ends", extra=self.fields(reason=reason))
        await incarnation.stop()
        if clean and phase is Phase.RUNNING and incarnation.seat.alive:
            await self.save(incarnation, clean=True)
        await incarnation.leave()

    def gone(self) -> None:
        """The channel exists no more: end the actor and the sender."""
        self._gone = True
        self.sender.cancel()
        self._on_gone(self.channel.channel_id)

    async def put_liveness(self, last_frame_at: datetime | None) -> None:
        """Write the liveness item, with the moment something last came in, if that is news."""
        channel = self.channel
        self._last_frame_at = last_frame_at or self._last_frame_at
        await self.around.blocking(
            self.around.channels.put_liveness,
            channel.clinic_id,
            channel.channel_id,
            connected=self.view.connected,
            last_frame_at=self._last_frame_at,
            epoch=self.around.epoch,
        )

    # The end of the process.

    async def shut_down(self, seconds: float) -> None:
        """Let the step under way end, stop the session and leave a clean snapshot."""
        self._closing = True
        self._mailbox.put_nowait(None)
        async with asyncio.timeout(seconds):
            await self.sender.close()
            if self._actor:
                await asyncio.wait({self._actor})
            if self.view.phase is Phase.PAIRING:
                await self.pairing.end()
            elif self.view.phase is Phase.RUNNING:
                await self.report(ChannelState.DISCONNECTED, "runner_stopped")
                await self.end("runner_stopped", clean=True)

    @property
    def closing(self) -> bool:
        """Whether the process is about to end."""
        return self._closing

    async def _let_go(self) -> None:
        self.sender.cancel()
        if self.incarnation is not None:
            await self.incarnation.stop()
            await self.incarnation.leave()

    async def _save_if_due(self) -> None:
        if self.around.clock.monotonic() - self._saved_at >= SAVE_GAP_SECONDS:
            await self._save()

    async def _save(self) -> None:
        if self.incarnation is not None and self.view.phase is Phase.RUNNING and self.around.lease_held():
            await self.save(self.incarnation, clean=False)

    async def save(self, incarnation: Incarnation, *, clean: bool) -> None:
        """Put a snapshot into the vault. When that fails, the live file goes on and the next occasion tries again.

        Raises:
            VaultFencedError: a newer owner has written.
        """
        path = self.credentials.snapshot_path()
        try:
            fingerprint = await incarnation.snapshot(path)
            await self.around.blocking(self.credentials.save, path, clean=clean)
        except HostError as error:
            self.around.logger.warning("no snapshot was taken", extra=self.fields(code=error.code))
        except (ClientError, BotoCoreError, VaultBusyError, VaultDamagedError):
            self.around.logger.exception("a snapshot was not saved", extra=self.fields())
        else:
            self._saved_at = self.around.clock.monotonic()
            self._fingerprint = fingerprint

    def _set_connected(self, *, connected: bool) -> None:
        if self.view.connected and not connected:
            self.view.not_connected_since = self.around.clock.monotonic()
        self.view.connected = connected
        if connected:
            self.connected.set()
        else:
            self.connected.clear()

    def _moment(self) -> Moment:
        return Moment(self.around.clock.now(), self.around.clock.monotonic())
