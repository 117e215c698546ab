"""Reading the ingest queue: bodies into entries, and the data of each kind into something typed.

Unknown fields are let through, so that a newer runner and an older recorder get along during a roll-out; a missing or
misshapen field makes the entry invalid. No error tells what was in a field: it may be a patient's words.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from recado.channels.model import ChannelState
from recado.kernel.envelopes import Entry
from recado.kernel.ids import Prefix, is_id

BODY_VERSION = 1


class InvalidEntryError(Exception):
    """The entry (or the whole body) breaks its contract, and no later try will change that."""


def _with_plus(value: Any) -> Any:
    return f"+{value}" if isinstance(value, str) and value and not value.startswith("+") else value


def _with_server(value: Any) -> Any:
    # Runners may name the account alone, or with the device that wrote: a chat has one name.
    return f"{value.partition('@')[0].partition(':')[0]}@lid" if isinstance(value, str) and value else value


PhoneNumber = Annotated[str, BeforeValidator(_with_plus), Field(pattern=r"^\+\d{5,15}$")]
WhatsAppId = Annotated[str, Field(min_length=1, max_length=128)]
Lid = Annotated[str, BeforeValidator(_with_server), Field(pattern=r"^[0-9]{1,30}@lid$")]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, populate_by_name=True)


class PartyData(_Data):
    """An account as WhatsApp names it; at least the chat's has one of the two."""

    e164: PhoneNumber | None = None
    lid: Lid | None = None


class TextData(_Data):
    """The content of a text message."""

    body: str


class ContextData(_Data):
    """The message that is quoted."""

    whatsapp_id: WhatsAppId


class MessageData(_Data):
    """``message.received`` and ``message.phone_sent``."""

    whatsapp_id: WhatsAppId
    chat: PartyData
    sender: PartyData = Field(alias="from")
    to: PartyData
    type: Literal["text", "unsupported"]
    text: TextData | None = None
    unsupported_kind: str | None = None
    context: ContextData | None = None
    timestamp: AwareDatetime
    offline: bool = False
    push_name: str | None = None

    @model_validator(mode="after")
    def _has_what_it_says(self) -> Self:
        if (self.type == "text") != (self.text is not None):
            raise ValueError("a text message has a text and no other has")
        if self.chat.e164 is None and self.chat.lid is None:
            raise ValueError("a chat is with somebody")
        return self


class ResultData(_Data):
    """``message.result``: how sending one of our messages ended."""

    message_id: str
    status: Literal["sent", "failed", "uncertain", "expired", "suppressed"]
    whatsapp_id: WhatsAppId | None = None
    code: str | None = None
    at: AwareDatetime


class ReceiptData(_Data):
    """``message.receipt``: what the other side did with messages of ours."""

    whatsapp_ids: tuple[WhatsAppId, ...] = Field(min_length=1)
    chat: PartyData
    receipt: Literal["delivered", "read", "played"]
    timestamp: AwareDatetime


class UndecryptableData(_Data):
    """``message.undecryptable``: something came that this device could not read."""

    whatsapp_id: WhatsAppId
    chat: PartyData
    sender: PartyData = Field(alias="from")
    timestamp: AwareDatetime


class StateData(_Data):
    """``channel.state``: where the runner says a channel stands."""

    state: ChannelState
    reason: str | None = None
    phone: PhoneNumber | None = None
    lid: Lid | None = None
    ban_expires_at: AwareDatetime | None = None
    retry_at: AwareDatetime | None = None
    desired_version: int | None = None


class PairingCodeData(_Data):
    """``channel.qr_ready``: a code lies ready; the code itself is a secret and not in here."""

    method: Literal["qr", "code"]
    expires_at: AwareDatetime


class PastConversationData(PartyData):
    """A one-to-one chat that the clinic's phone has had: with whom, and when the last message was written."""

    last_at: AwareDatetime

    @model_validator(mode="after")
    def _is_with_somebody(self) -> Self:
        if self.e164 is None and self.lid is None:
            raise ValueError("a conversation is with somebody")
        return self


class HistoryData(_Data):
    """``contacts.in_history``: some of the chats in the phone's history, without anything that was said in them."""

    contacts: tuple[PastConversationData, ...] = Field(min_length=1, max_length=100)


EntryData = MessageData | ResultData | ReceiptData | UndecryptableData | StateData | PairingCodeData | HistoryData

KINDS: Mapping[str, type[EntryData]] = MappingProxyType(
    {
        "message.received": MessageData,
        "message.phone_sent": MessageData,
        "message.result": ResultData,
        "message.receipt": ReceiptData,
        "message.undecryptable": UndecryptableData,
        "channel.state": StateData,
        "channel.qr_ready": PairingCodeData,
        "contacts.in_history": HistoryData,
    }
)


def read_body(body: str) -> list[Any]:
    """Return the undecoded entries of an ingest body.

    Raises:
        InvalidEntryError: the body is not JSON, of another version, or holds no list of entries.
    """
    try:
        plain = json.loads(body)
    except ValueError as error:
        raise InvalidEntryError("the body is not JSON") from error
    if not isinstance(plain, Mapping) or plain.get("version") != BODY_VERSION:
        raise InvalidEntryError("the body is of no known version")
    entries = plain.get("entries")
    if not isinstance(entries, list):
        raise InvalidEntryError("the body holds no list of entries")
    return entries


def read_entry(plain: Any) -> tuple[Entry, EntryData]:
    """Return an entry and its typed data.

    Raises:
        InvalidEntryError: the envelope or the data is not what its kind promises.
    """
    try:
        entry = Entry.from_mapping(plain)
    except (ValueError, AttributeError) as error:
        raise InvalidEntryError("bad envelope") from error
    _check_envelope(entry)
    try:
        return entry, KINDS[entry.kind].model_validate(entry.data)
    except ValidationError as error:
        places = ", ".join(f"{'.'.join(map(str, flaw['loc']))}: {flaw['type']}" for flaw in error.errors())
        raise InvalidEntryError(f"bad data of {entry.kind}: {places}") from None


def _check_envelope(entry: Entry) -> None:
    ids = ((Prefix.EVENT, entry.entry_id), (Prefix.CLINIC, entry.clinic_id), (Prefix.CHANNEL, entry.channel_id))
    for prefix, identifier in ids:
        if not isinstance(identifier, str) or not is_id(prefix, identifier):
            raise InvalidEntryError(f"bad {prefix} id")
    if not isinstance(entry.kind, str) or entry.kind not in KINDS:
        raise InvalidEntryError("unknown kind")
    if any(not isinstance(number, int) or isinstance(number, bool) for number in (entry.sequence, entry.epoch)):
        raise InvalidEntryError("sequence and epoch are integers")
