"""Lists of messages, newest first, across the months they are stored in."""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from recado.aws.models import Key, Page, partition_of
from recado.channels import service as channels
from recado.clinics import service as clinics
from recado.contacts import service as contacts
from recado.contacts.model import same_number
from recado.kernel.clock import Clock, SystemClock
from recado.kernel.errors import InvalidCursorError
from recado.kernel.ids import Prefix, first_id, is_id, time_of
from recado.messages.model import Direction, Message, Party
from recado.messages.service.observing import NEWEST, OLDEST
from recado.messages.table import MessageItem, channel_partition, chat_key, clinic_month

_CLOCK = SystemClock()
_CHUNK = 50
_MOST_READ = 1000
_SORT_PREFIX = "message#"


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list leaves out.

    Attributes:
        direction: only this direction.
        channels: only these channels, as for an API key that is limited to some.
        contact: only messages with this contact.
        since: only messages from this moment on.
        until: only messages before this moment.
    """

    direction: Direction | None = None
    channels: frozenset[str] | None = None
    contact: Party | None = None
    since: datetime | None = None
    until: datetime | None = None

    def admits(self, item: MessageItem) -> bool:
        """Say whether the list shows this message."""
        return (self.direction is None or item.direction is self.direction) and (
            self.channels is None or item.channel_id in self.channels
        )


_ALL = Filters()


def list_channel(
    clinic_id: str,
    channel_id: str,
    *,
    limit: int,
    start: Key | None = None,
    filters: Filters = _ALL,
    created_at: datetime | None = None,
    clock: Clock = _CLOCK,
) -> Page[Message]:
    """Return messages of a channel, newest first.

    Args:
        clinic_id: the channel's clinic.
        channel_id: the channel.
        limit: the most messages to return; fewer may come although ``last_key`` says that more follow.
        start: ``last_key`` of the page before.
        filters: what to leave out.
        created_at: when the channel was created, if the caller knows; read otherwise.
        clock: the time.

    Raises:
        InvalidCursorError: ``start`` is of another list.
        ChannelNotFoundError: no such channel in this clinic.
    """
    own = replace(filters, channels=frozenset({channel_id}))
    if filters.channels is not None and channel_id not in filters.channels:
        return Page([])
    if filters.contact is not None:
        return list_chat(clinic_id, filters.contact, limit=limit, start=start, filters=own, clock=clock)
    partition = channel_partition(clinic_id, channel_id)
    span = _span(own, start, clock, lambda: created_at or channels.get(clinic_id, channel_id).created_at)
    source = _monthly(span, lambda month: f"{partition}#{month}", None)
    return _page(source, own, limit, start, partition)


def list_clinic(
    clinic_id: str,
    *,
    limit: int,
    start: Key | None = None,
    filters: Filters = _ALL,
    created_at: datetime | None = None,
    clock: Clock = _CLOCK,
) -> Page[Message]:
    """Return messages of all of a clinic's channels, newest first.

    Args:
        clinic_id: the clinic.
        limit: the most messages to return; fewer may come although ``last_key`` says that more follow.
        start: ``last_key`` of the page before.
        filters: what to leave out.
        created_at: when the clinic was created, if the caller knows; read otherwise.
        clock: the time.

    Raises:
        InvalidCursorError: ``start`` is of another list.
        ClinicNotFoundError: no such clinic.
    """
    if filters.contact is not None:
        return list_chat(clinic_id, filters.contact, limit=limit, start=start, filters=filters, clock=clock)
    span = _span(filters, start, clock, lambda: created_at or clinics.get_clinic(clinic_id).created_at)
    source = _monthly(span, lambda month: clinic_month(clinic_id, month), "by_clinic")
    return _page(source, filters, limit, start, f"clinic#{clinic_id}")


def list_chat(
    clinic_id: str,
    contact: Party,
    *,
    limit: int,
    start: Key | None = None,
    filters: Filters = _ALL,
    clock: Clock = _CLOCK,
) -> Page[Message]:
    """Return a clinic's messages with one contact, newest first.

    Messages lie under the contact's LID once it is known and under the number until then: both are read.

    Args:
        clinic_id: the clinic.
        contact: by number, LID or both.
        limit: the most messages to return; fewer may come although ``last_key`` says that more follow.
        start: ``last_key`` of the page before.
        filters: what to leave out.
        clock: the time.

    Raises:
        InvalidCursorError: ``start`` is of another list.
    """
    span = _span(filters, start, clock, lambda: None)
    sources = [
        _descending(chat_key(clinic_id, name), "by_chat", span.low, span.high)
        for name in _names(clinic_id, contact, clock)
    ]
    source = heapq.merge(*sources, key=lambda item: item.message_id, reverse=True)
    return _page(source, filters, limit, start, f"clinic#{clinic_id}")


@dataclass(frozen=True, slots=True)
class _Span:
    """The ids a list goes through, from ``high`` (newest) down to ``low``."""

    low: str
    high: str
    oldest: datetime
    newest: datetime


def _span(filters: Filters, start: Key | None, clock: Clock, creation: Callable[[], datetime | None]) -> _Span:
    newest = clock.now() + NEWEST
    if filters.until is not None:
        newest = min(newest, filters.until)
    oldest = filters.since
    if oldest is None:
        created_at = creation()
        oldest = created_at - OLDEST if created_at else datetime.fromtimestamp(0, newest.tzinfo)
    high = first_id(Prefix.MESSAGE, newest)
    if start is not None:
        high = min(high, _message_in(start))
    return _Span(first_id(Prefix.MESSAGE, oldest), high, oldest, newest)


def _monthly(span: _Span, partition: Callable[[str], str], index: str | None) -> Iterator[MessageItem]:
    for month in _months(span):
        yield from _descending(partition(month), index, span.low, span.high)


def _months(span: _Span) -> Iterator[str]:
    month = min(span.newest, time_of(span.high))
    while (month.year, month.month) >= (span.oldest.year, span.oldest.month):
        yield f"{month:%Y%m}"
        month = month.replace(day=1) - timedelta(days=1)


def _descending(partition: str, index: str | None, low: str, high: str) -> Iterator[MessageItem]:
    """Yield one partition's messages from below ``high`` down to ``low``, read in chunks as they are needed."""
    if index is None:
        bounds = MessageItem.sk.between(_SORT_PREFIX + low, _SORT_PREFIX + high)
    else:
        bounds = MessageItem.message_id.between(low, high)
    start = None
    while True:
        page = MessageItem.page(
            partition, limit=_CHUNK, start=start, index=index, range_condition=bounds, descending=True
        )
        yield from (item for item in page.items if item.message_id != high)
        if page.last_key is None:
            return
        start = page.last_key


