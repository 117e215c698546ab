"""Protobuf to facts: every event that carries a stanza becomes exactly one fact or one counted ignore.

Units differ inside the library: ``MessageInfo.Timestamp`` is milliseconds, ``Receipt.Timestamp`` seconds.
The shapes of the facts' data are the entry shapes of the ingest queue.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from recado.kernel.clock import to_text
from session_runner.whatsapp.content import Content, content_of
from session_runner.whatsapp.parties import AddressBook, Party, is_person, party_of, same_person

# Clocks of server and machine differ a little; what is older than the connection by more than this came late.
_CLOCK_TOLERANCE = timedelta(seconds=5)

_RECEIPTS = {
    "DELIVERED": "delivered",
    "INACTIVE": "delivered",  # delivered to a device whose app is not in front
    "READ": "read",
    "PLAYED": "played",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """Something to journal: the entry's kind and data, what makes it unique, and WhatsApp's time for it."""

    kind: str
    identity: tuple[str, ...]
    fact_at: datetime
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ignored:
    """Something that is no concern of a clinic, with the reason under which it is counted."""

    reason: str


@dataclass(frozen=True, slots=True)
class View:
    """What the session knows at the moment of the event.

    Args:
        own: the session's own number.
        book: pairs of phone number and LID.
        now: the moment of handling.
        live_since: the connection's beginning; None while messages that waited on the server are coming in.
    """

    own: Party
    book: AddressBook
    now: datetime
    live_since: datetime | None


def map_message(event: Any, view: View) -> Fact | Ignored:
    """Map a neonize ``Message`` event."""
    info = event.Info
    if reason := _not_a_chat(info):
        return Ignored(reason)
    content = content_of(event.Message, is_edit=event.IsEdit)
    if content.plumbing is not None:
        return Ignored(content.plumbing)
    timestamp = _moment(info.Timestamp / 1000, view.now)
    chat, sender = _chat_and_sender(info.MessageSource, view)
    recipient = chat if info.MessageSource.IsFromMe else view.own
    kind = "message.phone_sent" if info.MessageSource.IsFromMe else "message.received"
    data = {
        "whatsapp_id": info.ID,
        "chat": chat.to_data(),
        "from": sender.to_data(),
        "to": recipient.to_data(),
        **_content_data(content),
        "timestamp": to_text(timestamp),
        "offline": view.live_since is None or timestamp < view.live_since - _CLOCK_TOLERANCE,
        "push_name": info.Pushname or None,
    }
    return Fact(kind, (chat.canonical, sender.canonical, info.ID, ""), timestamp, data)


def map_undecryptable(event: Any, view: View) -> Fact | Ignored:
    """Map a neonize ``UndecryptableMessage`` event: something came that this device cannot read (yet)."""
    info = event.Info
    if reason := _not_a_chat(info):
        return Ignored(reason)
    if event.DecryptFailMode == type(event).DecryptFailModeT.Value("DECRYPT_FAIL_HIDE"):
        return Ignored("undecryptable_hidden")  # WhatsApp asks clients not to show these (polls' votes, reactions)
    timestamp = _moment(info.Timestamp / 1000, view.now)
    chat, sender = _chat_and_sender(info.MessageSource, view)
    data = {
        "whatsapp_id": info.ID,
        "chat": chat.to_data(),
        "from": sender.to_data(),
        "timestamp": to_text(timestamp),
    }
    return Fact("message.undecryptable", (chat.canonical, sender.canonical, info.ID, ""), timestamp, data)


def map_receipt(event: Any, view: View) -> Fact | Ignored:
    """Map a neonize ``Receipt`` event."""
    source = event.MessageSource
    if reason := _wrong_chat(source):
        return Ignored(reason)
    name = type(event).ReceiptType.Name(event.Type)
    receipt = _RECEIPTS.get(name)
    if receipt is None:
        return Ignored(f"receipt:{name.lower()}")
    if not event.MessageIDs:
        return Ignored("receipt:empty")
    timestamp = _moment(event.Timestamp, view.now)
    chat, sender = _chat_and_sender(source, view)
    if source.IsFromMe and not same_person(chat, view.own):
        return Ignored("receipt:own_device")
    data = {
        "whatsapp_ids": list(event.MessageIDs),
        "chat": chat.to_data(),
        "receipt": receipt,
        "timestamp": to_text(timestamp),
    }
    return Fact(
        "message.receipt", (chat.canonical, sender.canonical, ",".join(event.MessageIDs), receipt), timestamp, data
    )


def _not_a_chat(info: Any) -> str | None:
    if info.Category == "peer":
        return "peer"  # between the account's own devices
    return _wrong_chat(info.MessageSource)


def _wrong_chat(source: Any) -> str | None:
    chat = source.Chat
    if chat.Server == "g.us":
        return "group"
    if chat.Server == "newsletter":
        return "newsletter"
    if chat.Server == "broadcast":
        if chat.User == "status":
            return "status_broadcast"
        # A contact's broadcast list reads as a message of that contact; one's own list is no chat.
        return "own_broadcast" if source.IsFromMe or not is_person(source.Sender) else None
    return None if is_person(chat) else f"server:{chat.Server}"


def _chat_and_sender(source: Any, view: View) -> tuple[Party, Party]:
    if source.IsFromMe:
        return party_of(source.Chat, source.RecipientAlt, view.book), view.own
    sender = party_of(source.Sender, source.SenderAlt, view.book)
    return sender, sender


def _content_data(content: Content) -> dict[str, Any]:
    return {
        "type": "unsupported" if content.text is None else "text",
        "text": None if content.text is None else {"body": content.text},
        "unsupported_kind": content.unsupported_kind,
        "context": {"whatsapp_id": content.context_id} if content.context_id else None,
    }


def _moment(seconds: float, now: datetime) -> datetime:
    # Go's zero time comes as a large negative number; an id can only carry a moment after 1970.
    return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else now
