"""The runner's host processes: which session lives where, one spare of each kind kept warm, the dead replaced.

A spare makes the difference when a host dies (its sessions need no new process) and when somebody waits for a QR.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from aws_lambda_powertools import Logger

from session_runner.health.metrics import Metrics
from session_runner.hosts.host import HostExit

REFILL_SECONDS = 1.0
# Their sessions were stopped before; what does not end now would eat the time that handing on the journals needs.
STOP_SECONDS = 5.0


class RunningHost(Protocol):
    """What the runner needs of a host process (``session_runner.hosts.host.Host``)."""

    @property
    def exited(self) -> asyncio.Future[HostExit]:
        """Done once the process has ended."""
        ...

    @property
    def pid(self) -> int:
        """The process id."""
        ...

    async def request(self, kind: str, *, timeout: float | None = None, **payload: Any) -> dict[str, Any]:  # noqa: ASYNC109
        """Ask the host for something."""
        ...

    def kill(self) -> None:
        """Kill the process at once."""
        ...

    async def stop(self, timeout: float = 30.0) -> HostExit:  # noqa: ASYNC109
        """Let the process end, then kill it."""
        ...

    def ended_within(self, seconds: float) -> bool:
        """Wait for the process to end; from any thread."""
        ...


@dataclass(eq=False, slots=True)
class Seat:
    """A host in the pool and the channels that live on it.

    Attributes:
        host: the process.
        journal_path: the journal it writes.
        pairing: whether it only links a device.
        started_at: when it was ready, in monotonic seconds.
        channels: the sessions on it.
        draining: it is to be replaced and takes no further session.
        unanswered: how often in a row it did not say how it is.
        memory_bytes: its proportional set size, as last measured.
    """

    host: RunningHost
    journal_path: Path
    pairing: bool
    started_at: float = field(default_factory=time.monotonic)
    channels: set[str] = field(default_factory=set)
    draining: bool = False
    unanswered: int = 0
    memory_bytes: int = 0

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return not self.host.exited.done()

    @property
    def is_spare(self) -> bool:
        """Whether it waits, empty, for its first session."""
        return not self.channels and not self.draining


class StartHost(Protocol):
    """How a host process comes to be."""

    async def __call__(
        self, *, on_notice: Callable[[dict[str, Any]], None], journal_path: Path, pairing: bool
    ) -> RunningHost:
        """Start one and return when it is ready."""
        ...


class HostPool:
    """Keeps host processes and places sessions on them.

    Args:
        start: starts one process.
        journals: the directory of the hosts' journals.
        watch: begins to publish a journal; retire: the journal's writer is gone; written: it has new rows.
        on_notice: gets every notice that names a channel.
        on_lost: gets each channel whose host died with it.
        sessions_per_host: how many sessions one process may hold.
        spares: how many idle processes of each kind are kept ready.
        logger: for hosts that die or do not start.
        metrics: for the same.
    """

    def __init__(
        self,
        start: StartHost,
        *,
        journals: Path,
        watch: Callable[[Path], Awaitable[object]],
        retire: Callable[[Path], None],
        written: Callable[[Path], None],
        on_notice: Callable[[dict[str, Any]], None],
        on_lost: Callable[[str, Seat], None],
        sessions_per_host: int,
        spares: int,
        logger: Logger,
        metrics: Metrics,
    ) -> None:
        self._start = start
        self._journals = journals
        self._watch = watch
        self._retire = retire
        self._written = written
        self._on_notice = on_notice
        self._on_lost = on_lost
        self._sessions_per_host = sessions_per_host
        self._spares = spares
        self._logger = logger
        self._metrics = metrics
        self._seats: list[Seat] = []
        self._launching = {False: asyncio.Lock(), True: asyncio.Lock()}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def seats(self) -> list[Seat]:
        """The hosts that run."""
        return [seat for seat in self._seats if seat.alive]

    async def place(self, channel_id: str) -> Seat:
        """Return a host with room for this session, which now counts there."""
        seat = self._with_room()
        if seat is None:
            async with self._launching[False]:
                seat = self._with_room() or await self._launch(pairing=False)
                seat.channels.add(channel_id)
        seat.channels.add(channel_id)
        self._refill(pairing=False)
        return seat

    async def place_pairing(self, channel_id: str) -> Seat:
        """Return a disposable host for pairing this channel."""
        async with self._launching[True]:
            free = [seat for seat in self.seats if seat.pairing and seat.is_spare and seat.alive]
            seat = free[0] if free else await self._launch(pairing=True)
            seat.channels.add(channel_id)
        self._refill(pairing=True)
        return seat

    def leave(self, channel_id: str, seat: Seat) -> None:
        """Take the session off its host's books; a disposable host is killed."""
        seat.channels.discard(channel_id)
        if seat.pairing:
            # Until the process has ended it must not look like one that waits for its first pairing.
            seat.draining = True
            seat.host.kill()

    def drain(self, seat: Seat) -> None:
        """Place no more sessions on this host: it is to be replaced."""
        seat.draining = True
        self._refill(pairing=False)

    def undrain(self, seat: Seat) -> None:
        """Use this host again after all."""
        seat.draining = False

    async def dismiss(self, seat: Seat) -> None:
        """End a drained host that no session lives on any more."""
        self._metrics.count("HostsRecycled")
        await seat.host.stop(STOP_SECONDS)

    def warm_up(self) -> None:
        """Start the spares."""
        for pairing in (False, True):
            self._refill(pairing=pairing)

    def fenced(self, seconds: float) -> None:
        """See every host end, because the lease is lost: by itself within so many seconds, else killed.

        Blocks; for any thread. The hosts look at the deadline themselves (``session_runner.host.fence``).
        """
        self._closed = True
        latest = time.monotonic() + seconds
        for seat in list(self._seats):
            if not seat.host.ended_within(latest - time.monotonic()):
                self._logger.error("a host did not end at the deadline and is killed", extra={"pid": seat.host.pid})
                seat.host.kill()

    async def close(self) -> None:
        """End every host in order."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(seat.host.stop(STOP_SECONDS) for seat in self.seats), return_exceptions=True)

    async def _launch(self, *, pairing: bool) -> Seat:
        path = self._journals / f"host-{uuid.uuid4().hex}.journal"
        await self._watch(path)

        def notice(message: dict[str, Any]) -> None:
            if message["kind"] == "journal_written":
                self._written(path)
            elif message["kind"] == "journal_failed":
                self._logger.error("a host cannot write its journal", extra={"cause": message.get("error")})
            else:
                self._on_notice(message)

        try:
            host = await self._start(on_notice=notice, journal_path=path, pairing=pairing)
        except BaseException:
            self._retire(path)
            raise
        seat = Seat(host, path, pairing)
        self._seats.append(seat)
        host.exited.add_done_callback(lambda _: self._ended(seat))
        if self._closed:
            host.kill()
        return seat

    def _ended(self, seat: Seat) -> None:
        if seat in self._seats:
            self._seats.remove(seat)
        self._retire(seat.journal_path)
        ended = seat.host.exited.result()
        dismissed = seat.draining and not seat.channels
        if not self._closed and not dismissed and (seat.channels or not seat.pairing):
            self._metrics.count("HostsDied")
            self._logger.error(
                "a host has died",
                extra={
                    "pid": seat.host.pid,
                    "status": ended.returncode,
                    "sessions": len(seat.channels),
                    "causes": ended.causes,
                    "last_lines": ended.last_lines[-20:],
                },
            )
        for channel_id in sorted(seat.channels):
            self._on_lost(channel_id, seat)
        self._refill(pairing=seat.pairing)

    def _refill(self, *, pairing: bool) -> None:
        if not self._closed:
            task = asyncio.get_running_loop().create_task(self._keep_spares(pairing=pairing))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _keep_spares(self, *, pairing: bool) -> None:
        # Not at once: when a host has died, its sessions need the processor more than the next spare does.
        await asyncio.sleep(REFILL_SECONDS if self._seats else 0)
        while not self._closed:
            async with self._launching[pairing]:
                if sum(1 for seat in self.seats if seat.pairing is pairing and seat.is_spare) >= self._spares:
                    return
                try:
                    await self._launch(pairing=pairing)
                except Exception:
                    self._logger.exception("a spare host did not start, trying again")
                else:
                    continue
            await asyncio.sleep(REFILL_SECONDS * 5)

    def _with_room(self) -> Seat | None:
        # The fullest first: few processes, and a spare stays a spare for as long as there is room elsewhere.
        rooms = [
            seat
            for seat in self.seats
            if not seat.pairing and not seat.draining and len(seat.channels) < self._sessions_per_host
        ]
        return max(rooms, key=lambda seat: len(seat.channels), default=None)
