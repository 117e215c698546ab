"""The supervisor of a shard: takes the lease, carries every channel of the shard, and ends in order.

Start: lease, what former runs left in their journals, then the channels. End (SIGTERM, SIGINT): no more commands,
senders finish their message, sessions are stopped and saved clean, the journals are emptied, the lease given back.
"""

import asyncio
import os
import secrets
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers

from recado.aws import clients
from recado.aws.logging import logger
from recado.channels import service as channels
from recado.contacts import service as contacts
from recado.kernel.clock import SystemClock
from recado.messages import service as messages
from recado.shards.lease import ShardLease
from session_runner.blocking import Blocking
from session_runner.carrying import Carrying
from session_runner.commands.dispatch import Dispatch
from session_runner.commands.polling import CommandQueue
from session_runner.directories import Directories
from session_runner.health.endpoint import Health
from session_runner.health.liveness import Liveness
from session_runner.health.measuring import Measuring
from session_runner.health.metrics import Metrics
from session_runner.hosts.host import Host
from session_runner.hosts.pool import HostPool
from session_runner.journal.facts import Facts
from session_runner.lease.deadline import LeaseDeadline
from session_runner.lease.keeping import LeaseKeeper
from session_runner.lease.task_evidence import EcsEvidence, owner_of, place_of
from session_runner.ports import Surroundings
from session_runner.publishing.publication import Publication
from session_runner.sessions.reconnect import Backoff
from session_runner.sessions.start_line import StartLine
from session_runner.settings import RunnerSettings
from session_runner.vault.vault import Vault

FENCED_STATUS = 70
# Longer than hosts grant themselves; and no socket is open any more when, ten seconds after our deadline, another task
# may begin.
FENCED_HOSTS_SECONDS = 5.0
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
        copy_config_to_registered_loggers(self._logger, log_level="WARNING", include={"session_runner.hosts.host"})
        self._clock = SystemClock()
        self._metrics = Metrics(settings.stage, settings.shard_id)
        self._blocking = Blocking(settings.blocking_calls)
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._state = "starting"
        self._directories = Directories(settings.runner_directory)
        deadline = LeaseDeadline(self._directories.deadline)
        owner = owner_of(place_of(settings.task_metadata_uri, self._logger))
        lease = ShardLease(settings.shard_id, owner, self._clock)
        evidence = EcsEvidence(clients.ecs(), self._clock.monotonic, self._logger)
        self.keeper = LeaseKeeper(lease, deadline, self._fenced, self._logger, evidence)
        self._pool: HostPool | None = None
        self._publication: Publication | None = None
        self._around: Surroundings | None = None
        self._liveness: Liveness | None = None
        self._carrying: Carrying | None = None

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
        carrying = self._carrying = Carrying(self._surroundings)
        pool = self._pool = HostPool(
            self._start_host,
            journals=self._directories.journals,
            watch=publisher.watch,
            retire=publisher.retire,
            written=publisher.wake,
            on_notice=carrying.on_notice,
            on_lost=carrying.on_lost,
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
            gate=messages.ReachGate(settings.send_limits, self._clock),
            facts=Facts(
                journal,
                partial(publisher.wake, own),
                Blocking(1, "journal"),
                self._clock,
                self._logger,
                lease_held=self.keeper.held,
            ),
            vault=Vault(clients.s3(), bucket=settings.vault_bucket, kms_key_id=settings.kms_key_id, epoch=epoch),
            pool=pool,
            blocking=self._blocking,
            clock=self._clock,
            logger=self._logger,
            directory=self._directories.sessions,
            lease_held=self.keeper.held,
            backoff=Backoff(*settings.connect_backoff_seconds),
            start_line=StartLine(settings.session_starts_per_second, burst=10),
            connect_attempts=settings.connect_attempts,
            connect_patience=settings.connect_patience_seconds,
            limits=settings.send_limits,
            metrics=self._metrics,
            reread_seconds=settings.reread_seconds,
        )
        pool.warm_up()
        await self._or_stopped(carrying.begin())
        dispatch = Dispatch(carrying.find, around)
        commands = CommandQueue(
            clients.long_polling_sqs(),
            queue_url=settings.command_queue_url,
            handlers=dispatch.handlers(),
            blocking=Blocking(1, "commands"),
            wait_seconds=settings.command_wait_seconds,
            clock=self._clock,
            logger=self._logger,
        )
        self._liveness = Liveness(
            lambda: carrying.sessions, pool, around, settings.liveness_seconds, settings.monitor_limits
        )
        measuring = Measuring(
            self._metrics,
            lambda: carrying.states,
            pool,
            publisher,
            self._clock,
            wanted=lambda: carrying.wanted_states,
        )
        self._tasks += [
            asyncio.create_task(measuring.run(), name="measuring"),
            asyncio.create_task(commands.run(), name="commands"),
            asyncio.create_task(self._liveness.run(), name="liveness"),
            asyncio.create_task(carrying.reread(), name="reread"),
        ]
        self._state = "running"
        self._logger.info("runner carries its shard", extra={"epoch": epoch, "channels": len(carrying.sessions)})

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

    # The end.

    async def _end(self) -> None:
        self._state = "stopping"
        carrying = self._carrying
        self._logger.info("runner stops", extra={"sessions": len(carrying.sessions) if carrying else 0})
        for task in self._tasks:
            if task.get_name() in {"commands", "liveness", "reread"}:
                task.cancel()
        if carrying is not None:
            await carrying.end(self._settings.shutdown_seconds)
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
            self._pool.fenced(FENCED_HOSTS_SECONDS)
        if self._publication is not None:
            self._publication.last_words(self._directories.journals)
        self._logger.critical("ended, the lease being lost")
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

    def _surroundings(self) -> Surroundings:
        if self._around is None:
            raise RuntimeError("the runner has not begun")
        return self._around

    def report(self) -> dict[str, Any]:
        """Return what the health check says."""
        sessions = list(self._carrying.sessions.values()) if self._carrying else []
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
