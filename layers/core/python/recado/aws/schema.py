"""The tables and their indexes, declared once: models and tests read them here, the infrastructure is compared to them.

Every table has the string keys ``pk`` and ``sk`` and the TTL attribute ``expires_at`` (epoch seconds). DynamoDB
deletes expired items days late, so every read checks the attribute itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

HASH_KEY = "pk"
RANGE_KEY = "sk"
TTL_ATTRIBUTE = "expires_at"


@dataclass(frozen=True, slots=True)
class Index:
    """A global secondary index over string attributes; it projects whole items."""

    name: str
    hash_key: str
    range_key: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table, by the name rooms use for it; its deployed name is a setting.

    ``recoverable`` asks for point-in-time recovery. Tables without it hold what must not come back: leases, and
    keys whose erasure has to be real.
    """

    name: str
    recoverable: bool
    indexes: tuple[Index, ...] = ()


TABLES: Mapping[str, Table] = MappingProxyType(
    {
        table.name: table
        for table in (
            Table(
                "core",
                recoverable=True,
                indexes=(Index("by_kind", "kind", "id"), Index("by_shard", "shard_id", "channel_id")),
            ),
            Table(
                "messages",
                recoverable=True,
                indexes=(
                    Index("by_clinic", "clinic_month", "message_id"),
                    Index("by_chat", "chat_key", "message_id"),
                ),
            ),
            Table("analytics", recoverable=True),
            Table("audit", recoverable=True),
            Table("runtime", recoverable=False),
            Table("keys", recoverable=False),
        )
    }
)


def creation_request(table: Table, deployed_name: str) -> dict[str, Any]:
    """Return the arguments of DynamoDB's ``CreateTable`` for a table."""
    attributes = [HASH_KEY, RANGE_KEY]
    for index in table.indexes:
        attributes += [key for key in (index.hash_key, index.range_key) if key not in attributes]
    request: dict[str, Any] = {
        "TableName": deployed_name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in attributes],
        "KeySchema": key_schema(HASH_KEY, RANGE_KEY),
    }
    if table.indexes:
        request["GlobalSecondaryIndexes"] = [
            {
                "IndexName": index.name,
                "KeySchema": key_schema(index.hash_key, index.range_key),
                "Projection": {"ProjectionType": "ALL"},
            }
            for index in table.indexes
        ]
    return request


def key_schema(hash_key: str, range_key: str) -> list[dict[str, str]]:
    """Return DynamoDB's notation of a composite key."""
    return [{"AttributeName": hash_key, "KeyType": "HASH"}, {"AttributeName": range_key, "KeyType": "RANGE"}]