def _page(
    source: Iterator[MessageItem], filters: Filters, limit: int, start: Key | None, partition: str
) -> Page[Message]:
    if start is not None and not partition_of(start).startswith(f"{partition}#"):
        raise InvalidCursorError
    shown: list[Message] = []
    last: MessageItem | None = None
    for read, item in enumerate(source):
        if read == _MOST_READ:
            return Page(shown, last.key() if last else None)
        if filters.admits(item):
            # Only one more that the list shows says that something follows.
            if len(shown) == limit:
                return Page(shown, last.key() if last else None)
            shown.append(item.message())
        last = item
    return Page(shown)


def _names(clinic_id: str, contact: Party, clock: Clock) -> list[str]:
    """Return the names under which messages with this contact may be filed."""
    names = {contact.lid} if contact.lid else set()
    for e164 in _forms(contact.e164) if contact.e164 else ():
        names.add(e164.removeprefix("+"))
        known = contacts.cached(clinic_id, e164, clock=clock) if contact.lid is None else None
        if known is not None and known.lid is not None:
            names.add(known.lid)
    return sorted(names)


def _forms(e164: str) -> list[str]:
    # Callers write Brazilian mobiles with the ninth digit (after +55 and the area), WhatsApp often without.
    candidates = {e164, f"{e164[:5]}9{e164[5:]}", f"{e164[:5]}{e164[6:]}"}
    return sorted(candidate for candidate in candidates if same_number(e164, candidate))


def _message_in(start: Key) -> str:
    """Return the id of the last message of the page before."""
    sort_key = start.get("sk", {}).get("S", "")
    identifier = sort_key.removeprefix(_SORT_PREFIX)
    if not is_id(Prefix.MESSAGE, identifier):
        raise InvalidCursorError
    return identifier
