"""What placement knows of a shard."""

from dataclasses import dataclass

MOST_CHANNELS = 500


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard and how many channels are placed on it."""

    shard_id: str
    channels: int

    @property
    def has_room(self) -> bool:
        """Whether another channel may be placed on it."""
        return self.channels < MOST_CHANNELS


class ShardFullError(Exception):
    """The shard took its last channel since it was chosen; another has to be tried."""


def by_load(shards: list[Shard]) -> list[Shard]:
    """Return the shards that have room, the least loaded first, ties in the order of their ids."""
    return sorted((shard for shard in shards if shard.has_room), key=lambda shard: (shard.channels, shard.shard_id))
