"""Which events are on the bus already, and what could not become one.

An event is put on the bus first and noted second: a crash in between puts it twice under one id, which consumers
tell apart; the other order could lose it.
"""

from collections.abc import Iterable
from datetime import timedelta

from recado.kernel.clock import Clock, SystemClock
from recado.kernel.envelopes import Event
from recado.messages.table import EventRecordItem, PoisonItem, channel_partition, epoch_seconds

NOTED_FOR = timedelta(days=30)
KEPT_FOR = timedelta(days=30)
_CLOCK = SystemClock()


def unpublished(events: Iterable[Event]) -> list[Event]:
    """Return the events that are not noted as published, each id once, in their order."""
    by_key = {_key(event): event for event in events}
    noted = {(record.pk, record.sk) for record in EventRecordItem.many(list(by_key))}
    return [event for key, event in by_key.items() if key not in noted]


def mark_published(events: Iterable[Event], *, clock: Clock = _CLOCK) -> None:
    """Note that these events are on the bus."""
    for event in events:
        pk, sk = _key(event)
        EventRecordItem(
            pk=pk,
            sk=sk,
            type=event.type,
            sequence=event.sequence,
            published_at=clock.now(),
            expires_at=epoch_seconds(clock.now() + NOTED_FOR),
        ).store()


def keep_poison(poison_id: str, reason: str, sealed: tuple[bytes, ...], *, clock: Clock = _CLOCK) -> None:
    """Keep an entry that broke its contract for 30 days.

    Args:
        poison_id: the same each time the same entry is delivered.
        reason: what was wrong with it, without anything that was in it.
        sealed: the entry, sealed in pieces.
        clock: the time.
    """
    now = clock.now()
    PoisonItem(
        pk=f"poison#{now:%Y%m%d}",
        sk=poison_id,
        reason=reason,
        kept_at=now,
        sealed=sealed,
        expires_at=epoch_seconds(now + KEPT_FOR),
    ).store()


def _key(event: Event) -> tuple[str, str]:
    return channel_partition(event.clinic_id, event.channel_id), f"event#{event.id}"
