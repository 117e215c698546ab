"""Leases in the table ``runtime``: ``shard#<shard>``/``lease``. They have no TTL and are in no backup.

Every write is conditional; none is tried again by the client, because a late renewal is worth less than none.
"""

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute

from recado.aws.models import ClinicItem, ConditionFailedError
from recado.shards.lease_rules import Lease

_SORT_KEY = "lease"


class LeaseRecord(ClinicItem):
    """A lease as stored."""

    table = "runtime"
    impatient = True

    owner = UnicodeAttribute()
    epoch = NumberAttribute()
    counter = NumberAttribute()
    released = BooleanAttribute(default=False)

    def lease(self) -> Lease:
        """Return the lease."""
        return Lease(self.owner, int(self.epoch), int(self.counter), self.released)


class LeaseTable:
    """The leases' store. Each method raises ServiceUnavailableError when DynamoDB does not answer."""

    def read(self, shard_id: str) -> Lease | None:
        """Return the lease as it is stored now."""
        record = LeaseRecord.find(*lease_key(shard_id))
        return record.lease() if record else None

    def take(self, shard_id: str, seen: Lease | None, lease: Lease) -> bool:
        """Replace exactly the lease that was seen; False if it is another by now."""
        record = LeaseRecord(
            *lease_key(shard_id),
            owner=lease.owner,
            epoch=lease.epoch,
            counter=lease.counter,
            released=lease.released,
        )
        unmoved = LeaseRecord.pk.does_not_exist()
        if seen is not None:
            unmoved = (
                (LeaseRecord.owner == seen.owner)
                & (LeaseRecord.epoch == seen.epoch)
                & (LeaseRecord.counter == seen.counter)
                & (LeaseRecord.released == seen.released)
            )
        try:
            record.store(unmoved)
        except ConditionFailedError:
            return False
        return True

    def renew(self, shard_id: str, owner: str, epoch: int) -> bool:
        """Raise the counter; False if the lease is not this owner's any more."""
        return self._change(shard_id, owner, epoch, released=False)

    def release(self, shard_id: str, owner: str, epoch: int) -> bool:
        """Mark the lease as given back; False if it was not this owner's any more."""
        return self._change(shard_id, owner, epoch, released=True)

    def _change(self, shard_id: str, owner: str, epoch: int, *, released: bool) -> bool:
        still_own = (
            (LeaseRecord.owner == owner) & (LeaseRecord.epoch == epoch) & (LeaseRecord.released == False)  # noqa: E712
        )
        actions = [LeaseRecord.counter.add(1), LeaseRecord.released.set(released)]
        try:
            LeaseRecord(*lease_key(shard_id)).change(actions, still_own)
        except ConditionFailedError:
            return False
        return True


def lease_key(shard_id: str) -> tuple[str, str]:
    """Return the key of a shard's lease."""
    return f"shard#{shard_id}", _SORT_KEY
