"""The way of facts out of this task: journals to the ingest queue, to S3 while it takes nothing, and from S3 back."""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger

from recado.aws import clients
from recado.channels import service as channels
from recado.kernel.clock import Clock
from session_runner.blocking import Blocking
from session_runner.health.metrics import Metrics
from session_runner.journal.journal import JournalRow
from session_runner.journal.sequences import Sequences
from session_runner.journal.traffic import count_published, count_traffic
from session_runner.publishing import last_words
from session_runner.publishing.ingest import Ingest
from session_runner.publishing.publisher import Publisher, Spilling
from session_runner.publishing.replay import Replay
from session_runner.publishing.spill import Spill
from session_runner.publishing.spill_store import SpillStore
from session_runner.settings import RunnerSettings

LEFTOVER_SECONDS = 30.0
# Together with the sessions' and the hosts' end they fit into the 120 s between SIGTERM and SIGKILL.
PUBLISH_SECONDS = 6.0
SPILL_SECONDS = 7.0
LAST_WORDS_SECONDS = 6.0
LAST_WORDS_QUEUE_SECONDS = 2.5


class Publication:
    """Publisher, spill and replay of one shard under one epoch.

    Args:
        settings: queue, bucket, key and patience.
        epoch: our lease epoch.
        clock: the clock.
        logger: for what is refused.
        metrics: for traffic and for how long it waits.
    """

    def __init__(self, settings: RunnerSettings, epoch: int, clock: Clock, logger: Logger, metrics: Metrics) -> None:
        ingest = Ingest(
            clients.sqs(),
            queue_url=settings.ingest_queue_url,
            shard_id=settings.shard_id,
            epoch=epoch,
            sequences=Sequences(channels.reserve_sequences),
            taken=lambda rows: count_published(metrics, rows, clock.now()),
        )
        store = SpillStore(
            clients.s3(),
            bucket=settings.vault_bucket,
            kms_key_id=settings.kms_key_id,
            shard_id=settings.shard_id,
            epoch=epoch,
            clock=clock,
        )
        self._logger = logger
        self._move = ingest.move
        self._replay = Replay(
            store,
            ingest,
            Blocking(1, "replay"),
            logger,
            broken=lambda: metrics.count("SpillBroken"),
            replayed=lambda count: metrics.count("SpillReplayedMessages", count),
        )

        def spilled(rows: Sequence[JournalRow]) -> None:
            metrics.count("SpilledFacts", len(rows))
            count_traffic(metrics, rows)

        self._spill = Spill(store, ingest, clock, spilled).take
        spilling = Spilling(
            self._spill,
            settings.spill_after_seconds,
            Blocking(2, "spill"),
            self._replay.expect,
            self._replay.queue_answers,
        )
        self.publisher = Publisher(ingest.move, Blocking(4, "publish"), logger, spilling)
        self._replaying: asyncio.Task[None] | None = None

    async def begin(self, journals: Iterable[Path]) -> None:
        """Publish what former runs left, in these journals and in S3, before anything new happens; then go on with it.

        Bounded: a queue that is down must not keep sessions from connecting.
        """
        for path in journals:
            await self.publisher.watch(path)
            self.publisher.retire(path)
        done = await asyncio.gather(self.publisher.flush(LEFTOVER_SECONDS), self._replay.all(LEFTOVER_SECONDS))
        if not all(done):
            self._logger.warning("facts of a former run are still being published")
        self._replaying = asyncio.create_task(self._replay.run(), name="replay")

    def last_words(self, journals: Path) -> None:
        """Hand on what these journals hold, for a task that is fenced: without the event loop, and bounded."""
        last_words.speak(
            journals,
            self._move,
            lambda journal: self._spill(journal, 0.0),
            patience=LAST_WORDS_QUEUE_SECONDS,
            seconds=LAST_WORDS_SECONDS,
            logger=self._logger,
        )

    async def end(self) -> None:
        """Publish what is left, and spill what the queue does not take in time: the disk goes with the task."""
        if self._replaying:
            self._replaying.cancel()
        if not await _within(PUBLISH_SECONDS + 1, self.publisher.flush(PUBLISH_SECONDS)):
            spilled = await _within(SPILL_SECONDS, self.publisher.spill_rest())
            if not spilled:
                self._logger.error("facts are left in the journals", extra={"pending": self.publisher.pending})
        await self.publisher.close()


async def _within(seconds: float, work: Coroutine[Any, Any, bool]) -> bool:
    # A call that hangs in its thread must not use up the time that the next step needs.
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        return False
