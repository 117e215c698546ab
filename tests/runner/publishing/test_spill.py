"""The spill: what the queue does not take waits sealed in S3, comes back once it does, and is nobody else's."""

import asyncio
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError, EndpointConnectionError

from recado.aws import clients, sealing, settings
from recado.kernel.clock import SystemClock
from recado.kernel.envelopes import Entry
from recado.kernel.errors import DataErasedError, ServiceUnavailableError
from session_runner.blocking import Blocking
from session_runner.journal.journal import Journal
from session_runner.journal.sequences import Sequences
from session_runner.publishing import publisher as publishing
from session_runner.publishing import replay as replaying
from session_runner.publishing import spill as spilling
from session_runner.publishing import spill_format
from session_runner.publishing.ingest import Ingest
from session_runner.publishing.publisher import Publisher, Spilling
from session_runner.publishing.replay import Replay
from session_runner.publishing.spill import Spill
from session_runner.publishing.spill_format import SpillBrokenError, entries_of, pack, unpack
from session_runner.publishing.spill_store import SpillStore
from tests.runner.fakes import until
from tests.support.aws import ENVIRONMENT, EmulatedAws
from tests.support.clock import FixedClock

NOW = datetime(2026, 11, 22, 13, tzinfo=UTC)
QUIET = Logger(service="test", level="CRITICAL")
BUCKET, KEY = ENVIRONMENT["RECADO_VAULT_BUCKET"], ENVIRONMENT["RECADO_KMS_KEY_ID"]


class Queue:
    """The ingest queue, which can be made to be down."""

    def __init__(self) -> None:
        self.down = False
        self.bodies: list[str] = []

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        if self.down:
            raise EndpointConnectionError(endpoint_url=QueueUrl)
        self.bodies += [entry["MessageBody"] for entry in Entries]
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def entries(self) -> list[Entry]:
        return [entry for body in self.bodies for entry in entries_of(body)]

    def ids(self) -> set[str]:
        return {entry.entry_id for entry in self.entries()}


class Owner:
    """One owner of a shard: its way into the queue and its way into S3."""

    def __init__(self, queue: Queue, *, epoch: int = 7, shard_id: str = "shard-001", clock: Any = None) -> None:
        self.first = 0
        self.clock = clock or SystemClock()
        self.ingest = Ingest(
            queue,  # type: ignore[arg-type]
            queue_url="q",
            shard_id=shard_id,
            epoch=epoch,
            sequences=Sequences(self.reserve),
        )
        self.store = SpillStore(
            clients.s3(), bucket=BUCKET, kms_key_id=KEY, shard_id=shard_id, epoch=epoch, clock=self.clock
        )
        self.spill = Spill(self.store, self.ingest, self.clock)
        self.broken = 0

    def reserve(self, clinic_id: str, channel_id: str, count: int) -> int:
        self.first += 1000
        return self.first

    def break_one(self) -> None:
        self.broken += 1

    def replay(self) -> bool:
        async def whole() -> bool:
            return await Replay(self.store, self.ingest, Blocking(1), QUIET, broken=self.break_one).once()

        return asyncio.run(whole())


@pytest.fixture
def queue(aws: EmulatedAws) -> Queue:
    return Queue()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "a.journal")


def write(journal: Journal, count: int, clinic_id: str = "cli_a", text: str = "segredo da paciente") -> set[str]:
    rows = [
        journal.append(clinic_id, f"chn_{clinic_id}", "message.received", (text, str(number)), NOW, {"text": text})
        for number in range(count)
    ]
    return {row.entry_id for row in rows}


def keys(prefix: str = "") -> list[str]:
    found = clients.s3().list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return [each["Key"] for each in found]


def content(key: str) -> bytes:
    return clients.s3().get_object(Bucket=BUCKET, Key=key)["Body"].read()


def test_what_is_spilled_leaves_the_journal_and_lies_sealed_per_clinic(queue: Queue, journal: Journal) -> None:
    write(journal, 3)
    write(journal, 2, "cli_b")
    assert Owner(queue).spill.take(journal, 0.0) == 5
    assert journal.count() == 0
    assert [key.split("-")[-1] for key in keys("spill/shard-001/000000000007/")] == ["cli_a.sealed", "cli_b.sealed"]
    assert all(b"segredo" not in content(key) for key in keys())


