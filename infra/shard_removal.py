"""Which shards a deployment would take away, and why it may not: sessions, commands or facts would be left behind."""

from collections.abc import Callable
from dataclasses import dataclass

from infra.config import Stage
from infra.shard_names import shared_id

_HOW = 'see "Giving up a shard" in docs/deploy.md'


class UnknownRemainsError(Exception):
    """What is left on a shard could not be found out; the text says why."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """What is there of a stage's shards.

    Attributes:
        carried: the shards of the deployed templates.
        left: shards that are not in them any more, of which a command queue remains.
        highest_shared: how many shared shards were ever declared, those given up included.
    """

    carried: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    highest_shared: int = 0


@dataclass(frozen=True, slots=True)
class Remains:
    """What would have nobody to care for it if a shard were taken away.

    Attributes:
        channels: channels placed on it.
        commands: commands in its queue, those being handled included.
        spilled: whether facts that its runners spilled wait in the vault's bucket for the next one.
    """

    channels: int = 0
    commands: int = 0
    spilled: bool = False

    def __str__(self) -> str:
        parts = [f"{self.channels} channels"] if self.channels else []
        parts += [f"{self.commands} commands in its queue"] if self.commands else []
        parts += ["spilled facts that nobody has replayed"] if self.spilled else []
        return ", ".join(parts)


def refusals(stage: Stage, deployed: Deployed, remains_of: Callable[[str], Remains]) -> list[str]:
    """Return why a stage may not be deployed as it is declared, a sentence for each reason; empty if it may.

    Args:
        stage: as declared now.
        deployed: what is there.
        remains_of: finds out what is left on a shard; raises UnknownRemainsError if it cannot.
    """
    return [*_reused(stage, deployed), *_left_behind(stage, deployed, remains_of)]


def _reused(stage: Stage, deployed: Deployed) -> list[str]:
    """Shard ids are permanent: what was one shard must never become another."""
    if stage.shared_shards < deployed.highest_shared:
        return [
            f"shards.shared is {stage.shared_shards}, but {deployed.highest_shared} were declared before: "
            f"the ids would be used again when it is raised. Leave it and name the shards in shards.retired; {_HOW}."
        ]
    before = {shared_id(number) for number in range(1, deployed.highest_shared + 1)}
    again = sorted(before & set(stage.shard_ids) - deployed.carried)
    return [
        f"{shard_id} was given up before; its id is not used again. Leave it in shards.retired." for shard_id in again
    ]


def _left_behind(stage: Stage, deployed: Deployed, remains_of: Callable[[str], Remains]) -> list[str]:
    found = []
    for shard_id in sorted((deployed.carried | deployed.left) - set(stage.shard_ids)):
        try:
            remains = remains_of(shard_id)
        except UnknownRemainsError as error:
            found.append(f"{shard_id} would disappear, and what is left on it cannot be known: {error}")
            continue
        if remains != Remains():
            found.append(f"{shard_id} would disappear, but it still has {remains}; {_HOW}.")
    return found
