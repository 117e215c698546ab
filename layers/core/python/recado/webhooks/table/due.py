"""Attempts due later than SQS can delay: ``due#<yyyymmddhhmm>`` / ``<due epoch ms>#D`` in the runtime table."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from recado.aws.attributes import MomentAttribute
from recado.aws.models import ClinicItem, ConditionFailedError
from recado.webhooks.commands import AttemptRequest

_PASS = ("due#drained", "drained")


@dataclass(frozen=True, slots=True)
class DueAttempt:
    """An attempt and the moment it is due."""

    request: AttemptRequest
    at: datetime


class DueItem(ClinicItem):
    """A row of the bucket of one minute."""

    table = "runtime"

    clinic_id = UnicodeAttribute()
    webhook_endpoint_id = UnicodeAttribute()
    delivery_id = UnicodeAttribute()
    attempt = NumberAttribute()
    due_at = MomentAttribute()


class DrainedItem(ClinicItem):
    """Up to which minute the buckets are known to be empty."""

    table = "runtime"

    minute = MomentAttribute()


def insert(due: DueAttempt) -> None:
    """Store a due row; storing it again changes nothing."""
    request = due.request
    DueItem(
        *_key(due),
        clinic_id=request.clinic_id,
        webhook_endpoint_id=request.webhook_endpoint_id,
        delivery_id=request.delivery_id,
        attempt=request.attempt,
        due_at=due.at,
    ).store()


def bucket(minute: datetime, limit: int) -> list[DueAttempt]:
    """Return up to ``limit`` rows of a minute, the earliest first."""
    found = DueItem.page(_bucket(minute), limit=limit, consistent=True)
    return [
        DueAttempt(
            AttemptRequest(item.clinic_id, item.webhook_endpoint_id, item.delivery_id, int(item.attempt)), item.due_at
        )
        for item in found.items
    ]


def delete(rows: Iterable[DueAttempt]) -> None:
    """Delete rows; those already gone are no matter."""
    for due in rows:
        DueItem(*_key(due)).remove()


def drained() -> datetime | None:
    """Return the minute before which every bucket is empty, None if no bucket was ever drained."""
    item = DrainedItem.find(*_PASS)
    return item.minute if item else None


def set_drained(minute: datetime) -> None:
    """Move the mark forward; it never goes back."""
    item = DrainedItem(*_PASS)
    try:
        item.change(
            [DrainedItem.minute.set(minute)], DrainedItem.minute.does_not_exist() | (DrainedItem.minute < minute)
        )
    except ConditionFailedError:
        return


def _key(due: DueAttempt) -> tuple[str, str]:
    # With the attempt's number, a delivery's next row cannot overwrite or be deleted with the one before.
    request = due.request
    return _bucket(due.at), f"{round(due.at.timestamp() * 1000):013d}#{request.delivery_id}#{request.attempt}"


def _bucket(moment: datetime) -> str:
    return f"due#{moment.astimezone(UTC):%Y%m%d%H%M}"
