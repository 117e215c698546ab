"""Hands on what the journals hold: woken by every write, one mover per journal, backing off while the queue refuses.

What the queue has not taken for some seconds is spilled to S3, where it outlives this task. What cannot be spilled
either stays in the journals; hosts block in their event callbacks when theirs cannot be written, which is the
back-pressure WhatsApp's server understands.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from aws_lambda_powertools import Logger

from session_runner.blocking import Blocking
from session_runner.journal.journal import Journal
from session_runner.pausing import pause
from session_runner.publishing.ingest import IngestRefusedError

IDLE_SECONDS = 5.0
FIRST_RETRY_SECONDS = 0.2
# A task that is lost takes along what waits here: once the queue answers again it is asked soon.
LAST_RETRY_SECONDS = 2.0
LAST_SPILL_RETRY_SECONDS = 30.0
SPILL_LOOK_SECONDS = 0.5


@dataclass(slots=True)
class _Watched:
    path: Path
    journal: Journal
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    in_use: asyncio.Lock = field(default_factory=asyncio.Lock)
    retired: bool = False
    pending: int = 0
    oldest_at: datetime | None = None
    refused_since: float | None = None
    spill_not_before: float = 0.0
    spill_retry: float = SPILL_LOOK_SECONDS
    task: "asyncio.Task[None] | None" = None


@dataclass(frozen=True, slots=True)
class Spilling:
    """How a journal is spilled.

    Attributes:
        take: moves rows that have waited so many seconds out of a journal and returns how many (``Spill.take``).
        after: seconds that the queue must have taken nothing, and a row have waited.
        blocking: threads of their own: those of the publisher may all hang in calls to the queue.
        spilled: called after rows were spilled.
        queue_answers: called when the queue has taken something.
    """

    take: Callable[[Journal, float], int]
    after: float
    blocking: Blocking
    spilled: Callable[[], None]
    queue_answers: Callable[[], None]


class Publisher:
    """Publishes any number of journals, each in its own order.

    Args:
        move: sends the oldest rows of a journal and returns how many were taken (``Ingest.move``); raises when the
            queue does not take them.
        blocking: where blocking calls run.
        logger: for refusals; they are retried for ever.
        spilling: what to do with what the queue does not take; None: keep it in the journals.
    """

    def __init__(
        self,
        move: Callable[[Journal], int],
        blocking: Blocking,
        logger: Logger,
        spilling: Spilling | None = None,
    ) -> None:
        self._move = move
        self._blocking = blocking
        self._logger = logger
        self._spilling = spilling
        self._watched: dict[Path, _Watched] = {}
        self._spiller: asyncio.Task[None] | None = None

    async def watch(self, path: Path) -> Journal:
        """Begin to publish the journal at this path (made if it is missing) and return it."""
        journal = await self._blocking(Journal, path)
        watched = _Watched(path, journal)
        self._watched[path] = watched
        watched.task = asyncio.create_task(self._follow(watched), name=f"publish {path.name}")
        watched.wake.set()
        if self._spilling and self._spiller is None:
            self._spiller = asyncio.create_task(self._spill_overdue(self._spilling), name="spill")
        return journal

    def wake(self, path: Path) -> None:
        """Say that this journal has new rows."""
        if watched := self._watched.get(path):
            watched.wake.set()

    def retire(self, path: Path) -> None:
        """Say that nobody writes to this journal any more: once empty it is deleted."""
        if watched := self._watched.get(path):
            watched.retired = True
            watched.wake.set()

    @property
    def pending(self) -> int:
        """How many rows were waiting when each journal was last looked at."""
        return sum(watched.pending for watched in self._watched.values())

    @property
    def oldest_at(self) -> datetime | None:
        """When the oldest row that waits was seen; None when nothing waits."""
        return min((watched.oldest_at for watched in self._watched.values() if watched.oldest_at), default=None)

    async def spill_rest(self) -> bool:
        """Spill all that is left, because this task ends; say whether nothing is left in the journals."""
        if self._spilling is None:
            return not self.pending
        done = [await self._spill(watched, self._spilling, age=0.0) for watched in list(self._watched.values())]
        return all(done) and not self.pending

    async def flush(self, seconds: float) -> bool:
        """Wait until every journal is empty, at most so long; say whether they are."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            for watched in list(self._watched.values()):
                watched.wake.set()
                async with watched.in_use:
                    if watched.path in self._watched:
                        watched.pending = await self._blocking(watched.journal.count)
            if not self.pending:
                return True
            if loop.time() >= end:
                return False
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Stop publishing; what is left stays in the files."""
        tasks = [watched.task for watched in self._watched.values() if watched.task]
        tasks += [self._spiller] if self._spiller else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, watched: _Watched) -> None:
        wait, retry = 0.0, FIRST_RETRY_SECONDS
        while True:
            if wait:
                await pause(watched.wake, wait)
            watched.wake.clear()
            if watched.refused_since is None:
                watched.refused_since = asyncio.get_running_loop().time()
            try:
                await self._count(watched, self._blocking)
                taken = await self._blocking(self._move, watched.journal)
                await self._count(watched, self._blocking)
            except Exception as error:
                self._logger.exception("journal not published, trying again", extra={"journal": watched.path.name})
                if isinstance(error, IngestRefusedError) and error.taken:
                    # The queue answers. That it leaves out an entry now and then says nothing of the next ones.
                    retry = FIRST_RETRY_SECONDS
                await asyncio.sleep(retry)
                wait, retry = 0.0, min(retry * 2, LAST_RETRY_SECONDS)
                continue
            watched.refused_since = None
            if taken and self._spilling:
                self._spilling.queue_answers()
            retry = FIRST_RETRY_SECONDS
            wait = 0.0 if taken else IDLE_SECONDS
            if watched.retired and not watched.pending:
                async with watched.in_use:
                    self._watched.pop(watched.path, None)
                    await self._blocking(_delete, watched.journal, watched.path)
                return

    async def _count(self, watched: _Watched, blocking: Blocking) -> None:
        watched.pending = await blocking(watched.journal.count)
        oldest = await blocking(watched.journal.pending, 1) if watched.pending else []
        watched.oldest_at = oldest[0].observed_at if oldest else None

    async def _spill_overdue(self, spilling: Spilling) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SPILL_LOOK_SECONDS)
            due = [
                watched
                for watched in self._watched.values()
                if watched.refused_since is not None
                and loop.time() >= max(watched.refused_since + spilling.after, watched.spill_not_before)
            ]
            await asyncio.gather(*(self._spill(watched, spilling, age=spilling.after) for watched in due))

    async def _spill(self, watched: _Watched, spilling: Spilling, *, age: float) -> bool:
        async with watched.in_use:
            if watched.path not in self._watched:
                return True
            try:
                count = await spilling.blocking(spilling.take, watched.journal, age)
                await self._count(watched, spilling.blocking)
            except Exception:
                self._logger.exception("journal not spilled, trying again", extra={"journal": watched.path.name})
                watched.spill_not_before = asyncio.get_running_loop().time() + watched.spill_retry
                watched.spill_retry = min(watched.spill_retry * 2, LAST_SPILL_RETRY_SECONDS)
                return False
        watched.spill_retry = SPILL_LOOK_SECONDS
        if count:
            self._logger.warning("the queue takes nothing, spilled to S3", extra={"rows": count})
            spilling.spilled()
        return True


def _delete(journal: Journal, path: Path) -> None:
    journal.close()
    for name in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        name.unlink(missing_ok=True)
