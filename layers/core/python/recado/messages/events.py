"""The thin events of this room: ids and facts, never a text and never a number."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from recado.kernel.envelopes import Entry, Event
from recado.kernel.ids import Prefix, derived_id
from recado.messages.model import Message, StatusChange
from recado.messages.status import MessageStatus

STATUS_EVENTS: Mapping[MessageStatus, str] = MappingProxyType(
    {
        MessageStatus.RECEIVED: "message.received",
        MessageStatus.SENT: "message.sent",
        MessageStatus.DELIVERED: "message.delivered",
        MessageStatus.READ: "message.read",
        MessageStatus.FAILED: "message.failed",
        MessageStatus.UNCERTAIN: "message.uncertain",
        MessageStatus.EXPIRED: "message.expired",
        MessageStatus.SUPPRESSED: "message.suppressed",
    }
)
UNDECRYPTABLE = "message.undecryptable"


def status_event(message: Message, change: StatusChange, sequence: int, event_id: str | None = None) -> Event:
    """Return the event that says a message came to a status.

    Args:
        message: the message; its present status may be further up the ladder than ``change``.
        change: the line of its history the event is about.
        sequence: the sequence of the entry that told of it.
        event_id: the entry's id where one entry is one such fact. Left out, the id follows from the message and the
            change, so that receipts of several of a contact's devices make one event.
    """
    event_type = STATUS_EVENTS[change.status]
    return Event(
        id=event_id or _derived(message, event_type, change.at),
        type=event_type,
        clinic_id=message.clinic_id,
        channel_id=message.channel_id,
        sequence=sequence,
        timestamp=change.at,
        data={
            "message_id": message.message_id,
            "direction": message.direction.value,
            "type": message.type.value,
            "source": message.source.value,
            "status": change.status.value,
            "code": change.code,
            "resends": message.resends_before(change),
            "client_reference": message.client_reference,
            "whatsapp_id": message.whatsapp_id,
        },
    )


def undecryptable_event(entry: Entry, whatsapp_id: str, chat_lid: str | None) -> Event:
    """Return the event of a message that reached the channel and could not be read.

    There is no message to read by id, so the event says in which chat it happened, by LID only: a LID is no number.
    """
    return Event(
        id=entry.entry_id,
        type=UNDECRYPTABLE,
        clinic_id=entry.clinic_id,
        channel_id=entry.channel_id,
        sequence=entry.sequence,
        timestamp=entry.observed_at,
        data={"whatsapp_id": whatsapp_id, "chat_lid": chat_lid},
    )


def _derived(message: Message, event_type: str, at: datetime) -> str:
    return derived_id(Prefix.EVENT, at, message.clinic_id, message.channel_id, message.message_id, event_type)
