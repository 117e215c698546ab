"""The keys and indexes of every table; the rooms' PynamoDB models declare the same ones and a test compares them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IndexKeys:
    """A global secondary index; all attributes are projected and both keys are strings."""

    name: str
    partition_key: str
    sort_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableKeys:
    """A table's keys and what becomes of its items.

    Attributes:
        restorable: whether point-in-time recovery is on. Off where erasing must be final, and where items that come
            back from the past (leases, epochs) would do harm.
        expiry_attribute: the attribute that DynamoDB's time to live reads, in epoch seconds.
    """

    name: str
    indexes: tuple[IndexKeys, ...] = ()
    restorable: bool
    expiry_attribute: str = "expires_at"
    partition_key: str = "pk"
    sort_key: str = "sk"


TABLES = (
    TableKeys(
        name="core",
        indexes=(IndexKeys("by_kind", "kind", "id"), IndexKeys("by_shard", "shard_id", "channel_id")),
        restorable=True,
    ),
    TableKeys(
        name="messages",
        indexes=(
            IndexKeys("by_clinic", "clinic_month", "message_id"),
            IndexKeys("by_chat", "chat_key", "message_id"),
        ),
        restorable=True,
    ),
    TableKeys(name="analytics", restorable=True),
    TableKeys(name="audit", restorable=True),
    TableKeys(name="runtime", restorable=False),
    TableKeys(name="keys", restorable=False),
)
