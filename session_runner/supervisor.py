"""The supervisor of a shard: takes the lease, carries every channel of the shard, and ends in order.

Start: lease, what former runs left in their journals, then the channels. End (SIGTERM, SIGINT): no more commands,
senders finish their message, sessions are stopped and saved clean, the journals are emptied, the lease given back.
"""

import asyncio
import os
import secrets
import shutil
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers

from recado.aws import clients
from recado.aws.logging import logger
from recado.channels import service as channels
from recado.channels.model import Channel, ChannelState
from recado.contacts import service as contacts
from recado.kernel.clock import SystemClock
from recado.kernel.errors import ChannelNotFoundError, ServiceUnavailableError
from recado.messages import service as messages
from recado.messages.gate import OpenGate
from recado.shards.lease import ShardLease
from session_runner.blocking import Blocking
from session_runner.commands import CommandQueue
from session_runner.deadline import LeaseDeadline
from session_runner.dispatch import Dispatch
from session_runner.facts import Facts
from session_runner.health import Health
from session_runner.host_pool import HostPool, Seat
from session_runner.hosts import Host
from session_runner.lease import LeaseKeeper
from session_runner.liveness import Liveness
from session_runner.measuring import Measuring
from session_runner.metrics import Metrics
from session_runner.pacing import Pacer
from session_runner.ports import Surroundings
from session_runner.publication import Publication
from session_runner.reconnect import Backoff
from session_runner.sessions import Session
from session_runner.settings import RunnerSettings
from session_runner.vault import Vault

FENCED_STATUS = 70
BEAT_SECONDS = 1.0


