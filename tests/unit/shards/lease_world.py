"""A small world for leases: clocks of different speeds, and calls that take long, fail or lose their answer.

While one task's call is under way, the others go on, as deep as the world likes: so a renewal can be started, the
process pause, another task take over, and the answer arrive late. A task may be killed at any moment, also in the
middle of a call, which then reaches the store all the same; in every other world there is evidence against it from then
on, which may be asked for at any later time.
"""

import random
from dataclasses import dataclass, replace

from recado.kernel.errors import ServiceUnavailableError
from recado.shards.lease import ShardLease
from recado.shards.lease_rules import Lease

_SHARD = "shard-001"


class TwoActedError(Exception):
    """Two tasks might have acted in the shard's name at the same moment: what must never be."""


@dataclass(frozen=True)
class Bugs:
    """Mistakes that can be built into the store and into the evidence, to see that the property would find them."""

    renewal_checks_no_epoch: bool = False
    taking_checks_nothing: bool = False
    evidence_guesses: bool = False
    evidence_names_nobody: bool = False


class TaskClock:
    """A task's own monotonic clock: another start and another speed than everybody else's."""

    def __init__(self, world: "World", start: float, speed: float) -> None:
        self._world, self._start, self._speed = world, start, speed

    def monotonic(self) -> float:
        return self._start + self._speed * self._world.time

    def now(self) -> None:
        raise AssertionError("a lease must not look at wall clocks")


class FlakyStore:
    """The lease store as one task reaches it."""

    def __init__(self, world: "World", bugs: Bugs) -> None:
        self._world, self._bugs = world, bugs

    def read(self, shard_id: str) -> Lease | None:
        self._on_the_way()
        seen = self._world.stored
        self._on_the_way()
        return seen

    def take(self, shard_id: str, seen: Lease | None, lease: Lease) -> bool:
        self._on_the_way()
        done = self._bugs.taking_checks_nothing or self._world.stored == seen
        if done:
            self._world.write(lease)
        self._on_the_way()
        return done

    def renew(self, shard_id: str, owner: str, epoch: int) -> bool:
        return self._change(epoch, released=False)

    def release(self, shard_id: str, owner: str, epoch: int) -> bool:
        return self._change(epoch, released=True)

    def _change(self, epoch: int, *, released: bool) -> bool:
        self._on_the_way()
        stored = self._world.stored
        own = stored is not None and stored.epoch == epoch and not stored.released
        done = stored is not None and (own or self._bugs.renewal_checks_no_epoch)
        if stored is not None and done:
            self._world.write(replace(stored, counter=stored.counter + 1, released=released))
        self._on_the_way()
        return done

    def _on_the_way(self) -> None:
        if self._world.random.random() < 0.3:
            self._world.pass_time(self._world.random.choice((0.01, 1, 4, 11, 25)))
        if self._world.random.random() < 0.15:
            self._world.step()
        if self._world.random.random() < 0.08:
            raise ServiceUnavailableError


class World:
    """Three tasks that want the same shard, one store, one time."""

    def __init__(self, seed: int, bugs: Bugs | None = None, speeds: tuple[float, float] = (0.92, 1.08)) -> None:
        self.random = random.Random(seed)  # noqa: S311 - to be repeatable
        self.time = 0.0
        self.stored: Lease | None = None
        self.epochs: list[int] = []
        self._speeds = speeds
        self._bugs = bugs or Bugs()
        self._store = FlakyStore(self, self._bugs)
        self._made = 0
        self._busy: set[int] = set()
        self._ended: set[str] = set()
        self._knows_of_ends = self.random.random() < 0.5
        self.evidence_used = 0
        self._names: dict[int, str] = {}
        self._tasks = [self._task(number) for number in range(3)]

    def run(self, steps: int) -> None:
        """Let the tasks act in a random order.

        Raises:
            TwoActedError: two of them could have acted at one moment.
        """
        for _ in range(steps):
            self.pass_time(self.random.choice((0.01, 1, 3, 5, 8, 21, 33)))
            self.step()

    def step(self) -> None:
        """Let one task that is not in the middle of a call do something."""
        if self.random.random() < 0.04:
            killed = self.random.randrange(len(self._tasks))
            self._ended.add(self._names[killed])
            self._tasks[killed] = self._task(killed)  # Killed and started anew: it remembers nothing.
            return
        idle = [number for number in range(len(self._tasks)) if number not in self._busy]
        if not idle:
            return
        number = self.random.choice(idle)
        self._busy.add(number)
        try:
            self._act(self._tasks[number])
        except ServiceUnavailableError:
            self._check()
        finally:
            self._busy.discard(number)
        self._check()

    def pass_time(self, seconds: float) -> None:
        """Let time pass for everybody, each clock at its own speed."""
        self.time += seconds
        self._check()

    def write(self, lease: Lease) -> None:
        """Replace the stored lease."""
        self.stored = lease
        self.epochs.append(lease.epoch)

    def _act(self, task: ShardLease) -> None:
        if not task.held:
            epochs = len(self.epochs)
            stopped = self._evidence_against(task.rival)
            task.try_acquire(stopped_owner=stopped)
            self.evidence_used += stopped is not None and len(self.epochs) > epochs
        elif self.random.random() < 0.05:
            task.release()
        else:
            task.renew()

    def _evidence_against(self, rival: str | None) -> str | None:
        if rival is None or not self._knows_of_ends or self.random.random() < 0.3:
            return None
        certain = rival in self._ended or (self._bugs.evidence_guesses and self.random.random() < 0.2)
        if not certain and not (self._bugs.evidence_names_nobody and self._ended):
            return None
        # Asking takes time, and by the answer the lease may be somebody else's.
        if self.random.random() < 0.3:
            self.step()
        if self._bugs.evidence_names_nobody:
            return self.stored.owner if self.stored else None
        return rival

    def _check(self) -> None:
        acting = [task for task in self._tasks if task.may_act()]
        if len(acting) > 1:
            raise TwoActedError

    def _task(self, number: int) -> ShardLease:
        self._made += 1
        self._names[number] = f"task-{self._made}"
        clock = TaskClock(self, self.random.uniform(0, 1e6), self.random.uniform(*self._speeds))
        return ShardLease(_SHARD, self._names[number], clock, self._store)  # type: ignore[arg-type]
