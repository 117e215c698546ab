"""The body of a webhook: the event's envelope, with data that says what an integrator needs to act on it.

What the text of a message was is shown by ``message.received`` and ``message.sent`` only; the events that tell how a
message fares name it by id and ``client_reference``, so that patients' words travel no more often than needed.
"""

import json
from typing import Any

from recado.channels.model import ChannelState
from recado.kernel.clock import to_text
from recado.kernel.envelopes import Event
from recado.messages.model import Message, Party

_WITH_TEXT = frozenset({"message.received", "message.sent"})
_CONNECTED = ChannelState.CONNECTED.value


def body_of(event: Event, message: Message | None = None, phone: str | None = None) -> bytes:
    """Return the raw body: UTF-8 JSON, the very bytes that are signed and sent.

    Args:
        event: the thin event.
        message: the message it is about, as stored now; None for other events, or when it is no longer kept.
        phone: the channel's number, for channel events.
    """
    return json.dumps(
        {
            "id": event.id,
            "type": event.type,
            "version": event.version,
            "timestamp": to_text(event.timestamp),
            "clinic_id": event.clinic_id,
            "channel_id": event.channel_id or None,
            "sequence": event.sequence,
            "data": _data(event, message, phone),
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


def message_id_of(event: Event) -> str | None:
    """Return the id of the message that must be read for the body, if any."""
    identifier = event.data.get("message_id")
    return identifier if event.type.startswith("message.") and isinstance(identifier, str) else None


def shows_phone(event: Event) -> bool:
    """Say whether the body names the channel's number: only once it is connected is there one."""
    return event.type.startswith("channel.") and event.data.get("state") == _CONNECTED


def _data(event: Event, message: Message | None, phone: str | None) -> dict[str, Any]:
    if event.type.startswith("message."):
        return _message_data(event, message)
    if shows_phone(event):
        return {**event.data, "phone": phone}
    return event.data


def _message_data(event: Event, message: Message | None) -> dict[str, Any]:
    known = event.data
    chat_lid = known.get("chat_lid")
    data: dict[str, Any] = {
        "message_id": known.get("message_id"),
        "whatsapp_id": known.get("whatsapp_id") or (message.whatsapp_id if message else None),
        "direction": known.get("direction", "inbound"),
        "source": known.get("source", "contact"),
        "from": _party(message.sender) if message else {"e164": None, "lid": chat_lid},
        "to": _party(message.to) if message else {"e164": None, "lid": None},
        "type": known.get("type"),
        "unsupported_kind": message.unsupported_kind if message else None,
        "text": None,
        "context": _context(message) if message else None,
        "timestamp": to_text(message.timestamp) if message and message.timestamp else None,
        "offline": message.offline if message else False,
        "client_reference": known.get("client_reference"),
        # The event's own status: by now the message may have gone on.
        "status": known.get("status"),
        "code": known.get("code"),
        # More than 0: it went out again after it had been uncertain, and the contact may have it twice.
        "resends": known.get("resends", 0),
    }
    if message and message.text is not None and event.type in _WITH_TEXT:
        data["text"] = {"body": message.text}
    return data


def _party(party: Party) -> dict[str, str | None]:
    return {"e164": party.e164, "lid": party.lid}


def _context(message: Message) -> dict[str, str | None] | None:
    if message.context_message_id is None and message.context_whatsapp_id is None:
        return None
    return {"message_id": message.context_message_id, "whatsapp_id": message.context_whatsapp_id}
