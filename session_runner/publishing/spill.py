"""What the ingest queue does not take goes to S3: out of reach of this task's end, and off its small disk."""

from collections.abc import Callable, Iterator, Sequence, Set
from datetime import timedelta

from recado.kernel.clock import Clock
from recado.kernel.errors import DataErasedError
from session_runner.journal.journal import Journal, JournalRow
from session_runner.publishing.ingest import Ingest, Parcel
from session_runner.publishing.spill_store import SpillStore

ROWS_PER_PASS = 200
BYTES_PER_BATCH = 512 * 1024


class Spill:
    """Moves rows from a journal to S3, one sealed batch per clinic; blocking.

    Args:
        store: where batches go.
        ingest: makes the messages that the queue will get later, each entry with its id and sequence.
        clock: tells the age of rows.
        spilled: called with the rows of each batch that S3 has taken.
    """

    def __init__(
        self,
        store: SpillStore,
        ingest: Ingest,
        clock: Clock,
        spilled: Callable[[Sequence[JournalRow]], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._ingest = ingest
        self._clock = clock
        self._spilled = spilled

    def take(self, journal: Journal, age: float) -> int:
        """Spill what has waited so many seconds and delete it from the journal; return how many rows that were.

        A row leaves the journal only after S3 has its batch; a crash in between leaves it in both places, with the
        same entry id, which the recorder takes once.

        Raises:
            ServiceUnavailableError: KMS or the sequences' table does not answer; botocore's errors: S3 does not.
        """
        total, kept = 0, set[int]()
        while rows := self._waiting(journal, age, kept):
            for clinic_id, parcels in self._batches(rows):
                numbers = [number for parcel in parcels for number in parcel.numbers]
                try:
                    self._store.put(clinic_id, [parcel.body for parcel in parcels])
                except DataErasedError:
                    # Nothing can be sealed for an erased clinic. What is left of it waits for the queue alone.
                    kept.update(numbers)
                    continue
                journal.mark_published(numbers)
                self._spilled([row for row in rows if row.number in set(numbers)])
                total += len(numbers)
        return total

    def _waiting(self, journal: Journal, age: float, kept: Set[int]) -> list[JournalRow]:
        latest = self._clock.now() - timedelta(seconds=age)
        if not any(row.observed_at <= latest for row in journal.pending(1)):
            return []
        rows = self._ingest.sequenced(journal, ROWS_PER_PASS + len(kept))
        return [row for row in rows if row.observed_at <= latest and row.number not in kept]

    def _batches(self, rows: Sequence[JournalRow]) -> Iterator[tuple[str, list[Parcel]]]:
        for clinic_id in dict.fromkeys(row.clinic_id for row in rows):
            batch: list[Parcel] = []
            for parcel in self._ingest.parcels(row for row in rows if row.clinic_id == clinic_id):
                batch.append(parcel)
                if sum(len(each.body) for each in batch) >= BYTES_PER_BATCH:
                    yield clinic_id, batch
                    batch = []
            if batch:
                yield clinic_id, batch