class Supervisor:
    """Runs one shard.

    Args:
        settings: what the environment says.
    """

    def __init__(self, settings: RunnerSettings) -> None:
        self._settings = settings
        self._logger = logger("runner")
        self._logger.append_keys(shard_id=settings.shard_id)
        # What hosts write on their standard error reaches us through the standard logging of their handle.
        copy_config_to_registered_loggers(self._logger, log_level="WARNING", include={"session_runner.hosts"})
        self._clock = SystemClock()
        self._metrics = Metrics(settings.stage, settings.shard_id)
        self._blocking = Blocking(settings.blocking_calls)
        self._sessions: dict[str, Session] = {}
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._state = "starting"
        self._directories = Directories(settings.runner_directory)
        deadline = LeaseDeadline(self._directories.deadline)
        lease = ShardLease(settings.shard_id, f"{os.uname().nodename}-{secrets.token_hex(8)}", self._clock)
        self.keeper = LeaseKeeper(lease, deadline, self._fenced, self._logger)
        self._pool: HostPool | None = None
        self._publication: Publication | None = None
        self._around: Surroundings | None = None
        self._liveness: Liveness | None = None

    def stop(self) -> None:
        """Have ``run`` end in order."""
        self._stopping.set()

    async def run(self) -> int:
        """Run the shard until told to stop; return the exit status."""
        health = Health(self._settings.health_host, self._settings.health_port, self.report)
        self._tasks.append(asyncio.create_task(self._beat(health)))
        self._logger.info("runner starts", extra={"health_port": health.port})
        try:
            if await self._or_stopped(self.keeper.acquire()):
                keeping = asyncio.create_task(self.keeper.keep())
                self._tasks.append(keeping)
                await self._begin()
                await self._stopping.wait()
                await self._end()
                keeping.cancel()
                await self.keeper.release()
        finally:
            for task in self._tasks:
                task.cancel()
            health.close()
            self._blocking.close()
        self._logger.info("runner stopped")
        return 0

    async def _begin(self) -> None:
        settings, epoch = self._settings, self.keeper.epoch
        self._publication = Publication(settings, epoch, self._clock, self._logger, self._metrics)
        publisher = self._publication.publisher
        await self._publication.begin(self._directories.left_journals())
        own = self._directories.journals / f"supervisor-{epoch}-{secrets.token_hex(4)}.journal"
        journal = await publisher.watch(own)
        pool = self._pool = HostPool(
            self._start_host,
            journals=self._directories.journals,
            watch=publisher.watch,
            retire=publisher.retire,
            written=publisher.wake,
            on_notice=self._on_notice,
            on_lost=self._on_lost,
            sessions_per_host=settings.sessions_per_host,
            spares=settings.spare_hosts,
            logger=self._logger,
            metrics=self._metrics,
        )
        around = self._around = Surroundings(
            shard_id=settings.shard_id,
            epoch=epoch,
            channels=channels,
            messages=messages,
            contacts=contacts,
            gate=OpenGate(),
            facts=Facts(journal, partial(publisher.wake, own), Blocking(1, "journal"), self._clock, self._logger),
            vault=Vault(clients.s3(), bucket=settings.vault_bucket, kms_key_id=settings.kms_key_id, epoch=epoch),
            pool=pool,
            blocking=self._blocking,
            clock=self._clock,
            logger=self._logger,
            directory=self._directories.sessions,
            lease_held=self.keeper.held,
            backoff=Backoff(*settings.connect_backoff_seconds),
            start_pacer=Pacer(settings.session_starts_per_second, burst=10),
            send_gap=settings.send_gap_seconds,
            metrics=self._metrics,
            reread_seconds=settings.reread_seconds,
        )
        pool.warm_up()
        await self._read_channels_at_last()
        dispatch = Dispatch(self._find, around)
        commands = CommandQueue(
            clients.long_polling_sqs(),
            queue_url=settings.command_queue_url,
            handlers=dispatch.handlers(),
            blocking=Blocking(1, "commands"),
            wait_seconds=settings.command_wait_seconds,
            clock=self._clock,
            logger=self._logger,
        )
        self._liveness = Liveness(lambda: self._sessions, pool, around, settings.liveness_seconds, settings.host_limits)
        measuring = Measuring(self._metrics, self._states, pool, publisher, self._clock)
        self._tasks += [
            asyncio.create_task(measuring.run(), name="measuring"),
            asyncio.create_task(commands.run(), name="commands"),
            asyncio.create_task(self._liveness.run(), name="liveness"),
            asyncio.create_task(self._reread(), name="reread"),
        ]
        self._state = "running"
        self._logger.info("runner carries its shard", extra={"epoch": epoch, "channels": len(self._sessions)})

    async def _start_host(self, *, on_notice: Any, journal_path: Path, pairing: bool) -> Host:
        host = Host(on_notice)
        try:
            await host.start(
                directory=self._directories.sessions,
                journal_path=journal_path,
                environment=self._settings.whatsapp_environment,
                pairing=pairing,
                sessions=self._settings.sessions_per_host,
                deadline_path=self._directories.deadline,
            )
        except BaseException:
            host.kill()
            raise
        return host

    # Channels and their sessions.

    async def _read_channels(self) -> None:
        for channel in await self._blocking(channels.list_for_shard, self._settings.shard_id):
            if channel.channel_id in self._sessions:
                self._sessions[channel.channel_id].nudge()
            else:
                self._carry(channel)

    async def _read_channels_at_last(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._read_channels()
            except ServiceUnavailableError:
                self._logger.warning("the shard's channels could not be read, trying again")
                await asyncio.sleep(BEAT_SECONDS)
            else:
                return

    async def _find(self, clinic_id: str, channel_id: str) -> Session | None:
        if channel_id not in self._sessions:
            try:
                channel = await self._blocking(channels.get, clinic_id, channel_id)
            except ChannelNotFoundError:
                return None
            if channel.shard_id != self._settings.shard_id:
                return None
            if channel_id not in self._sessions:
                self._carry(channel)
        session = self._sessions[channel_id]
        return session if session.channel.clinic_id == clinic_id else None

    def _carry(self, channel: Channel) -> None:
        if self._around is not None and not self._stopping.is_set():
            session = self._sessions[channel.channel_id] = Session(channel, self._around, self._let_go)
            session.begin()
            session.nudge()

    def _let_go(self, channel_id: str) -> None:
        self._sessions.pop(channel_id, None)

    async def _reread(self) -> None:
        while True:
            await asyncio.sleep(self._settings.reread_seconds)
            try:
                await self._read_channels()
            except Exception:
                self._logger.exception("the shard's channels could not be read again")

    def _on_notice(self, notice: dict[str, Any]) -> None:
        session = self._sessions.get(str(notice.get("channel_id")))
        if session is not None:
            session.on_notice(notice)

    def _on_lost(self, channel_id: str, seat: Seat) -> None:
        session = self._sessions.get(channel_id)
        if session is not None:
            session.on_host_lost(seat)

    # The end.

    async def _end(self) -> None:
        self._state = "stopping"
        self._logger.info("runner stops", extra={"sessions": len(self._sessions)})
        for task in self._tasks:
            if task.get_name() in {"commands", "liveness", "reread"}:
                task.cancel()
        sessions = list(self._sessions.values())
        seconds = self._settings.shutdown_seconds
        results = await asyncio.gather(*(session.shut_down(seconds) for session in sessions), return_exceptions=True)
        for session, result in zip(sessions, results, strict=True):
            if isinstance(result, BaseException):
                self._logger.error(
                    "session not ended cleanly", extra=session.fields(cause=type(result).__name__), exc_info=result
                )
        if self._pool is not None:
            await self._pool.close()
        if self._publication is not None:
            await self._publication.end()
        self._metrics.flush()

    def _fenced(self, why: str) -> None:
        # Called from any thread. No snapshot, no farewell: another task may own the sessions by now. Only what was seen
        # on WhatsApp is handed on, by this thread: the loop may be what hangs.
        self._logger.critical("lease lost, ending at once", extra={"cause": why})
        if self._pool is not None:
            self._pool.kill_all()
        if self._publication is not None:
            self._publication.last_words(self._directories.journals)
        os._exit(FENCED_STATUS)

    async def _or_stopped(self, work: Any) -> bool:
        task = asyncio.ensure_future(work)
        stopped = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if task.done():
            task.result()
            return True
        task.cancel()
        return False

    async def _beat(self, health: Health) -> None:
        while True:
            health.beat()
            await asyncio.sleep(BEAT_SECONDS)

    def _states(self) -> list[ChannelState]:
        return [session.state for session in self._sessions.values()]

    def report(self) -> dict[str, Any]:
        """Return what the health check says."""
        sessions = list(self._sessions.values())
        seats = self._pool.seats if self._pool else []
        holds = self._around is not None
        return {
            "status": self._state,
            "shard_id": self._settings.shard_id,
            "epoch": self._around.epoch if holds and self._around else None,
            "sessions": dict(Counter(session.state.value for session in sessions)),
            "hosts": [
                {"pid": seat.host.pid, "pairing": seat.pairing, "sessions": len(seat.channels)} for seat in seats
            ],
            "degraded": self._liveness.degraded if self._liveness else {},
            "journal_pending": self._publication.publisher.pending if self._publication else 0,
        }


class Directories:
    """Where this task keeps files. Session files of a former run are removed: the vault knows whether they are stale.

    Args:
        root: the runner's directory.
    """

    def __init__(self, root: Path) -> None:
        self.sessions = root / "sessions"
        self.journals = root / "journals"
        self.deadline = root / "lease-deadline"
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(self.sessions, ignore_errors=True)
        for directory in (self.sessions, self.journals):
            directory.mkdir(mode=0o700, exist_ok=True)

    def left_journals(self) -> list[Path]:
        """Return the journals that former runs left on this disk."""
        return sorted(self.journals.glob("*.journal"))
