"""Spilled batches back into the ingest queue: at the start before any session connects, and whenever it answers again.

Entries keep the id and sequence they were spilled with, so whatever reaches the queue twice is recorded once.
"""

import asyncio
from collections.abc import Callable

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from recado.kernel.errors import DataErasedError
from session_runner.blocking import Blocking
from session_runner.pausing import pause
from session_runner.publishing.ingest import Ingest
from session_runner.publishing.spill_format import SpillBrokenError
from session_runner.publishing.spill_store import SpillStore

# A fenced owner may have written after we looked: its facts are facts all the same.
IDLE_SECONDS = 300.0
RETRY_SECONDS = (1.0, 30.0)


class Replay:
    """Replays one shard's spilled batches.

    Args:
        store: where they lie.
        ingest: the way into the queue.
        blocking: a thread of its own.
        logger: for what is broken or refused.
        broken: called for each batch that was set aside.
        replayed: called with the number of messages of each batch that the queue has taken.
    """

    def __init__(
        self,
        store: SpillStore,
        ingest: Ingest,
        blocking: Blocking,
        logger: Logger,
        *,
        broken: Callable[[], None] = lambda: None,
        replayed: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._ingest = ingest
        self._blocking = blocking
        self._logger = logger
        self._broken = broken
        self._replayed = replayed
        self._wake = asyncio.Event()
        self._left = True

    def expect(self) -> None:
        """Say that something has been spilled."""
        self._left = True
        self._wake.set()

    def queue_answers(self) -> None:
        """Say that the queue has just taken something."""
        if self._left:
            self._wake.set()

    async def all(self, seconds: float) -> bool:
        """Replay what there is, at most so long; say whether nothing is left.

        What is left is up to ``run``: sessions are not kept from connecting for as long as a queue is down.
        """
        try:
            async with asyncio.timeout(seconds):
                wait = RETRY_SECONDS[0]
                while not await self.once():
                    await asyncio.sleep(wait)
                    wait = min(wait * 2, RETRY_SECONDS[1])
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Replay for ever: soon after something was spilled, and again until nothing is left."""
        retry = RETRY_SECONDS[0]
        while True:
            self._wake.clear()
            if await self.once():
                wait, retry = IDLE_SECONDS, RETRY_SECONDS[0]
            else:
                wait, retry = retry, min(retry * 2, RETRY_SECONDS[1])
            await pause(self._wake, wait)
            await asyncio.sleep(min(RETRY_SECONDS[0], wait))

    async def once(self) -> bool:
        """Go through the batches once; say whether nothing is left."""
        self._left = False
        try:
            finished = await self._blocking(self._round)
        except Exception:
            self._logger.exception("spilled batches could not be replayed, trying again")
            finished = False
        self._left = self._left or not finished
        return finished

    def _round(self) -> bool:
        finished = True
        for key in self._store.listed():
            try:
                bodies = self._store.read(key)
            except SpillBrokenError as error:
                finished = self._set_aside(key, error) and finished
                continue
            except DataErasedError:
                self._logger.warning("a spilled batch of an erased clinic is removed", extra={"key": key})
                self._store.remove(key)
                continue
            except (ClientError, BotoCoreError):
                # It alone cannot be read at present; those behind it may.
                self._logger.exception("a spilled batch could not be read", extra={"key": key})
                finished = False
                continue
            if bodies is not None:
                self._ingest.post(bodies)
                self._store.remove(key)
                self._replayed(len(bodies))
        return finished

    def _set_aside(self, key: str, error: SpillBrokenError) -> bool:
        self._logger.error("a spilled batch is broken and set aside", extra={"key": key, "cause": str(error)})
        try:
            self._store.set_aside(key)
        except (ClientError, BotoCoreError):
            self._logger.exception("a broken batch could not be set aside", extra={"key": key})
            return False
        self._broken()
        return True
