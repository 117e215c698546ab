"""Journal rows into SQS messages and into the ingest queue: batches within SQS's limits, each failure noticed.

Limits: ten messages a ``SendMessageBatch`` call; we keep to 200 KB a message and a call, below SQS's own
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html).
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from recado.kernel.clock import to_text
from recado.kernel.envelopes import Entry
from session_runner.journal.journal import Journal, JournalRow
from session_runner.journal.sequences import Sequences

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

ENTRIES_PER_MESSAGE = 10
MESSAGES_PER_CALL = 10
BYTES_PER_MESSAGE = 200_000
BYTES_PER_ENTRY = 150_000
ROWS_PER_PASS = 200
_FRAME = '{"version":1,"entries":[%s]}'


class IngestRefusedError(Exception):
    """The queue did not take some messages; their rows stay in the journal.

    Args:
        refused: how many messages.
        taken: how many rows it did take in the same pass.
    """

    def __init__(self, refused: int, taken: int = 0) -> None:
        super().__init__(f"{refused} messages were not taken, {taken} rows were")
        self.taken = taken


@dataclass(frozen=True, slots=True)
class Parcel:
    """One SQS message: its body and the journal rows (by number) inside."""

    body: str
    numbers: tuple[int, ...]


class Ingest:
    """Moves one journal's rows to the ingest queue; blocking.

    Args:
        client: the SQS client.
        queue_url: the ingest queue.
        shard_id: our shard, part of every entry.
        epoch: the lease epoch, part of every entry.
        sequences: where rows get their channel's sequence.
        taken: called with rows that the queue has taken.
    """

    def __init__(
        self,
        client: "SQSClient",
        *,
        queue_url: str,
        shard_id: str,
        epoch: int,
        sequences: Sequences,
        taken: Callable[[Sequence[JournalRow]], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._queue_url = queue_url
        self._shard_id = shard_id
        self._epoch = epoch
        self._sequences = sequences
        self._taken = taken

    def move(self, journal: Journal) -> int:
        """Send the oldest rows and delete those the queue has taken; return how many those were.

        Raises:
            IngestRefusedError: some were not taken.
        """
        rows = {row.number: row for row in self.sequenced(journal, ROWS_PER_PASS)}
        taken = refused = 0
        for parcels in _calls(self.parcels(rows.values())):
            good = self._send([parcel.body for parcel in parcels])
            numbers = [number for place in good for number in parcels[place].numbers]
            journal.mark_published(numbers)
            self._taken([rows[number] for number in numbers])
            taken += len(numbers)
            refused += len(parcels) - len(good)
        if refused:
            raise IngestRefusedError(refused, taken)
        return taken

    def post(self, bodies: Sequence[str]) -> None:
        """Send messages that were made before, as ``parcels`` makes them.

        Raises:
            IngestRefusedError: some were not taken.
        """
        parcels = [Parcel(body, ()) for body in bodies]
        refused = sum(len(call) - len(self._send([parcel.body for parcel in call])) for call in _calls(parcels))
        if refused:
            raise IngestRefusedError(refused)

    def sequenced(self, journal: Journal, limit: int) -> list[JournalRow]:
        """Return the oldest rows, each with its sequence, which it keeps whoever sends it."""
        rows = journal.pending(limit)
        unnumbered = [row for row in rows if row.sequence is None]
        self._sequences.make_ready((row.clinic_id, row.channel_id) for row in unnumbered)
        fresh = {row.number: self._sequences.following(row.clinic_id, row.channel_id) for row in unnumbered}
        if not fresh:
            return rows
        journal.assign_sequences(fresh)
        # Read again: another thread may have given a row its sequence, or taken it away, since.
        return [row for row in journal.pending(limit) if row.sequence is not None]

    def parcels(self, rows: Iterable[JournalRow]) -> Iterator[Parcel]:
        """Yield the messages that carry these rows."""
        return parcels_of(rows, shard_id=self._shard_id, epoch=self._epoch)

    def _send(self, bodies: Sequence[str]) -> list[int]:
        """Send one call's messages; return the places of those that were taken."""
        requests: list[SendMessageBatchRequestEntryTypeDef] = [
            {"Id": str(place), "MessageBody": body} for place, body in enumerate(bodies)
        ]
        answer = self._client.send_message_batch(QueueUrl=self._queue_url, Entries=requests)
        return [int(success["Id"]) for success in answer.get("Successful", [])]


def parcels_of(rows: Iterable[JournalRow], *, shard_id: str, epoch: int) -> Iterator[Parcel]:
    """Yield the messages that carry these rows, in order, each within the limits."""
    texts: list[str] = []
    numbers: list[int] = []
    size = 0
    for row in rows:
        text = _text_of(row, shard_id, epoch)
        if numbers and (len(numbers) == ENTRIES_PER_MESSAGE or size + len(text) + 1 > BYTES_PER_MESSAGE - len(_FRAME)):
            yield Parcel(_FRAME % ",".join(texts), tuple(numbers))
            texts, numbers, size = [], [], 0
        texts.append(text)
        numbers.append(row.number)
        size += len(text) + 1
    if numbers:
        yield Parcel(_FRAME % ",".join(texts), tuple(numbers))


def _calls(parcels: Iterable[Parcel]) -> Iterator[list[Parcel]]:
    call: list[Parcel] = []
    size = 0
    for parcel in parcels:
        if call and (len(call) == MESSAGES_PER_CALL or size + len(parcel.body) > BYTES_PER_MESSAGE):
            yield call
            call, size = [], 0
        call.append(parcel)
        size += len(parcel.body)
    if call:
        yield call


def _text_of(row: JournalRow, shard_id: str, epoch: int) -> str:
    entry = Entry(
        entry_id=row.entry_id,
        kind=row.kind,
        clinic_id=row.clinic_id,
        channel_id=row.channel_id,
        shard_id=shard_id,
        epoch=epoch,
        sequence=row.sequence or 0,
        observed_at=row.observed_at,
        data=row.data,
    )
    text = _ascii(asdict(entry))
    if len(text) <= BYTES_PER_ENTRY:
        return text
    # Nothing WhatsApp sends as text comes near this size; blocking every later row for one monster would be worse.
    stub = {"event_code": row.kind, "reason": f"too_large_{len(text)}_bytes", "raw": None}
    return _ascii(asdict(replace(entry, kind="message.unmapped", data=stub)))


def _ascii(plain: dict[str, Any]) -> str:
    # SQS refuses bodies with characters outside XML's set, which a patient may well type; escaped, all are ASCII.
    return json.dumps(plain, separators=(",", ":"), ensure_ascii=True, default=_moment)


def _moment(value: object) -> str:
    if isinstance(value, datetime):
        return to_text(value)
    raise TypeError(f"{type(value).__name__} has no place in an entry")
