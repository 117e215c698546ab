"""The connections of all DynamoDB models: one botocore client per process, not one per model.

PynamoDB makes a client for every model class, which costs a cold start tens of milliseconds each.
"""

from functools import lru_cache

import botocore.session
from pynamodb.connection import Connection
from pynamodb.connection.base import MetaTable
from pynamodb.connection.table import TableConnection

from recado.aws import fencing
from recado.aws.clients import ATTEMPTS, CONNECT_SECONDS, READ_SECONDS
from recado.aws.schema import HASH_KEY, RANGE_KEY, TABLES, Table, key_schema
from recado.aws.settings import region, table_names

_CONNECTIONS = 50
_IMPATIENT_SECONDS = 2


class _FencedConnection(Connection):
    """Signs each call as the fence demands that it is made in; without fences, PynamoDB's own connection."""

    @property
    def session(self) -> botocore.session.Session:
        """The botocore session of the calling thread, from which PynamoDB makes its client."""
        kept: botocore.session.Session | None = getattr(self._local, "session", None)
        if kept is None:
            kept = self._local.session = fencing.fenced_session() or botocore.session.get_session()
        return kept


@lru_cache(maxsize=2)
def connection(*, impatient: bool = False) -> Connection:
    """Return the process's connection to DynamoDB.

    Args:
        impatient: for callers to whom a late answer is worth nothing (leases): short time-outs and one try.
    """
    made = _FencedConnection(
        region=region(),
        connect_timeout_seconds=_IMPATIENT_SECONDS if impatient else CONNECT_SECONDS,
        read_timeout_seconds=_IMPATIENT_SECONDS if impatient else READ_SECONDS,
        max_retry_attempts=0 if impatient else ATTEMPTS - 1,
        max_pool_connections=_CONNECTIONS,
    )
    # All tables at once: added on first use, two threads could add the same one, which PynamoDB refuses.
    for table in TABLES.values():
        made.add_meta_table(_described(table))
    return made


def table_connection(table: str, *, impatient: bool = False) -> TableConnection:
    """Return the connection to one table of ``recado.aws.schema``, under its deployed name."""
    return _table_connection(table, impatient)


@lru_cache(maxsize=2 * len(TABLES))
def _table_connection(table: str, impatient: bool) -> TableConnection:
    bound = TableConnection(table_names().name_of(table))
    bound.connection = connection(impatient=impatient)
    return bound


def forget() -> None:
    """Make the connections anew on their next use, for another environment."""
    connection.cache_clear()
    _table_connection.cache_clear()


def _described(table: Table) -> MetaTable:
    keys = {HASH_KEY, RANGE_KEY} | {key for index in table.indexes for key in (index.hash_key, index.range_key)}
    return MetaTable(
        {
            "TableName": table_names().name_of(table.name),
            "KeySchema": key_schema(HASH_KEY, RANGE_KEY),
            "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in sorted(keys)],
            "GlobalSecondaryIndexes": [
                {"IndexName": index.name, "KeySchema": key_schema(index.hash_key, index.range_key)}
                for index in table.indexes
            ],
        }
    )
