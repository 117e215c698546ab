"""At no moment may two tasks act in the name of one shard, whatever clocks, pauses and the network do."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recado.shards import lease_rules
from recado.shards.lease import ShardLease
from recado.shards.lease_rules import Hold, Lease, Watch, is_own_attempt, may_take, taken, watch
from tests.unit.shards.lease_world import Bugs, TwoActedError, World

LEASES = st.builds(Lease, st.sampled_from(["a", "b"]), st.integers(1, 5), st.integers(1, 5), st.booleans())


@settings(max_examples=300)
@given(st.integers(0, 2**64))
def test_two_tasks_never_act_at_once(seed: int) -> None:
    """With skewed clocks, long pauses, lost answers, kills, evidence and releases; and epochs never fall."""
    world = World(seed)
    world.run(steps=60)
    assert world.epochs == sorted(world.epochs)


def test_evidence_is_put_to_use_in_that_world() -> None:
    """Else the property would say nothing of take-overs that do not wait."""
    worlds = [World(seed) for seed in range(20)]
    for world in worlds:
        world.run(steps=60)
    assert sum(world.evidence_used for world in worlds) > 10


def _finds(seeds: int, **built_in: object) -> bool:
    for seed in range(seeds):
        try:
            World(seed, **built_in).run(steps=60)  # type: ignore[arg-type]
        except TwoActedError:
            return True
    return False


@pytest.mark.parametrize(
    "bugs",
    [
        Bugs(renewal_checks_no_epoch=True),
        Bugs(taking_checks_nothing=True),
        Bugs(evidence_guesses=True),
        Bugs(evidence_names_nobody=True),
    ],
    ids=lambda bugs: next(name for name, built_in in vars(bugs).items() if built_in),
)
def test_the_property_finds_a_dropped_check(bugs: Bugs) -> None:
    """A write that forgets its condition, and evidence that is false or against anybody, break the property."""
    assert _finds(400, bugs=bugs)


def _fences_from_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def renew(self: ShardLease) -> bool:
        if self._hold is None:
            return False
        if not self._store.renew(self._shard_id, self._hold.owner, self._hold.epoch):
            self._hold = None
            return False
        self._hold = self._hold.renewed(self._clock.monotonic())
        return True

    monkeypatch.setattr(ShardLease, "renew", renew)


def _takes_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_rules, "TAKE_OVER_SECONDS", 10.0)


def _watches_carelessly(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(before: Watch | None, seen: Lease, now: float) -> Watch:
        return Watch(seen, before.since if before else now)

    monkeypatch.setattr(lease_rules, "watch", careless)


@pytest.mark.parametrize("build_in", [_fences_from_the_answer, _takes_too_early, _watches_carelessly])
def test_the_property_finds_wrong_rules(
    build_in: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A late fence, an early taker and a watcher who misses a renewal are all found."""
    build_in(monkeypatch)
    assert _finds(2000)


def test_clocks_that_differ_beyond_the_margin_are_not_safe() -> None:
    """The stated limit is real: with clocks a half off, the property does not hold."""
    assert _finds(2000, speeds=(0.6, 1.4))


@given(LEASES, LEASES, st.floats(0, 1e6), st.floats(0, 1e3))
def test_watching_starts_anew_when_the_lease_moves(one: Lease, other: Lease, since: float, later: float) -> None:
    """Only an unmoved lease keeps its time; any change of holder, epoch or counter starts it again."""
    watched = watch(None, one, since)
    assert watch(watched, one, since + later) == watched
    if one != other:
        assert watch(watched, other, since + later) == Watch(other, since + later)


@given(LEASES, st.floats(0, 1e6), st.floats(0, 100))
def test_taking_waits_unless_there_is_no_need(lease: Lease, since: float, waited: float) -> None:
    """A free or released lease, and that of a task known to have stopped, is taken at once; any other after 30 s."""
    assert may_take(None, since)
    now = since + waited
    watched = Watch(lease, since)
    assert may_take(watched, now) == (lease.released or now - since >= 30)
    assert may_take(watched, now, stopped_owner=lease.owner)


@given(LEASES, st.text(min_size=1))
def test_taking_raises_epoch_and_counter(lease: Lease, owner: str) -> None:
    """Every change of holder is a new epoch, and the others see that something moved."""
    after = taken(Watch(lease, 0.0), owner)
    assert (after.owner, after.epoch, after.released) == (owner, lease.epoch + 1, False)
    assert after.counter != lease.counter
    assert taken(None, owner) == Lease(owner, 1, 1)


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_renewal_never_shortens_the_time(before: float, started: float) -> None:
    """An answer that arrives after that of a later renewal changes nothing."""
    hold = Hold("a", 1, before).renewed(started)
    assert hold.deadline == max(before, started) + 20
    assert hold.may_act(max(before, started) + 19)
    assert not hold.may_act(hold.deadline)


@given(LEASES)
def test_only_ones_own_attempt_is_recognised(attempt: Lease) -> None:
    """After a lost answer, the stored lease counts as one's own only with the same owner and epoch, unreleased."""
    assert is_own_attempt(attempt, attempt) == (not attempt.released)
    assert not is_own_attempt(None, attempt)
    assert not is_own_attempt(Lease("other", attempt.epoch, attempt.counter), attempt)
    assert not is_own_attempt(Lease(attempt.owner, attempt.epoch + 1, attempt.counter), attempt)
