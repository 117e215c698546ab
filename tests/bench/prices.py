"""What the counted AWS calls cost at list price.

US dollars, us-east-1, on-demand, without free tiers, as published by AWS in 2025; other regions differ (São Paulo is
roughly half as much again). Storage, data transfer, logs and the Fargate task are not per message and not in here.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from recado.aws.schema import TABLES

_MILLION = 1_000_000
PER_REQUEST = {
    "sqs": 0.40 / _MILLION,
    "events": 1.00 / _MILLION,
    "kms": 0.03 / 10_000,
    "s3": 0.005 / 1_000,
    "api_gateway": 3.50 / _MILLION,
    "lambda": 0.20 / _MILLION,
}
PER_WRITE_UNIT = 0.625 / _MILLION
PER_READ_UNIT = 0.125 / _MILLION
PER_GB_SECOND = 0.0000133334
"""Lambda on arm64."""

_WRITES = {"Put", "Update", "Delete", "ConditionCheck"}


@dataclass(frozen=True, slots=True)
class Call:
    """One AWS API call: its service, operation and decoded body."""

    service: str
    operation: str
    body: dict[str, Any]

    @property
    def price(self) -> float:
        """What the call costs, in US dollars."""
        if self.service != "dynamodb":
            return PER_REQUEST.get(self.service, 0.0)
        if self.operation in {"GetItem", "Query"}:
            return PER_READ_UNIT * (1.0 if self.body.get("ConsistentRead") else 0.5)
        if self.operation == "BatchGetItem":
            return PER_READ_UNIT * 0.5 * sum(len(asked["Keys"]) for asked in self.body["RequestItems"].values())
        if self.operation == "TransactWriteItems":
            parts = [(kind, part) for item in self.body["TransactItems"] for kind, part in item.items()]
            return sum(_write(kind, part, transactional=True) for kind, part in parts if kind in _WRITES)
        kind = self.operation.removesuffix("Item")
        return _write(kind, self.body, transactional=False) if kind in _WRITES else 0.0


def _write(kind: str, part: dict[str, Any], *, transactional: bool) -> float:
    units = math.ceil(len(json.dumps(part)) / 1024) * (2 if transactional else 1)
    return PER_WRITE_UNIT * (units + (_index_writes(part) if kind in {"Put", "Update"} else 0))


def _index_writes(part: dict[str, Any]) -> int:
    """Say how many indexes hold a copy of the item: all whose key the item has, and a message has both of its."""
    table = next(table for name, table in TABLES.items() if part["TableName"].endswith(name))
    if "Item" in part:
        return sum(index.hash_key in part["Item"] for index in table.indexes)
    return len(table.indexes) if part["Key"]["sk"]["S"].startswith(("message#", "channel#")) else 0


def total(calls: Iterable[Call]) -> float:
    """Return what the calls cost together, in US dollars."""
    return sum(call.price for call in calls)
