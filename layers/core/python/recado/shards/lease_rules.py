"""The rules of a shard's lease, without a clock and without a store.

A shard is run by at most one task. The task that runs it holds its lease: an item ``{owner, epoch, counter,
released}``. The holder raises the counter at every renewal; every change of holder raises the epoch, which all writes
that decide something carry. No moment is ever written down or compared between machines: each side measures
durations on its own monotonic clock, as in Amazon's DynamoDB lock client and the Kinesis client library.

Why two holders never act at the same time: a holder acts only until 20 s after the *start* of its last renewal that
succeeded; a taker waits until it has watched the same epoch and counter for 30 s. What the taker watches was written
after that start, and seen after it was written, so the holder stopped at least 10 s before the taker may begin, as
long as no clock runs a quarter faster or slower than another. The other way is evidence: who knows that all processes
of the holder's task have ended need not wait for them.
"""

from dataclasses import dataclass, replace

RENEW_SECONDS = 5.0
FENCE_SECONDS = 20.0
TAKE_OVER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease as it is stored."""

    owner: str
    epoch: int
    counter: int
    released: bool = False


@dataclass(frozen=True, slots=True)
class Watch:
    """The lease as a would-be taker last saw it, and since when it has not moved by the taker's monotonic clock."""

    lease: Lease
    since: float


@dataclass(frozen=True, slots=True)
class Hold:
    """A lease as its holder knows it.

    ``renewed_from`` is the monotonic moment at which the last renewal that succeeded was *started*: the answer may
    have been long under way.
    """

    owner: str
    epoch: int
    renewed_from: float

    @property
    def deadline(self) -> float:
        """The monotonic moment from which the holder must not act any more."""
        return self.renewed_from + FENCE_SECONDS

    def may_act(self, now: float) -> bool:
        """Say whether the holder may act at this monotonic moment."""
        return now < self.deadline

    def renewed(self, started: float) -> "Hold":
        """Return the hold after a renewal that was started then has succeeded; never shortens it."""
        return replace(self, renewed_from=max(self.renewed_from, started))


def watch(before: Watch | None, seen: Lease, now: float) -> Watch:
    """Return what a taker knows after having seen the lease at ``now``.

    Args:
        before: what it knew; None the first time.
        seen: the lease as just read.
        now: the monotonic moment *after* the read was answered.
    """
    return before if before is not None and before.lease == seen else Watch(seen, now)


def may_take(watched: Watch | None, now: float, *, stopped_owner: str | None = None) -> bool:
    """Say whether the lease may be taken.

    Args:
        watched: what the taker knows; None if no lease is stored.
        now: the monotonic moment.
        stopped_owner: an owner whose task is known, by evidence, to have stopped.
    """
    if watched is None or watched.lease.released:
        return True
    return watched.lease.owner == stopped_owner or now - watched.since >= TAKE_OVER_SECONDS


def taken(watched: Watch | None, owner: str) -> Lease:
    """Return the lease to write when taking; it must replace exactly the one that was watched."""
    if watched is None:
        return Lease(owner, epoch=1, counter=1)
    return Lease(owner, epoch=watched.lease.epoch + 1, counter=watched.lease.counter + 1)


def is_own_attempt(stored: Lease | None, attempt: Lease) -> bool:
    """Say whether the stored lease is the one an attempt wrote whose answer got lost."""
    return stored is not None and (stored.owner, stored.epoch) == (attempt.owner, attempt.epoch) and not stored.released
