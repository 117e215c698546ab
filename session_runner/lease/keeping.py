"""Keeping the shard's lease: waiting for it, renewing it, and ending everything the moment it is not provably ours.

The fence is a thread of its own: an event loop that hangs must not keep sessions alive past the deadline.
"""

import asyncio
import threading
import time
from collections.abc import Callable

from aws_lambda_powertools import Logger

from recado.kernel.errors import ServiceUnavailableError
from recado.shards.lease import ShardLease
from session_runner.blocking import Blocking
from session_runner.lease.deadline import LeaseDeadline
from session_runner.lease.task_evidence import Evidence, NoEvidence

RENEW_SECONDS = 5.0
ACQUIRE_SECONDS = 1.0
FENCE_CHECK_SECONDS = 0.25


class LeaseKeeper:
    """Holds the lease of one shard for as long as this process may act in its name.

    Args:
        lease: the lease.
        deadline: the moment shared with the hosts, which check it before each native call.
        on_lost: ends the process at once: hosts killed, no snapshot. Called from any thread.
        logger: for what happens to the lease.
        evidence: knows of owners whose task has stopped, for whom nobody has to wait.
    """

    def __init__(
        self,
        lease: ShardLease,
        deadline: LeaseDeadline,
        on_lost: Callable[[str], None],
        logger: Logger,
        evidence: Evidence | None = None,
    ) -> None:
        self._lease = lease
        self._deadline = deadline
        self._on_lost = on_lost
        self._logger = logger
        self._evidence = evidence or NoEvidence()
        # Alone in its thread, so that no queue of other calls ever delays a renewal.
        self._blocking = Blocking(1, "lease")
        self._until = 0.0
        self._ended = threading.Event()

    @property
    def epoch(self) -> int:
        """The epoch we hold."""
        return self._lease.epoch

    def held(self) -> bool:
        """Whether the lease is provably ours at this moment."""
        return not self._ended.is_set() and time.monotonic() < self._until

    async def acquire(self) -> None:
        """Wait until the lease is ours, and begin to fence."""
        waited = False
        while True:
            try:
                if await self._blocking(self._try):
                    break
            except ServiceUnavailableError:
                self._logger.warning("the lease store does not answer, trying again")
            else:
                if not waited:
                    self._logger.info("another task holds the shard's lease, waiting")
                waited = True
            await asyncio.sleep(ACQUIRE_SECONDS)
        self._extend()
        threading.Thread(target=self._fence, name="fence", daemon=True).start()
        self._logger.info("lease acquired", extra={"epoch": self.epoch})

    def _try(self) -> bool:
        if self._lease.try_acquire():
            return True
        rival = self._lease.rival
        if rival is None or not self._evidence.stopped(rival):
            return False
        return self._lease.try_acquire(stopped_owner=rival)

    async def keep(self) -> None:
        """Renew the lease until cancelled."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                kept = await self._blocking(self._lease.renew)
            except ServiceUnavailableError:
                self._logger.warning("lease not renewed: the store does not answer")
                continue
            except Exception:
                # Whatever it is, the deadline stays where it was and the fence does the rest.
                self._logger.exception("lease not renewed")
                continue
            if not kept:
                self._lost("another task has taken the lease")
                return
            self._extend()

    async def release(self) -> None:
        """Give the lease back; nothing may run in its name any more."""
        self._ended.set()
        self._deadline.extend(0.0)
        try:
            await self._blocking(self._lease.release)
        except ServiceUnavailableError:
            self._logger.warning("lease not released: the next task waits its 30 seconds")

    def _extend(self) -> None:
        self._until = self._lease.deadline_monotonic()
        self._deadline.extend(self._until)

    def _fence(self) -> None:
        while not self._ended.wait(FENCE_CHECK_SECONDS):
            if time.monotonic() >= self._until:
                self._lost("not renewed in time")
                return

    def _lost(self, why: str) -> None:
        if not self._ended.is_set():
            self._ended.set()
            self._until = 0.0
            self._deadline.extend(0.0)
            self._on_lost(why)
