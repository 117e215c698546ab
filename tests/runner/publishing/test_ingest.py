"""Journal rows into queue messages: within the limits, in order, deleted only once taken."""

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.kernel.envelopes import Entry
from recado.kernel.errors import ChannelNotFoundError, ServiceUnavailableError
from session_runner.journal.journal import Journal, JournalRow
from session_runner.journal.sequences import BLOCK, Sequences
from session_runner.publishing.ingest import (
    BYTES_PER_MESSAGE,
    ENTRIES_PER_MESSAGE,
    MESSAGES_PER_CALL,
    Ingest,
    IngestRefusedError,
    parcels_of,
)

NOW = datetime(2026, 11, 22, 13, tzinfo=UTC)


class Queue:
    """An SQS queue that can refuse and fail."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.calls: list[list[str]] = []
        self.refuse: set[str] = set()
        self.error: Exception | None = None

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        if self.error:
            raise self.error
        self.calls.append([entry["MessageBody"] for entry in Entries])
        good = [entry for entry in Entries if entry["Id"] not in self.refuse]
        self.bodies += [entry["MessageBody"] for entry in good]
        return {
            "Successful": [{"Id": entry["Id"]} for entry in good],
            "Failed": [{"Id": name, "Code": "InternalError", "SenderFault": False} for name in self.refuse],
        }

    def entries(self) -> list[Entry]:
        return [Entry.from_mapping(plain) for body in self.bodies for plain in json.loads(body)["entries"]]


class Blocks:
    def __init__(self) -> None:
        self.reserved: list[tuple[str, str, int]] = []

    def reserve(self, clinic_id: str, channel_id: str, count: int) -> int:
        if channel_id == "chn_unknown":
            raise ChannelNotFoundError
        self.reserved.append((clinic_id, channel_id, count))
        return 1000 * len(self.reserved)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "a.journal")


def ingest(queue: Queue, blocks: Blocks | None = None) -> Ingest:
    sequences = Sequences((blocks or Blocks()).reserve)
    return Ingest(queue, queue_url="q", shard_id="shard-001", epoch=7, sequences=sequences)  # type: ignore[arg-type]


def write(journal: Journal, count: int, channel_id: str = "chn_a", text: str = "oi") -> None:
    for number in range(count):
        identity = (channel_id, str(number), str(len(text)))
        journal.append("cli_a", channel_id, "message.received", identity, NOW, {"text": {"body": text}, "n": number})


def test_rows_become_entries_in_order_and_leave_the_journal(journal: Journal) -> None:
    queue = Queue()
    write(journal, 25)
    ids = [row.entry_id for row in journal.pending()]
    assert ingest(queue).move(journal) == 25
    found = queue.entries()
    assert [entry.entry_id for entry in found] == ids
    assert [entry.sequence for entry in found] == list(range(1000, 1025))
    assert {(entry.shard_id, entry.epoch, entry.clinic_id) for entry in found} == {("shard-001", 7, "cli_a")}
    assert [len(json.loads(body)["entries"]) for body in queue.bodies] == [10, 10, 5]
    assert journal.count() == 0


def test_sequences_rise_per_channel_over_blocks(journal: Journal) -> None:
    queue, blocks = Queue(), Blocks()
    write(journal, BLOCK + 5)
    write(journal, 3, "chn_b")
    mover = ingest(queue, blocks)
    while journal.count():
        mover.move(journal)
    first = [entry.sequence for entry in queue.entries() if entry.channel_id == "chn_a"]
    other = [entry.sequence for entry in queue.entries() if entry.channel_id == "chn_b"]
    assert first == sorted(set(first))
    assert other == sorted(set(other))
    assert [count for _, _, count in blocks.reserved] == [BLOCK] * 3


def test_what_the_queue_refuses_stays_with_its_sequence_and_goes_out_the_same_later(journal: Journal) -> None:
    queue = Queue()
    queue.refuse = {"1"}
    write(journal, 30)
    mover = ingest(queue)
    with pytest.raises(IngestRefusedError):
        mover.move(journal)
    left = journal.pending()
    assert [row.sequence for row in left] == list(range(1010, 1020))
    queue.refuse = set()
    assert mover.move(journal) == 10
    assert sorted(entry.sequence for entry in queue.entries()) == list(range(1000, 1030))


def test_a_queue_that_does_not_answer_loses_nothing(journal: Journal) -> None:
    queue = Queue()
    queue.error = ConnectionError()
    write(journal, 3)
    with pytest.raises(ConnectionError):
        ingest(queue).move(journal)
    assert journal.count() == 3


def test_a_fact_about_an_unknown_channel_holds_nobody_up(journal: Journal) -> None:
    queue = Queue()
    write(journal, 1, "chn_unknown")
    write(journal, 1)
    assert ingest(queue).move(journal) == 2
    assert [entry.sequence for entry in queue.entries()] == [0, 1000]


def test_an_entry_too_large_for_any_message_is_replaced_by_a_word_about_it(journal: Journal) -> None:
    queue = Queue()
    write(journal, 1, text="x" * 400_000)
    write(journal, 1)
    assert ingest(queue).move(journal) == 2
    kinds = [entry.kind for entry in queue.entries()]
    assert kinds == ["message.unmapped", "message.received"]
    assert "xxx" not in str(queue.entries()[0].data)


def test_bodies_are_plain_ascii_whatever_patients_type(journal: Journal) -> None:
    queue = Queue()
    text = "ação 😀 \ufffe\x0b"
    write(journal, 1, text=text)
    ingest(queue).move(journal)
    assert queue.bodies[0].isascii()
    assert queue.entries()[0].data["text"]["body"] == text


@given(st.lists(st.integers(0, 120_000), max_size=60))
def test_every_message_and_call_keeps_within_the_limits_and_every_row_is_in_one(sizes: list[int]) -> None:
    rows = [
        JournalRow(number, f"evt_{number}", "cli", "chn", "message.received", NOW, NOW, {"t": "x" * size}, number)
        for number, size in enumerate(sizes, 1)
    ]
    parcels = list(parcels_of(rows, shard_id="s", epoch=1))
    assert [number for parcel in parcels for number in parcel.numbers] == [row.number for row in rows]
    for parcel in parcels:
        assert len(parcel.body) <= BYTES_PER_MESSAGE
        assert len(parcel.numbers) <= ENTRIES_PER_MESSAGE
        assert len(json.loads(parcel.body)["entries"]) == len(parcel.numbers)


def test_a_call_carries_at_most_ten_messages_and_200_kilobytes(journal: Journal) -> None:
    queue = Queue()
    write(journal, 60, text="x" * 9_000)
    write(journal, 140)
    mover = ingest(queue)
    while journal.count():
        mover.move(journal)
    assert len(queue.entries()) == 200
    assert all(len(call) <= MESSAGES_PER_CALL for call in queue.calls)
    assert all(sum(map(len, call)) <= BYTES_PER_MESSAGE for call in queue.calls)


def test_blocks_of_many_channels_are_reserved_side_by_side() -> None:
    """After a start no channel has one, and each costs a round trip; one that fails keeps no other waiting."""
    together = threading.Barrier(4, timeout=5)

    def reserve(clinic_id: str, channel_id: str, count: int) -> int:
        if channel_id == "chn_away":
            raise ServiceUnavailableError
        together.wait()
        return 1000

    sequences = Sequences(reserve)
    channels = [("cli_a", f"chn_{number}") for number in range(4)]
    sequences.make_ready([*channels, ("cli_a", "chn_away"), *channels])
    assert [sequences.following(*channel) for channel in channels] == [1000] * 4
    assert sequences.following(*channels[0]) == 1001
    with pytest.raises(ServiceUnavailableError):
        sequences.following("cli_a", "chn_away")
