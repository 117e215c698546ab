"""Hands on what the journals hold: woken by every write, one mover per journal, backing off while the queue refuses.

What cannot be handed on stays in the journals; hosts block in their event callbacks when theirs cannot be written,
which is the back-pressure WhatsApp's server understands.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from aws_lambda_powertools import Logger

from session_runner.blocking import Blocking
from session_runner.journal import Journal

IDLE_SECONDS = 5.0
FIRST_RETRY_SECONDS = 0.2
LAST_RETRY_SECONDS = 30.0


@dataclass(slots=True)
class _Watched:
    path: Path
    journal: Journal
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    in_use: asyncio.Lock = field(default_factory=asyncio.Lock)
    retired: bool = False
    pending: int = 0
    task: "asyncio.Task[None] | None" = None


class Publisher:
    """Publishes any number of journals, each in its own order.

    Args:
        move: sends the oldest rows of a journal and returns how many were taken (``Ingest.move``); raises when the
            queue does not take them.
        blocking: where blocking calls run.
        logger: for refusals; they are retried for ever.
    """

    def __init__(self, move: Callable[[Journal], int], blocking: Blocking, logger: Logger) -> None:
        self._move = move
        self._blocking = blocking
        self._logger = logger
        self._watched: dict[Path, _Watched] = {}

    async def watch(self, path: Path) -> Journal:
        """Begin to publish the journal at this path (made if it is missing) and return it."""
        journal = await self._blocking(Journal, path)
        watched = _Watched(path, journal)
        self._watched[path] = watched
        watched.task = asyncio.create_task(self._follow(watched), name=f"publish {path.name}")
        watched.wake.set()
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
        for watched in list(self._watched.values()):
            if watched.task:
                watched.task.cancel()
        await asyncio.gather(
            *(watched.task for watched in self._watched.values() if watched.task), return_exceptions=True
        )

    async def _follow(self, watched: _Watched) -> None:
        wait, retry = 0.0, FIRST_RETRY_SECONDS
        while True:
            if wait:
                await _woken(watched.wake, wait)
            watched.wake.clear()
            try:
                taken = await self._blocking(self._move, watched.journal)
                watched.pending = await self._blocking(watched.journal.count)
            except Exception:
                self._logger.exception("journal not published, trying again", extra={"journal": watched.path.name})
                await asyncio.sleep(retry)
                wait, retry = 0.0, min(retry * 2, LAST_RETRY_SECONDS)
                continue
            retry = FIRST_RETRY_SECONDS
            wait = 0.0 if taken else IDLE_SECONDS
            if watched.retired and not watched.pending:
                async with watched.in_use:
                    self._watched.pop(watched.path, None)
                    await self._blocking(_delete, watched.journal, watched.path)
                return


async def _woken(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def _delete(journal: Journal, path: Path) -> None:
    journal.close()
    for name in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        name.unlink(missing_ok=True)
