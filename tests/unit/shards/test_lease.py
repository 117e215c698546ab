"""The lease of a shard on the real table."""

import pytest
from botocore.exceptions import ReadTimeoutError
from pynamodb.connection import Connection
from pynamodb.exceptions import PutError

from recado.kernel.errors import ServiceUnavailableError
from recado.shards.lease import ShardLease
from recado.shards.lease_rules import Lease
from recado.shards.lease_table import LeaseTable
from tests.support.aws import EmulatedAws
from tests.support.clock import FixedClock

SHARD = "shard-001"


def test_the_first_task_gets_the_lease_and_the_second_waits(aws: EmulatedAws, clock: FixedClock) -> None:
    """Only one holds it; its deadline is 20 s after the start of taking it."""
    first, second = ShardLease(SHARD, "one", clock), ShardLease(SHARD, "two", clock)
    assert first.try_acquire()
    assert not second.try_acquire()
    assert (first.epoch, first.deadline_monotonic()) == (1, clock.monotonic() + 20)
    assert first.may_act()
    assert not second.may_act()
    assert first.try_acquire()


def test_another_shards_lease_is_another(aws: EmulatedAws, clock: FixedClock) -> None:
    """Two tasks may hold two shards."""
    assert ShardLease("shard-001", "one", clock).try_acquire()
    assert ShardLease("shard-002", "two", clock).try_acquire()


def test_a_silent_holder_is_followed_after_30_seconds(aws: EmulatedAws, clock: FixedClock) -> None:
    """The taker counts from when it saw the counter move; the old holder learns that the lease is lost."""
    first, second = ShardLease(SHARD, "one", clock), ShardLease(SHARD, "two", clock)
    first.try_acquire()
    assert not second.try_acquire()
    clock.advance(29)
    assert not second.try_acquire()
    assert first.renew()
    clock.advance(29)
    assert not second.try_acquire()
    clock.advance(29.9)
    assert not second.try_acquire()
    clock.advance(0.1)
    assert second.try_acquire()
    assert second.epoch == 2
    assert not first.may_act()
    assert not first.renew()
    assert not first.held
    with pytest.raises(RuntimeError):
        _ = first.epoch


def test_a_released_lease_is_taken_at_once(aws: EmulatedAws, clock: FixedClock) -> None:
    """Handing over costs no waiting, and raises the epoch."""
    first, second = ShardLease(SHARD, "one", clock), ShardLease(SHARD, "two", clock)
    first.try_acquire()
    first.release()
    assert not first.may_act()
    assert not first.renew()
    assert second.try_acquire()
    assert second.epoch == 2


def test_evidence_of_a_stopped_task_saves_the_waiting(aws: EmulatedAws, clock: FixedClock) -> None:
    """Only the lease of the very task that stopped is taken."""
    first, second = ShardLease(SHARD, "one", clock), ShardLease(SHARD, "two", clock)
    first.try_acquire()
    assert not second.try_acquire(stopped_owner="zero")
    assert second.try_acquire(stopped_owner="one")


def test_a_late_release_does_not_take_the_lease_from_its_new_holder(aws: EmulatedAws, clock: FixedClock) -> None:
    """A task that wakes up late and gives back what it lost long ago changes nothing."""
    first, second = ShardLease(SHARD, "one", clock), ShardLease(SHARD, "two", clock)
    first.try_acquire()
    second.try_acquire()
    clock.advance(30)
    assert second.try_acquire()
    first.release()
    assert LeaseTable().read(SHARD) == Lease("two", 2, 2)


def test_an_older_epoch_of_the_same_owner_changes_nothing(aws: EmulatedAws, clock: FixedClock) -> None:
    """The epoch is checked, not only the name."""
    table = LeaseTable()
    assert table.take(SHARD, None, Lease("one", 7, 1))
    for epoch in (6, 8):
        assert not table.renew(SHARD, "one", epoch)
        assert not table.release(SHARD, "one", epoch)
    assert not table.renew(SHARD, "other", 7)
    assert table.renew(SHARD, "one", 7)
    assert table.read(SHARD) == Lease("one", 7, 2)
    assert table.release(SHARD, "one", 7)
    assert not table.renew(SHARD, "one", 7)


@pytest.mark.parametrize(
    "seen",
    [None, Lease("two", 1, 1), Lease("one", 2, 1), Lease("one", 1, 2), Lease("one", 1, 1, released=True)],
)
def test_taking_replaces_exactly_what_was_seen(aws: EmulatedAws, seen: Lease | None) -> None:
    """Any difference from the stored lease refuses the taker."""
    table = LeaseTable()
    assert table.take(SHARD, None, Lease("one", 1, 1))
    assert not table.take(SHARD, seen, Lease("three", 9, 9))
    assert table.take(SHARD, Lease("one", 1, 1), Lease("three", 9, 9))


def _losing_answers(monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    really = Connection.dispatch

    def dispatch(self: Connection, name: str, arguments: object) -> object:
        answer = really(self, name, arguments)  # type: ignore[arg-type]
        if name == operation:
            raise PutError("lost", ReadTimeoutError(endpoint_url="http://127.0.0.1:1"))
        return answer

    monkeypatch.setattr(Connection, "dispatch", dispatch)


def test_a_lost_answer_to_taking_is_looked_up(
    aws: EmulatedAws, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease that was taken without our hearing of it is ours."""
    lease = ShardLease(SHARD, "one", clock)
    with monkeypatch.context() as lossy:
        _losing_answers(lossy, "PutItem")
        assert lease.try_acquire()
    assert lease.renew()


def test_a_store_out_of_reach_is_not_a_lost_lease(
    aws: EmulatedAws, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease stays ours and the deadline where it was; when the store is back, the lease goes on."""
    lease = ShardLease(SHARD, "one", clock)
    lease.try_acquire()
    deadline = lease.deadline_monotonic()
    clock.advance(19)
    with monkeypatch.context() as lossy:
        _losing_answers(lossy, "UpdateItem")
        with pytest.raises(ServiceUnavailableError):
            lease.renew()
    assert lease.held
    assert lease.deadline_monotonic() == deadline
    clock.advance(2)
    assert not lease.may_act()
    assert lease.renew()
    assert lease.may_act()


def test_a_lease_has_no_expiry_and_one_try(aws: EmulatedAws, clock: FixedClock) -> None:
    """Nothing deletes a lease behind our back, and one renewal is one call."""
    lease = ShardLease(SHARD, "one", clock)
    lease.try_acquire()
    assert "expires_at" not in aws.items("runtime")[0]
    with aws.counting_calls() as calls:
        lease.renew()
    assert calls == ["UpdateItem"]
