"""Several items written together or not at all, with the right error for the part that was refused."""

import random
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from pynamodb.exceptions import TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from recado.aws.connections import connection
from recado.aws.failures import is_passing
from recado.aws.models import ClinicItem, ConditionFailedError
from recado.kernel.errors import ServiceUnavailableError

_REFUSED = "ConditionalCheckFailed"
_PASSING_REASONS = frozenset({"", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
_ATTEMPTS = 6
_FIRST_WAIT_SECONDS = 0.02

_Part = Callable[[TransactWrite], None]


@dataclass
class _Parts:
    parts: list[_Part] = field(default_factory=list)
    otherwise: list[Exception | None] = field(default_factory=list)

    def add(self, part: _Part, otherwise: Exception | None) -> None:
        self.parts.append(part)
        self.otherwise.append(otherwise)


class Transaction:
    """A DynamoDB transaction of up to 100 parts, over any of our tables.

    Each part may name, as ``otherwise``, the error that ``commit`` raises when that part's condition is refused.
    """

    def __init__(self) -> None:
        self._checks, self._deletes, self._saves, self._updates = _Parts(), _Parts(), _Parts(), _Parts()

    def check(self, item: ClinicItem, condition: Condition, *, otherwise: Exception | None = None) -> Self:
        """Demand that an item is as the condition says; only its keys need be set."""
        self._checks.add(lambda write: write.condition_check(type(item), item.pk, item.sk, condition), otherwise)
        return self

    def delete(
        self, item: ClinicItem, condition: Condition | None = None, *, otherwise: Exception | None = None
    ) -> Self:
        """Delete an item; only its keys need be set."""
        self._deletes.add(lambda write: write.delete(item, condition), otherwise)
        return self

    def save(self, item: ClinicItem, condition: Condition | None = None, *, otherwise: Exception | None = None) -> Self:
        """Write a whole item."""
        self._saves.add(lambda write: write.save(item, condition), otherwise)
        return self

    def update(
        self,
        item: ClinicItem,
        actions: Sequence[Action],
        condition: Condition | None = None,
        *,
        otherwise: Exception | None = None,
    ) -> Self:
        """Write some attributes of an item; only its keys need be set."""
        self._updates.add(lambda write: write.update(item, list(actions), condition), otherwise)
        return self

    def commit(self) -> None:
        """Write all parts or none.

        A collision with another transaction is tried again; an answer that got lost is asked for again under the
        same token, which DynamoDB honours for ten minutes, so that a transaction is never carried out twice.

        Raises:
            ConditionFailedError: a part was refused that names no error of its own.
            ServiceUnavailableError: DynamoDB throttles, does not answer, or the collisions do not end.
        """
        token = str(uuid.uuid4())
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(random.uniform(0, _FIRST_WAIT_SECONDS * 2**attempt))  # noqa: S311 - jitter, not a secret
            if self._committed(token):
                return
        raise ServiceUnavailableError("The store is busy.")

    def _committed(self, token: str) -> bool:
        write = TransactWrite(connection=connection(), client_request_token=token)
        ordered = (self._checks, self._deletes, self._saves, self._updates)
        try:
            with write:
                for parts in ordered:
                    for part in parts.parts:
                        part(write)
        except TransactWriteError as error:
            reasons = [reason.code if reason else "" for reason in error.cancellation_reasons]
            # DynamoDB lists its reasons in the order in which PynamoDB sends the parts: as in `ordered`.
            otherwise = [one for parts in ordered for one in parts.otherwise]
            for code, named in zip(reasons, otherwise, strict=False):
                if code == _REFUSED:
                    raise named or ConditionFailedError from error
            if is_passing(error.cause) or (reasons and _PASSING_REASONS.issuperset(reasons)):
                return False
            raise
        return True
