"""Transactions: all or nothing, with the error of the part that was refused."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pynamodb.attributes import NumberAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import CancellationReason, TransactWriteError, VerboseClientError

from recado.aws.models import ClinicItem, ConditionFailedError
from recado.aws.transactions import Transaction
from recado.kernel.errors import ServiceUnavailableError
from tests.support.aws import EmulatedAws


class Part(ClinicItem):
    """A sample item."""

    table = "core"

    size = NumberAttribute(null=True)


class Other(ClinicItem):
    """A sample item of another table."""

    table = "runtime"


class CheckedError(Exception):
    """The checked part was refused."""


class DeletedError(Exception):
    """The deleted part was refused."""


class SavedError(Exception):
    """The saved part was refused."""


class UpdatedError(Exception):
    """The updated part was refused."""


def _all_parts() -> Transaction:
    # In another order than the one in which they are sent, so that a mix-up of reasons shows.
    return (
        Transaction()
        .update(Part("clinic#a", "updated"), [Part.size.set(9)], Part.size == 1, otherwise=UpdatedError())
        .save(Part("clinic#a", "saved", size=9), Part.pk.does_not_exist(), otherwise=SavedError())
        .delete(Part("clinic#a", "deleted"), Part.size == 1, otherwise=DeletedError())
        .check(Part("clinic#a", "checked"), Part.size == 1, otherwise=CheckedError())
        .save(Other("clinic#a", "other"))
    )


def _stored(aws: EmulatedAws) -> dict[str, Any]:
    return {item["sk"]: item.get("size") for item in aws.items("core")}


@pytest.fixture
def parts(aws: EmulatedAws) -> EmulatedAws:
    for name in ("updated", "deleted", "checked"):
        Part("clinic#a", name, size=1).store()
    return aws


def test_all_parts_are_written_over_all_tables(parts: EmulatedAws) -> None:
    """When no condition is refused, everything is done."""
    _all_parts().commit()
    assert _stored(parts) == {"updated": 9, "checked": 1, "saved": 9}
    assert len(parts.items("runtime")) == 1


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda: Part("clinic#a", "checked", size=2).store(), CheckedError),
        (lambda: Part("clinic#a", "deleted", size=2).store(), DeletedError),
        (lambda: Part("clinic#a", "saved", size=2).store(), SavedError),
        (lambda: Part("clinic#a", "updated", size=2).store(), UpdatedError),
    ],
)
def test_the_refused_part_names_the_error_and_nothing_is_written(
    parts: EmulatedAws, spoil: Callable[[], None], error: type[Exception]
) -> None:
    """The error is that of the refused part, whatever its kind and place, and no part was written."""
    spoil()
    before = _stored(parts)
    with pytest.raises(error):
        _all_parts().commit()
    assert _stored(parts) == before
    assert parts.items("runtime") == []


def test_a_refused_part_without_an_error_of_its_own(parts: EmulatedAws) -> None:
    """It raises the general error of refused conditions."""
    with pytest.raises(ConditionFailedError):
        Transaction().save(Part("clinic#a", "checked"), Part.pk.does_not_exist()).commit()


def _cancelled(*codes: str) -> Exception:
    response = {"Error": {"Code": "TransactionCanceledException", "Message": "cancelled"}}
    reasons = [CancellationReason(code) if code else None for code in codes]
    return VerboseClientError(response, "TransactWriteItems", cancellation_reasons=reasons)


def _answering(monkeypatch: pytest.MonkeyPatch, *answers: Exception) -> list[str]:
    tokens: list[str] = []
    remaining = list(answers)
    really = Connection.dispatch

    def dispatch(self: Connection, operation: str, arguments: dict[str, Any]) -> Any:
        if operation != "TransactWriteItems":
            return really(self, operation, arguments)
        tokens.append(arguments["ClientRequestToken"])
        if remaining:
            raise remaining.pop(0)
        return really(self, operation, arguments)

    monkeypatch.setattr(Connection, "dispatch", dispatch)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    return tokens


def test_a_collision_is_tried_again_under_the_same_token(parts: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two transactions that meet are no error, and the second try cannot double the first."""
    tokens = _answering(monkeypatch, _cancelled("", "TransactionConflict"), _cancelled("TransactionConflict", ""))
    Transaction().save(Part("clinic#a", "x")).save(Part("clinic#a", "y")).commit()
    assert len(tokens) == 3
    assert len(set(tokens)) == 1


def test_a_refusal_counts_more_than_a_collision(parts: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """If one part is refused for good, the collision of another makes no difference."""
    _answering(monkeypatch, _cancelled("TransactionConflict", "ConditionalCheckFailed"))
    with pytest.raises(SavedError):
        Transaction().save(Part("clinic#a", "x")).save(Part("clinic#a", "y"), otherwise=SavedError()).commit()


def test_collisions_without_end_are_an_outage(parts: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has to be told at last."""
    tokens = _answering(monkeypatch, *[_cancelled("TransactionConflict")] * 50)
    with pytest.raises(ServiceUnavailableError):
        Transaction().save(Part("clinic#a", "x")).commit()
    assert len(tokens) < 10


def test_a_throttle_is_tried_again(parts: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A throttled transaction has done nothing yet."""
    _answering(monkeypatch, ClientError({"Error": {"Code": "ThrottlingException"}}, "TransactWriteItems"))
    Transaction().save(Part("clinic#a", "x")).commit()
    assert "x" in _stored(parts)


@pytest.mark.parametrize(
    "error",
    [
        _cancelled("ValidationError"),
        ClientError({"Error": {"Code": "ValidationException"}}, "TransactWriteItems"),
    ],
)
def test_our_own_mistakes_are_not_tried_again(
    parts: EmulatedAws, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A wrong request stays wrong."""
    tokens = _answering(monkeypatch, error)
    with pytest.raises(TransactWriteError):
        Transaction().save(Part("clinic#a", "x")).commit()
    assert len(tokens) == 1
