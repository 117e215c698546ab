"""The base of all DynamoDB items: lazily named tables, reads that know expiry, conditional writes, our own errors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, Self, TypeVar

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.connection.table import TableConnection
from pynamodb.exceptions import DoesNotExist, PynamoDBException
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model

from recado.aws.connections import table_connection
from recado.aws.failures import code_of, is_passing
from recado.aws.schema import HASH_KEY, RANGE_KEY, TABLES, Index
from recado.aws.settings import table_names
from recado.kernel.errors import InvalidCursorError, ServiceUnavailableError

T = TypeVar("T")
Key = dict[str, dict[str, str]]


class ConditionFailedError(Exception):
    """A conditional write was refused because the stored item is not as the condition demands."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list; ``last_key`` says where to go on, None when nothing follows."""

    items: list[T]
    last_key: Key | None = None


class _LazyMeta(type):
    """Gives PynamoDB the table's deployed name when it asks, not when the module is imported."""

    table: str

    @property
    def table_name(cls) -> str:
        return table_names().name_of(cls.table)


class ClinicItem(Model):
    """An item of one of our tables; subclasses say which with ``table = "core"`` and get that table's indexes.

    Writes raise ConditionFailedError when their condition does not hold. Reads and writes raise
    ServiceUnavailableError when DynamoDB throttles or does not answer, and nothing of PynamoDB otherwise than
    for our own mistakes. A single write without an answer is tried again by botocore, so a refused condition may
    mean that the first try went through: callers to whom that matters compare what is stored.
    """

    table: ClassVar[str]
    impatient: ClassVar[bool] = False

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    expires_at = NumberAttribute(null=True)

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        for declared in TABLES[cls.table].indexes:
            setattr(cls, declared.name, _index(declared))
        cls.Meta = _LazyMeta("Meta", (), {"table": cls.table})  # type: ignore[assignment]

    @classmethod
    def _get_connection(cls) -> TableConnection:
        return table_connection(cls.table, impatient=cls.impatient)

    @classmethod
    def find(cls, pk: str, sk: str, *, now: datetime | None = None, consistent: bool = True) -> Self | None:
        """Return the item, or None when there is none or it has expired.

        Args:
            pk: the partition key.
            sk: the sort key.
            now: the moment against which ``expires_at`` is checked; needed for items that expire.
            consistent: False to read the cheaper, possibly slightly older state.
        """
        with _translated():
            try:
                item = cls.get(pk, sk, consistent_read=consistent)
            except DoesNotExist:
                return None
        return item if item.is_live(now) else None

    @classmethod
    def page(
        cls,
        hash_key: str,
        *,
        limit: int,
        start: Key | None = None,
        index: str | None = None,
        range_condition: Condition | None = None,
        filter_condition: Condition | None = None,
        descending: bool = False,
        consistent: bool = False,
    ) -> Page[Self]:
        """Return up to ``limit`` items of one partition of the table or of one of its indexes.

        Args:
            hash_key: the partition.
            limit: the most items to return.
            start: ``last_key`` of the page before.
            index: the name of the index; None for the table itself.
            range_condition: a condition on the sort key.
            filter_condition: a condition on other attributes; items it drops are read and paid for all the same.
            descending: newest (largest sort key) first.
            consistent: read the newest state; not possible on an index.

        Raises:
            InvalidCursorError: ``start`` does not lie in this partition.
        """
        names = _key_names(cls.table, index)
        if start is not None and not _lies_in(start, names, hash_key):
            raise InvalidCursorError
        with _translated():
            # One more than asked for: only so can "nothing follows" be told from "the page is full".
            items = list(
                cls.query(
                    hash_key,
                    range_key_condition=range_condition,
                    filter_condition=filter_condition,
                    consistent_read=consistent,
                    index_name=index,
                    scan_index_forward=not descending,
                    limit=limit + 1,
                    last_evaluated_key=start,
                )
            )
        if len(items) <= limit:
            return Page(items)
        return Page(items[:limit], items[limit - 1].key(names))

    @classmethod
    def many(cls, keys: Sequence[tuple[str, str]], *, consistent: bool = True) -> list[Self]:
        """Return the items that exist among these (partition key, sort key) pairs, in no order."""
        with _translated():
            return list(cls.batch_get(list(keys), consistent_read=consistent)) if keys else []

    def store(self, condition: Condition | None = None) -> None:
        """Write the whole item."""
        with _translated():
            self.save(condition)

    def change(self, actions: Sequence[Action], condition: Condition | None = None) -> None:
        """Write some attributes, after which this object holds the whole item as stored."""
        with _translated():
            self.update(list(actions), condition)

    def remove(self, condition: Condition | None = None) -> None:
        """Delete the item."""
        with _translated():
            self.delete(condition)

    def is_live(self, now: datetime | None) -> bool:
        """Say whether the item has not expired; one that never expires is always live.

        Raises:
            ValueError: the item expires and no moment was given to check it against.
        """
        if self.expires_at is None:
            return True
        if now is None:
            raise ValueError(f"{type(self).__name__} expires: reading it needs a moment")
        return self.expires_at > now.timestamp()

    def key(self, names: Sequence[str] = (HASH_KEY, RANGE_KEY)) -> Key:
        """Return the key attributes of this item in DynamoDB's notation."""
        stored = self.serialize(null_check=False)
        return {name: stored[name] for name in names}


def partition_of(key: Key) -> str:
    """Return the partition key inside a list's ``last_key``."""
    return key[HASH_KEY]["S"]


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PynamoDBException as error:
        if code_of(error.cause) == "ConditionalCheckFailedException":
            raise ConditionFailedError from error
        if is_passing(error.cause):
            raise ServiceUnavailableError("The store does not answer.") from error
        raise


def _index(declared: Index) -> GlobalSecondaryIndex[Any]:
    """Return PynamoDB's view of a declared index, so that its keys are written down once."""
    keys = {
        declared.hash_key: UnicodeAttribute(hash_key=True),
        declared.range_key: UnicodeAttribute(range_key=True),
        "Meta": type("Meta", (), {"index_name": declared.name, "projection": AllProjection()}),
    }
    made: GlobalSecondaryIndex[Any] = type(declared.name, (GlobalSecondaryIndex,), keys)()
    return made


def _key_names(table: str, index: str | None) -> tuple[str, ...]:
    """Return the attributes of a list's key; the partition of the list itself comes first."""
    for declared in TABLES[table].indexes:
        if declared.name == index:
            return (declared.hash_key, declared.range_key, HASH_KEY, RANGE_KEY)
    return (HASH_KEY, RANGE_KEY)


def _lies_in(start: Key, names: tuple[str, ...], hash_key: str) -> bool:
    if set(start) != set(names):
        return False
    texts = [value.get("S") if isinstance(value, dict) else None for value in start.values()]
    return all(isinstance(text, str) for text in texts) and start[names[0]]["S"] == hash_key
