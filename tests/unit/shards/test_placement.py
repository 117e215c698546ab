"""Channels go to the least loaded shard that has room, and are counted exactly."""

import threading
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from recado.aws import clients, settings
from recado.aws.transactions import Transaction
from recado.kernel.envelopes import Command
from recado.kernel.errors import NoShardAvailableError, ServiceUnavailableError
from recado.shards import service as shards
from recado.shards.model import MOST_CHANNELS, Shard, ShardFullError, by_load, open_to
from recado.shards.table import ShardRecord, shard_key
from tests.support.aws import EmulatedAws
from tests.support.clock import FixedClock

_CLINIC = "cli_01k0000000000000000000000a"
_OTHER = "cli_01k0000000000000000000000b"
_CLINICS = st.from_regex(r"cli_[0-7][0-9a-hjkmnp-tv-z]{25}", fullmatch=True)
_SHARED = st.integers(1, 999).map("shard-{:03d}".format)
_IDS = st.one_of(_SHARED, _CLINICS.map(lambda clinic_id: clinic_id.replace("cli_", "shard-")))
SHARDS = st.lists(st.builds(Shard, _IDS, st.integers(0, MOST_CHANNELS + 5)), unique_by=lambda shard: shard.shard_id)


def _own_shard(clinic_id: str) -> str:
    return clinic_id.replace("cli_", "shard-")


@given(SHARDS)
def test_the_least_loaded_with_room_comes_first(declared: list[Shard]) -> None:
    """Full shards are left out, the rest are in the order of their load."""
    ordered = by_load(declared)
    assert [shard.channels for shard in ordered] == sorted(
        shard.channels for shard in declared if shard.channels < MOST_CHANNELS
    )


@given(SHARDS, _CLINICS, st.booleans())
def test_a_dedicated_shard_is_its_clinics_and_its_clinic_has_no_other(
    declared: list[Shard],
    clinic_id: str,
    has_own: bool,
) -> None:
    """Whatever is declared: a clinic with a shard of its own gets that one alone, any other all shared ones."""
    shard_ids = {shard.shard_id for shard in declared} - {_own_shard(clinic_id)}
    shared = {shard_id for shard_id in shard_ids if len(shard_id) == len("shard-001")}
    if has_own:
        shard_ids.add(_own_shard(clinic_id))
    assert set(open_to(clinic_id, shard_ids)) == ({_own_shard(clinic_id)} if has_own else shared)


@given(SHARDS, _CLINICS, _CLINICS)
def test_no_clinic_is_ever_placed_with_another_that_has_a_shard(
    declared: list[Shard], clinic_id: str, other: str
) -> None:
    """However many shards are full, the other clinic's own shard is no way out."""
    shard_ids = [shard.shard_id for shard in declared] + [_own_shard(other)]
    if clinic_id != other:
        assert _own_shard(other) not in open_to(clinic_id, shard_ids)


def _hold(shard_id: str) -> None:
    transaction = Transaction()
    shards.hold(transaction, shard_id)
    transaction.commit()


def _release(shard_id: str) -> None:
    transaction = Transaction()
    shards.release(transaction, shard_id)
    transaction.commit()


def _fill(shard_id: str, channels: int) -> None:
    ShardRecord(*shard_key(shard_id), channels=channels).store()


def test_declared_shards_are_there_before_anything_is_stored(aws: EmulatedAws) -> None:
    """A new installation has its shards, empty."""
    assert shards.declared() == [Shard("shard-001", 0), Shard("shard-002", 0)]
    assert shards.place(_CLINIC) == ["shard-001", "shard-002"]


def test_placement_follows_the_load(aws: EmulatedAws) -> None:
    """Holding and releasing a place is what the next placement sees."""
    _hold("shard-001")
    assert shards.place(_CLINIC)[0] == "shard-002"
    _hold("shard-002")
    _hold("shard-002")
    assert shards.place(_CLINIC)[0] == "shard-001"
    _release("shard-002")
    _release("shard-002")
    assert shards.place(_CLINIC)[0] == "shard-002"


def test_a_full_shard_takes_no_channel(aws: EmulatedAws) -> None:
    """The limit is kept by the write itself, not by the reading before it."""
    _fill("shard-001", MOST_CHANNELS - 1)
    _hold("shard-001")
    with pytest.raises(ShardFullError):
        _hold("shard-001")
    assert shards.declared()[0].channels == MOST_CHANNELS
    assert shards.place(_CLINIC) == ["shard-002"]
    _fill("shard-002", MOST_CHANNELS)
    with pytest.raises(NoShardAvailableError):
        shards.place(_CLINIC)


