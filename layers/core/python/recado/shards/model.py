"""What placement knows of a shard, and where it puts a clinic's next channel."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MOST_CHANNELS = 500
"""From here on a shard takes no further channel (design, 8.: the first of the thresholds)."""

_SHARD = "shard-"
_CLINIC = "cli_"


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard and how many channels are placed on it."""

    shard_id: str
    channels: int

    @property
    def has_room(self) -> bool:
        """Whether another channel may be placed on it."""
        return self.channels < MOST_CHANNELS

    @property
    def clinic_id(self) -> str | None:
        """Whose it is alone; None for a shared one."""
        return clinic_of(self.shard_id)


class ShardFullError(Exception):
    """The shard took its last channel since it was chosen; another has to be tried."""


def clinic_of(shard_id: str) -> str | None:
    """Return whose a dedicated shard is, None for a shared one: its id is made from the clinic's."""
    rest = shard_id.removeprefix(_SHARD)
    return None if len(rest) == len("001") else _CLINIC + rest


def open_to(clinic_id: str, shard_ids: Iterable[str]) -> list[str]:
    """Return the shards that a clinic's new channels may go to.

    A clinic with a shard of its own has that one and no other, even when it is full: it was promised processes, costs
    and credentials of its own, and a channel that went elsewhere would stay there, since nothing moves it back.
    Others have the shared ones.

    Args:
        clinic_id: whose channel it is.
        shard_ids: the declared shards.
    """
    owners = {shard_id: clinic_of(shard_id) for shard_id in shard_ids}
    own = [shard_id for shard_id, owner in owners.items() if owner == clinic_id]
    return own or [shard_id for shard_id, owner in owners.items() if owner is None]


def by_load(shards: Sequence[Shard]) -> list[Shard]:
    """Return the shards that have room, the least loaded first, ties in the order of their ids."""
    return sorted((shard for shard in shards if shard.has_room), key=lambda shard: (shard.channels, shard.shard_id))