def test_only_what_has_waited_long_enough_is_spilled(queue: Queue, tmp_path: Path, clock: FixedClock) -> None:
    journal = Journal(tmp_path / "b.journal", clock)
    old = write(journal, 2, text="velha")
    clock.advance(6)
    new = write(journal, 2, text="nova")
    assert Owner(queue, clock=clock).spill.take(journal, 5.0) == 2
    assert {row.entry_id for row in journal.pending()} == new
    assert Owner(queue).replay()
    assert queue.ids() == old


def test_a_row_stays_in_the_journal_when_its_batch_was_not_taken(
    queue: Queue, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = write(journal, 3)
    owner = Owner(queue)

    def refuse(*_: object) -> str:
        raise ServiceUnavailableError

    monkeypatch.setattr(owner.store, "put", refuse)
    with pytest.raises(ServiceUnavailableError):
        owner.spill.take(journal, 0.0)
    assert {row.entry_id for row in journal.pending()} == ids


def test_a_crash_between_s3_and_the_journal_leaves_the_same_entry_in_both(
    queue: Queue, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = write(journal, 3)
    owner = Owner(queue)

    def crash(_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(journal, "mark_published", crash)
        with pytest.raises(KeyboardInterrupt):
            owner.spill.take(journal, 0.0)
    owner.ingest.move(journal)
    assert owner.replay()
    entries = queue.entries()
    assert len(entries) == 6
    assert {entry.entry_id for entry in entries} == ids
    assert len({(entry.entry_id, entry.sequence) for entry in entries}) == 3


def test_the_next_owner_replays_all_epochs_oldest_first_and_deletes_them(queue: Queue, tmp_path: Path) -> None:
    ids: list[set[str]] = []
    for epoch in (9, 10, 11):
        journal = Journal(tmp_path / f"{epoch}.journal")
        ids.append(write(journal, 12, text=f"epoch {epoch}"))
        Owner(queue, epoch=epoch).spill.take(journal, 0.0)
    assert Owner(queue, epoch=12).replay()
    entries = queue.entries()
    assert {entry.entry_id for entry in entries} == set().union(*ids)
    assert [entry.epoch for entry in entries] == [9] * 12 + [10] * 12 + [11] * 12
    assert keys() == []


def test_another_shards_batches_are_not_touched(queue: Queue, journal: Journal) -> None:
    write(journal, 2)
    Owner(queue, shard_id="shard-0011").spill.take(journal, 0.0)
    assert Owner(queue, shard_id="shard-001").replay()
    assert queue.bodies == []
    assert len(keys()) == 1


def test_nothing_is_deleted_while_the_queue_refuses(queue: Queue, journal: Journal) -> None:
    ids = write(journal, 5)
    owner = Owner(queue)
    owner.spill.take(journal, 0.0)
    queue.down = True
    assert not owner.replay()
    assert len(keys()) == 1
    queue.down = False
    assert owner.replay()
    assert queue.ids() == ids


def damage(how: Callable[[bytes], bytes], key: str) -> None:
    clients.s3().put_object(Bucket=BUCKET, Key=key, Body=how(content(key)))


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(lambda body: body[:-1], id="cut"),
        pytest.param(lambda body: body[:-1] + bytes([body[-1] ^ 1]), id="altered"),
        pytest.param(lambda body: b"", id="empty"),
        pytest.param(lambda body: b"not a batch", id="foreign"),
        pytest.param(lambda body: body[:9], id="headless"),
    ],
)
def test_a_broken_batch_is_set_aside_counted_and_blocks_nothing(
    queue: Queue, tmp_path: Path, how: Callable[[bytes], bytes]
) -> None:
    owner = Owner(queue)
    first, second = Journal(tmp_path / "1.journal"), Journal(tmp_path / "2.journal")
    write(first, 2, text="verloren")
    owner.spill.take(first, 0.0)
    damage(how, keys()[0])
    damaged = content(keys()[0])
    ids = write(second, 2)
    owner.spill.take(second, 0.0)
    assert owner.replay()
    assert queue.ids() == ids
    assert owner.broken == 1
    assert keys("spill/") == []
    assert [content(key) for key in keys("spill-broken/shard-001/")] == [damaged]


def test_one_clinics_batch_cannot_be_opened_as_anothers_nor_elsewhere(queue: Queue, journal: Journal) -> None:
    write(journal, 2)
    owner = Owner(queue)
    owner.spill.take(journal, 0.0)
    key = keys()[0]
    body = content(key)
    assert unpack(body, "cli_a", key)
    with pytest.raises(SpillBrokenError):
        unpack(body, "cli_b", key)
    with pytest.raises(SpillBrokenError):
        unpack(body, "cli_a", key.replace("000007", "000008"))
    stolen = key.replace("cli_a", "cli_b")
    clients.s3().put_object(Bucket=BUCKET, Key=stolen, Body=body)
    owner.store.remove(key)
    assert owner.replay()
    assert queue.bodies == []
    assert owner.broken == 1


def test_a_batch_with_another_clinics_entry_inside_is_broken(queue: Queue, journal: Journal) -> None:
    write(journal, 1)
    write(journal, 1, "cli_b")
    owner = Owner(queue)
    mixed = [parcel.body for parcel in owner.ingest.parcels(owner.ingest.sequenced(journal, 10))]
    with pytest.raises(SpillBrokenError):
        unpack(pack(mixed, "cli_a", "k"), "cli_a", "k")


def test_a_batch_larger_than_one_seal_comes_back_whole(queue: Queue, journal: Journal) -> None:
    ids = set()
    for number in range(3):
        # Incompressible, so that one seal of 64 KiB is not enough.
        text = random.Random(number).randbytes(35_000).hex()  # noqa: S311 - not a secret
        ids |= write(journal, 1, text=text)
    owner = Owner(queue)
    owner.spill.take(journal, 0.0)
    assert any(len(content(key)) > 64 * 1024 for key in keys())
    assert owner.replay()
    assert queue.ids() == ids


def test_a_key_service_that_does_not_answer_breaks_no_batch(
    queue: Queue, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = write(journal, 2)
    owner = Owner(queue)
    owner.spill.take(journal, 0.0)

    def down(*_: object) -> bytes:
        raise ServiceUnavailableError

    with monkeypatch.context() as patch:
        patch.setattr("session_runner.publishing.spill_format.open_sealed", down)
        assert not owner.replay()
    assert owner.broken == 0
    assert owner.replay()
    assert queue.ids() == ids


def test_an_erased_clinic_holds_up_nobody_and_its_batches_go(
    queue: Queue, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Owner(queue)
    write(journal, 2, "cli_erased")
    owner.spill.take(journal, 0.0)
    left = write(journal, 3, "cli_erased", text="depois")
    ids = write(journal, 3)

    def seal(plaintext: bytes, clinic_id: str, purpose: str) -> bytes:
        if clinic_id == "cli_erased":
            raise DataErasedError
        return sealing.seal(plaintext, clinic_id, purpose)

    def open_sealed(sealed: bytes, clinic_id: str, purpose: str) -> bytes:
        if clinic_id == "cli_erased":
            raise DataErasedError
        return sealing.open_sealed(sealed, clinic_id, purpose)

    monkeypatch.setattr(spill_format, "seal", seal)
    monkeypatch.setattr(spill_format, "open_sealed", open_sealed)
    assert owner.spill.take(journal, 0.0) == 3
    assert {row.entry_id for row in journal.pending()} == left
    assert owner.replay()
    assert queue.ids() == ids
    assert keys() == []


def test_a_batch_we_may_not_read_at_present_holds_up_nobody(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Owner(queue)
    for name in ("1", "2"):
        journal = Journal(tmp_path / name)
        write(journal, 1, text=name)
        owner.spill.take(journal, 0.0)
    read, refused = owner.store.read, keys()[0]

    def picky(key: str) -> list[str] | None:
        if key == refused:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject")
        return read(key)

    with monkeypatch.context() as patch:
        patch.setattr(owner.store, "read", picky)
        assert not owner.replay()
    assert len(queue.ids()) == 1
    assert keys() == [refused]
    assert owner.replay()
    assert len(queue.ids()) == 2


def test_a_long_backlog_is_spilled_in_several_batches(
    queue: Queue, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spilling, "ROWS_PER_PASS", 25)
    monkeypatch.setattr(spilling, "BYTES_PER_BATCH", 1000)
    ids = write(journal, 30)
    owner = Owner(queue)
    assert owner.spill.take(journal, 0.0) == 30
    assert len(keys()) == 4
    assert owner.replay()
    assert queue.ids() == ids
    assert [entry.sequence for entry in queue.entries()] == sorted(entry.sequence for entry in queue.entries())


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "FIRST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(publishing, "LAST_RETRY_SECONDS", 0.05)
    monkeypatch.setattr(publishing, "SPILL_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(replaying, "RETRY_SECONDS", (0.01, 0.05))


def publishing_of(owner: Owner, after: float) -> tuple[Publisher, Replay]:
    replay = Replay(owner.store, owner.ingest, Blocking(1), QUIET)
    way = Spilling(owner.spill.take, after, Blocking(1), replay.expect, replay.queue_answers)
    return Publisher(owner.ingest.move, Blocking(2), QUIET, way), replay


@pytest.mark.usefixtures("_quick")
def test_while_the_queue_is_down_facts_go_to_s3_and_come_back_when_it_answers(queue: Queue, tmp_path: Path) -> None:
    async def whole() -> None:
        owner = Owner(queue)
        publisher, replay = publishing_of(owner, after=0.1)
        running = asyncio.create_task(replay.run())
        path = tmp_path / "a.journal"
        journal = await publisher.watch(path)
        queue.down = True
        ids = await asyncio.to_thread(write, journal, 12)
        publisher.wake(path)
        await until(lambda: not journal.count(), "spilled")
        assert queue.bodies == []
        queue.down = False
        ids |= await asyncio.to_thread(write, journal, 5, text="depois")
        publisher.wake(path)
        await until(lambda: queue.ids() == ids, "all of it in the queue")
        await until(lambda: not keys(), "nothing left in S3")
        running.cancel()
        await publisher.close()

    asyncio.run(whole())


@pytest.mark.usefixtures("_quick")
def test_a_queue_that_takes_what_it_is_given_is_not_spilled_past(queue: Queue, tmp_path: Path) -> None:
    async def whole() -> None:
        owner = Owner(queue)
        publisher, _ = publishing_of(owner, after=5.0)
        path = tmp_path / "a.journal"
        ids = write(Journal(path, FixedClock()), 30)  # observed long ago
        await publisher.watch(path)
        await until(lambda: queue.ids() == ids, "published")
        await asyncio.sleep(0.1)
        assert keys() == []
        await publisher.close()

    asyncio.run(whole())


@pytest.mark.usefixtures("_quick")
def test_a_task_that_ends_while_the_queue_is_down_leaves_everything_to_the_next_owner(
    queue: Queue, tmp_path: Path
) -> None:
    async def ends() -> set[str]:
        publisher, _ = publishing_of(Owner(queue), after=3600)
        journal = await publisher.watch(tmp_path / "a.journal")
        queue.down = True
        ids = await asyncio.to_thread(write, journal, 12)
        assert not await publisher.flush(0.05)
        assert await publisher.spill_rest()
        await publisher.close()
        return ids

    async def begins() -> None:
        owner = Owner(queue, epoch=8)
        _, replay = publishing_of(owner, after=3600)
        assert not await replay.all(0.1)
        queue.down = False
        assert await replay.all(5)

    ids = asyncio.run(ends())
    asyncio.run(begins())
    assert queue.ids() == ids
    assert {entry.epoch for entry in queue.entries()} == {7}


@pytest.mark.usefixtures("_quick")
def test_with_neither_queue_nor_s3_everything_stays_in_the_journal(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def whole() -> None:
        owner = Owner(queue)
        tries: list[int] = []

        def down(*_: object) -> str:
            tries.append(1)
            raise EndpointConnectionError(endpoint_url="s3")

        monkeypatch.setattr(owner.store, "put", down)
        publisher, _ = publishing_of(owner, after=0.0)
        journal = await publisher.watch(tmp_path / "a.journal")
        queue.down = True
        ids = await asyncio.to_thread(write, journal, 4)
        publisher.wake(tmp_path / "a.journal")
        await until(lambda: len(tries) > 2, "tried again and again")
        assert {row.entry_id for row in journal.pending()} == ids
        assert not await publisher.spill_rest()
        queue.down = False
        await until(lambda: queue.ids() == ids, "published after all")
        await publisher.close()

    asyncio.run(whole())


def test_the_sealed_object_is_encrypted_at_rest_too(queue: Queue, journal: Journal) -> None:
    write(journal, 1)
    Owner(queue).spill.take(journal, 0.0)
    head = clients.s3().head_object(Bucket=BUCKET, Key=keys()[0])
    assert head["ServerSideEncryption"] == "aws:kms"
    assert settings.sealing_key() == KEY
    assert json.dumps(head.get("Metadata", {})) == "{}"