def _declare(monkeypatch: pytest.MonkeyPatch, listed: str) -> None:
    monkeypatch.setenv("RECADO_SHARDS", listed)
    settings.shard_queues.cache_clear()


def test_a_clinic_with_a_shard_of_its_own_is_placed_there(aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """However full it is beside the shared ones; the other clinic, and one without, goes where there is least."""
    _declare(monkeypatch, "001,01k0000000000000000000000a")
    _fill(_own_shard(_CLINIC), 400)
    assert shards.place(_CLINIC) == [_own_shard(_CLINIC)]
    assert shards.place(_OTHER) == ["shard-001"]


def test_a_full_dedicated_shard_is_full_for_its_clinic(aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not let in elsewhere, and full shared shards let nobody in with it."""
    _declare(monkeypatch, "001,01k0000000000000000000000a")
    _fill(_own_shard(_CLINIC), MOST_CHANNELS)
    with pytest.raises(NoShardAvailableError):
        shards.place(_CLINIC)
    _fill(_own_shard(_CLINIC), 0)
    _fill("shard-001", MOST_CHANNELS)
    with pytest.raises(NoShardAvailableError):
        shards.place(_OTHER)
    assert shards.place(_CLINIC) == [_own_shard(_CLINIC)]


def test_a_closed_shard_gets_no_new_channel(aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor a clinic's own, whose new channels then go where those of others go; the channels it has stay there."""
    _declare(monkeypatch, "001-002,01k0000000000000000000000a")
    monkeypatch.setenv("RECADO_CLOSED_SHARDS", "001,01k0000000000000000000000a")
    settings.closed_shards.cache_clear()
    _fill("shard-001", 3)
    assert shards.place(_CLINIC) == shards.place(_OTHER) == ["shard-002"]
    assert sorted(shard.channels for shard in shards.declared()) == [0, 0, 3]


def test_placing_reads_only_the_shards_that_are_open_to_the_clinic(
    aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call, however many shards there are; more than 100 keys take another, by DynamoDB's limit."""
    _declare(monkeypatch, "001-250,01k0000000000000000000000a")
    for clinic_id, calls in ((_CLINIC, 1), (_OTHER, 3)):
        with aws.counting_calls() as made:
            shards.place(clinic_id)
        assert made == ["BatchGetItem"] * calls


def test_parallel_placements_do_not_overfill(aws: EmulatedAws) -> None:
    """With three places left, three of eight get one."""
    _fill("shard-001", MOST_CHANNELS - 3)
    refused: list[str] = []

    def hold() -> None:
        try:
            _hold("shard-001")
        except ShardFullError:
            refused.append("full")

    threads = [threading.Thread(target=hold) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 5
    assert shards.declared()[0].channels == MOST_CHANNELS


def test_a_lost_count_does_not_make_shards_look_less_than_empty(aws: EmulatedAws) -> None:
    """The counts are in no backup; releasing after their loss must work all the same."""
    _release("shard-001")
    assert shards.declared()[0].channels == 0


def _command(clock: FixedClock) -> Command:
    return Command(
        "cmd_1", "channel.reconcile", "cli_1", "chn_1", clock.now(), clock.now() + timedelta(hours=1), {"a": 1}
    )


def test_a_command_reaches_its_shard_and_no_other(aws: EmulatedAws, clock: FixedClock) -> None:
    """Each shard has its queue."""
    shards.send_command("shard-002", _command(clock))
    assert aws.commands("shard-001") == []
    assert aws.commands("shard-002") == [_command(clock)]


def test_a_queue_that_does_not_answer_is_said_to(
    aws: EmulatedAws, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage is passed on as such; our own mistakes as they are."""
    code = "ThrottlingException"

    def fail(**_: object) -> None:
        raise ClientError({"Error": {"Code": code}}, "SendMessage")

    monkeypatch.setattr(clients.sqs(), "send_message", fail)
    with pytest.raises(ServiceUnavailableError):
        shards.send_command("shard-001", _command(clock))
    code = "AccessDenied"
    with pytest.raises(ClientError):
        shards.send_command("shard-001", _command(clock))
    with pytest.raises(KeyError):
        shards.send_command("shard-999", _command(clock))
