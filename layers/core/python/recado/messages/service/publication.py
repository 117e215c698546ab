"""Which events are on the bus already, and what could not become one.

An event is put on the bus first and noted second: a crash in between puts it twice under one id, which consumers
tell apart; the other order could lose it.
"""

from collections.abc import Iterable
from datetime import timedelta

from recado.kernel.clock import Clock, SystemClock
from recado.kernel.envelopes import Entry, Event
from recado.messages.table import EventRecordItem, PoisonItem, channel_partition, epoch_seconds

NOTED_FOR = timedelta(days=30)
KEPT_FOR = timedelta(days=30)
_CLOCK = SystemClock()


def unpublished(events: Iterable[Event]) -> list[Event]:
    """Return the events that are not noted as published, each id once, in their order."""
    by_key = {_key(event, event.id): event for event in events}
    return [by_key[key] for key in _without_note(by_key)]


def mark_published(events: Iterable[Event], *, clock: Clock = _CLOCK) -> None:
    """Note that these events are on the bus."""
    for event in events:
        _note(_key(event, event.id), event.type, event.sequence, clock)


def unhandled(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries that are not noted as handled, each id once, in their order."""
    by_key = {_key(entry, entry.entry_id): entry for entry in entries}
    return [by_key[key] for key in _without_note(by_key)]


def mark_handled(entries: Iterable[Entry], *, clock: Clock = _CLOCK) -> None:
    """Note that these entries are written, and all of their events on the bus."""
    for entry in entries:
        _note(_key(entry, entry.entry_id), entry.kind, entry.sequence, clock)


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


_Key = tuple[str, str]


def _key(fact: Entry | Event, identifier: str) -> _Key:
    return channel_partition(fact.clinic_id, fact.channel_id), f"event#{identifier}"


def _without_note(keys: Iterable[_Key]) -> list[_Key]:
    asked = list(keys)
    noted = {(record.pk, record.sk) for record in EventRecordItem.many(asked)}
    return [key for key in asked if key not in noted]


def _note(key: _Key, fact_type: str, sequence: int, clock: Clock) -> None:
    pk, sk = key
    now = clock.now()
    EventRecordItem(
        pk=pk,
        sk=sk,
        type=fact_type,
        sequence=sequence,
        noted_at=now,
        expires_at=epoch_seconds(now + NOTED_FOR),
    ).store()
