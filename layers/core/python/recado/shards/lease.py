"""A task's view of its shard's lease: taking it, keeping it and giving it back."""

from typing import Protocol

from recado.kernel.clock import Clock
from recado.kernel.errors import ServiceUnavailableError
from recado.shards import lease_rules
from recado.shards.lease_rules import Hold, Lease, Watch
from recado.shards.lease_table import LeaseTable


class LeaseStore(Protocol):
    """Where leases are kept: conditional writes, each of which may be answered late or never."""

    def read(self, shard_id: str) -> Lease | None:
        """Return the lease as stored now."""
        ...

    def take(self, shard_id: str, seen: Lease | None, lease: Lease) -> bool:
        """Replace exactly the lease that was seen; False if it is another by now."""
        ...

    def renew(self, shard_id: str, owner: str, epoch: int) -> bool:
        """Raise the counter; False if the lease is not this owner's any more."""
        ...

    def release(self, shard_id: str, owner: str, epoch: int) -> bool:
        """Mark the lease as given back; False if it was not this owner's any more."""
        ...


class ShardLease:
    """The lease of one shard, as one task sees it. Not for use from several threads at once.

    Args:
        shard_id: the shard.
        owner: who asks; must be new for every start of a task, or a restarted task would take itself for its
            predecessor.
        clock: only its monotonic seconds are used.
        store: where leases are kept.
    """

    def __init__(self, shard_id: str, owner: str, clock: Clock, store: LeaseStore | None = None) -> None:
        self._shard_id = shard_id
        self._owner = owner
        self._clock = clock
        self._store = store or LeaseTable()
        self._watch: Watch | None = None
        self._hold: Hold | None = None

    @property
    def rival(self) -> str | None:
        """Who held the lease when it was last looked at; None if nobody did, or if it is ours."""
        if self._hold is not None or self._watch is None or self._watch.lease.released:
            return None
        return self._watch.lease.owner

    @property
    def held(self) -> bool:
        """Whether the lease was taken and not since lost or released; says nothing of the deadline."""
        return self._hold is not None

    @property
    def epoch(self) -> int:
        """The epoch that writes must carry.

        Raises:
            RuntimeError: the lease is not held.
        """
        return self._required().epoch

    def deadline_monotonic(self) -> float:
        """Return the monotonic moment from which nothing may be done in the lease's name, unless it is renewed.

        Raises:
            RuntimeError: the lease is not held.
        """
        return self._required().deadline

    def may_act(self) -> bool:
        """Say whether something may be done in the lease's name now."""
        return self._hold is not None and self._hold.may_act(self._clock.monotonic())

    def try_acquire(self, *, stopped_owner: str | None = None) -> bool:
        """Look at the lease and take it if the rules allow; call it again every few seconds until it says True.

        Args:
            stopped_owner: an owner whose task is known to have stopped and will never act again, from which it may be
                taken at once. It is compared with the owner found now: evidence against an earlier one says nothing.

        Raises:
            ServiceUnavailableError: the store does not answer; call again.
        """
        if self._hold is not None:
            return True
        seen = self._store.read(self._shard_id)
        self._watch = lease_rules.watch(self._watch, seen, self._clock.monotonic()) if seen else None
        started = self._clock.monotonic()
        if not lease_rules.may_take(self._watch, started, stopped_owner=stopped_owner):
            return False
        attempt = lease_rules.taken(self._watch, self._owner)
        if not self._took(attempt):
            return False
        self._hold = Hold(self._owner, attempt.epoch, renewed_from=started)
        return True

    def renew(self) -> bool:
        """Extend the deadline; call it every 5 seconds.

        Returns:
            False if the lease is lost for good: whatever runs in its name must be stopped at once.

        Raises:
            ServiceUnavailableError: the store does not answer. The lease is not lost by that, but the deadline stays
                where it was.
        """
        if self._hold is None:
            return False
        started = self._clock.monotonic()
        if not self._store.renew(self._shard_id, self._hold.owner, self._hold.epoch):
            self._hold = None
            return False
        self._hold = self._hold.renewed(started)
        return True

    def release(self) -> None:
        """Give the lease back, so that the next task need not wait; nothing may run in its name any more.

        Raises:
            ServiceUnavailableError: the store does not answer; the next task will wait its 30 seconds.
        """
        hold, self._hold = self._hold, None
        self._watch = None
        if hold is not None:
            self._store.release(self._shard_id, hold.owner, hold.epoch)

    def _took(self, attempt: Lease) -> bool:
        try:
            return self._store.take(self._shard_id, self._watch.lease if self._watch else None, attempt)
        except ServiceUnavailableError:
            # The write may have gone through although its answer did not: only the stored lease tells.
            return lease_rules.is_own_attempt(self._store.read(self._shard_id), attempt)

    def _required(self) -> Hold:
        if self._hold is None:
            raise RuntimeError("the lease is not held")
        return self._hold
