"""Counting messages as their events go by, and reporting the counts."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from recado.analytics.model import Volume, direction_of, hour_of
from recado.analytics.table import CountedItem, VolumeItem, counted_key, hours_between, volume_key, volume_partition
from recado.aws.transactions import Transaction
from recado.kernel.clock import Clock, SystemClock
from recado.kernel.envelopes import Event

REMEMBERED_FOR = timedelta(days=7)
_CLOCK = SystemClock()
_CHUNK = 500
_HOUR = timedelta(hours=1)


class _CountedError(Exception):
    """The event was counted before."""


def count(event: Event, *, clock: Clock = _CLOCK) -> bool:
    """Count the message an event is about, once per event however often it comes.

    The mark that it was counted and the count are one transaction. The mark is kept a week, far longer than a queue
    and its DLQ's redrive repeat an event in practice; the archive's replays are not meant for this consumer.

    Returns:
        Whether it was counted now; False for events that are not counted and those counted before.

    Raises:
        UncountableEventError: the event breaks its contract.
        ServiceUnavailableError: it was not counted; trying again is safe.
    """
    direction = direction_of(event)
    if direction is None:
        return False
    expires_at = int((clock.now() + REMEMBERED_FOR).timestamp())
    mark = CountedItem(*counted_key(event.clinic_id, event.id), expires_at=expires_at)
    counted = VolumeItem(*volume_key(event.clinic_id, event.channel_id, direction, event.timestamp))
    try:
        (
            Transaction()
            .save(mark, CountedItem.pk.does_not_exist(), otherwise=_CountedError())
            .update(counted, [VolumeItem.messages.add(1)])
            .commit()
        )
    except _CountedError:
        return False
    return True


def volume(clinic_id: str, start: datetime, end: datetime, channel: str | None = None) -> list[Volume]:
    """Return how many messages a clinic's channels sent and received, hour by hour, oldest first.

    Args:
        clinic_id: the clinic.
        start: the first hour to report; rounded down to the hour.
        end: reported is what lies before; an hour that has begun by then is reported whole.
        channel: only this channel; None for all.
    """
    first, last = hour_of(start), hour_of(end)
    if last == end:
        last -= _HOUR
    if last < first:
        return []
    low, high = hours_between(first, last)
    rows = []
    for month in _months(first, last):
        partition = volume_partition(clinic_id, month)
        rows += [item.volume() for item in _items(partition, low, high)]
    return [row for row in rows if channel is None or row.channel_id == channel]


def _items(partition: str, low: str, high: str) -> Iterator[VolumeItem]:
    start = None
    while True:
        page = VolumeItem.page(partition, limit=_CHUNK, start=start, range_condition=VolumeItem.sk.between(low, high))
        yield from page.items
        start = page.last_key
        if start is None:
            return


def _months(first: datetime, last: datetime) -> Iterator[str]:
    month = first.replace(day=1, hour=0)
    while month <= last:
        yield f"{month:%Y%m}"
        month = (month + timedelta(days=31)).replace(day=1)
