"""What is counted, and the rows of a volume report."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from recado.kernel.envelopes import Event
from recado.kernel.ids import Prefix, is_id
from recado.messages.model import Direction

_DIRECTIONS: Mapping[str, Direction] = MappingProxyType(
    {"message.received": Direction.INBOUND, "message.sent": Direction.OUTBOUND}
)


class UncountableEventError(Exception):
    """The event breaks its contract: it names no clinic or channel, or has no id."""


@dataclass(frozen=True, slots=True)
class Volume:
    """How many messages one channel sent or received in one hour.

    Attributes:
        hour: the beginning of the hour, in UTC.
        count: messages, at least 1: hours without any have no row.
    """

    hour: datetime
    channel_id: str
    direction: Direction
    count: int


def direction_of(event: Event) -> Direction | None:
    """Return the direction an event counts for, None if it is not counted.

    A message is counted where it enters the log: when a contact's arrives, and when one of ours is known to be out.

    Raises:
        UncountableEventError: the event names no clinic or channel, or has no id.
    """
    ids = ((Prefix.EVENT, event.id), (Prefix.CLINIC, event.clinic_id), (Prefix.CHANNEL, event.channel_id))
    if not all(isinstance(text, str) and is_id(prefix, text) for prefix, text in ids):
        raise UncountableEventError("an event has an id, a clinic and a channel")
    return _DIRECTIONS.get(event.type)


def hour_of(moment: datetime) -> datetime:
    """Return the beginning of the moment's hour, in UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
