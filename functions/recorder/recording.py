"""One message of the ingest queue: every entry in it is recorded, set aside as poison, or tried again."""

import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from functions.recorder import poison
from functions.recorder.entries import EntryData, InvalidEntryError, read_body, read_entry
from functions.recorder.facts import Taken, take_in
from functions.recorder.publishing import publish
from recado.aws.logging import logger, metrics
from recado.kernel.clock import Clock, SystemClock
from recado.kernel.envelopes import Entry
from recado.messages import service as messages

_CLOCK = SystemClock()
_log = logger("recorder")
_metrics = metrics("recorder")


class NotRecordedError(Exception):
    """Some entries of a queue message could not be recorded yet: the message has to come again."""


@dataclass(frozen=True, slots=True)
class _Read:
    place: str
    plain: Any
    entry: Entry
    data: EntryData


def take(record: SQSRecord, clock: Clock = _CLOCK) -> None:
    """Record all entries of one queue message.

    An entry is done when it is written, its events are on the bus, and both are noted. One that fails keeps no
    other from being done; the message then comes again, and finds the others noted.

    Raises:
        NotRecordedError: at least one entry has to be tried again.
    """
    try:
        failed, total = _take(record, clock)
    except Exception as error:
        # Powertools turns what is raised here into a batch item failure and says nothing of it.
        _tell_failure({"queue_message_id": record.message_id}, error)
        raise
    if failed:
        raise NotRecordedError(f"{failed} of {total} entries have to be tried again")


def _take(record: SQSRecord, clock: Clock) -> tuple[int, int]:
    read = _read(record, clock)
    fresh = {entry.entry_id for entry in messages.unhandled(one.entry for one in read)}
    taken: list[tuple[_Read, Taken]] = []
    failed = 0
    for one in read:
        if one.entry.entry_id not in fresh:
            continue
        fresh.discard(one.entry.entry_id)
        try:
            taken.append((one, take_in(one.entry, one.data, clock)))
        except InvalidEntryError as error:
            _set_aside(one.place, str(error), one.plain, clock)
        except Exception as error:  # noqa: BLE001 - whatever fails one entry must not keep the others from being done
            failed += 1
            _tell_failure(_names(one.entry), error)
    return failed + _finish(taken, clock), len(read)


def _read(message: SQSRecord, clock: Clock) -> list[_Read]:
    try:
        plain_entries = read_body(message.body)
    except InvalidEntryError as error:
        _set_aside(message.message_id, str(error), message.body, clock)
        return []
    read = []
    for number, plain in enumerate(plain_entries):
        place = f"{message.message_id}#{number}"
        try:
            entry, data = read_entry(plain)
        except InvalidEntryError as error:
            _set_aside(place, str(error), plain, clock)
        else:
            read.append(_Read(place, plain, entry, data))
    return read


def _finish(taken: Sequence[tuple[_Read, Taken]], clock: Clock) -> int:
    """Put the events on the bus, note what is done, and return how many entries are not."""
    unpublished = messages.unpublished(event for _, one in taken for event in one.events)
    refused = publish(unpublished)
    messages.mark_published((event for event in unpublished if event.id not in refused), clock=clock)
    noted = {event.id for event in unpublished}
    done = [(read.entry, one) for read, one in taken if not refused & {event.id for event in one.events}]
    for _, one in done:
        one.afterwards()
    messages.mark_handled((entry for entry, _ in done if entry.entry_id not in noted), clock=clock)
    _count("EventsPublished", len(unpublished) - len(refused))
    _count("EntriesRecorded", len(done))
    _tell_done(entry for entry, _ in done)
    return len(taken) - len(done)


def _set_aside(place: str, reason: str, plain: Any, clock: Clock) -> None:
    poison.keep(place, reason, plain, clock)
    _count("EntriesPoisoned", 1)
    _log.error("An entry breaks its contract and was set aside.", extra={"poison_id": place, "reason": reason})


def _count(name: str, value: int) -> None:
    _metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def _tell_done(entries: Iterable[Entry]) -> None:
    for entry in entries:
        _log.info("An entry is recorded.", extra=_names(entry))


def _tell_failure(names: dict[str, Any], error: Exception) -> None:
    _count("EntriesFailed", 1)
    # The error's own text is left out: libraries like to quote the values that they choke on.
    where = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)][-5:]
    _log.error("This could not be recorded yet.", extra={**names, "error": type(error).__name__, "where": where})


def _names(entry: Entry) -> dict[str, Any]:
    return {
        "clinic_id": entry.clinic_id,
        "channel_id": entry.channel_id,
        "shard_id": entry.shard_id,
        "entry_id": entry.entry_id,
        "kind": entry.kind,
        "sequence": entry.sequence,
    }
