"""Shards in the table ``runtime``: ``shard#<shard>``/``shard`` counts the channels placed on it.

The item comes into being with the first channel: which shards exist is declared in the settings, not stored.
"""

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from recado.aws.models import ClinicItem
from recado.shards.model import Shard

_SORT_KEY = "shard"


class ShardRecord(ClinicItem):
    """A shard as stored."""

    table = "runtime"

    shard_id = UnicodeAttribute(null=True)
    channels = NumberAttribute(default=0)

    @classmethod
    def keyed(cls, shard_id: str) -> "ShardRecord":
        """Return a shard's item with only its key set, for updates."""
        return cls(*shard_key(shard_id))

    def shard(self) -> Shard:
        """Return the shard."""
        return Shard(shard_id=self.pk.removeprefix("shard#"), channels=max(int(self.channels), 0))


def shard_key(shard_id: str) -> tuple[str, str]:
    """Return the key of a shard's item."""
    return f"shard#{shard_id}", _SORT_KEY
