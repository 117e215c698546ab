"""What each kind of entry means: what is written, and which events are due.

Every write may be done again, and which events are due follows from the entry and from what is stored, never from
whether this call was the one that wrote: who recorded an entry and died before its events were out is followed by
somebody who puts them out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from aws_lambda_powertools.metrics import MetricUnit

from functions.recorder.channel_events import pairing_code_event, state_events
from functions.recorder.entries import (
    EntryData,
    HistoryData,
    InvalidEntryError,
    MessageData,
    PairingCodeData,
    PartyData,
    ReceiptData,
    ResultData,
    StateData,
    UndecryptableData,
)
from recado.aws.logging import logger, metrics
from recado.channels import service as channels
from recado.channels import store as channel_store
from recado.channels.reports import Outcome
from recado.contacts import service as contacts
from recado.contacts.model import KnownBy, PastConversation
from recado.kernel.clock import Clock
from recado.kernel.envelopes import Entry, Event
from recado.kernel.errors import ChannelNotFoundError, MessageNotFoundError
from recado.messages import service as messages
from recado.messages.events import status_event, undecryptable_event
from recado.messages.model import Message, MessageType, ObservedMessage, Party
from recado.messages.status import MessageStatus

_CHANNELS_REMEMBERED = 10_000
_log = logger("recorder")
_metrics = metrics("recorder")


def _nothing() -> None:
    return


@dataclass(frozen=True, slots=True)
class Taken:
    """What follows from an entry that is written: its events, and what is left to do once they are out."""

    events: Sequence[Event]
    afterwards: Callable[[], None] = _nothing


def take_in(entry: Entry, data: EntryData, clock: Clock) -> Taken:
    """Write what an entry tells and return what follows.

    Raises:
        InvalidEntryError: the clinic has no such channel, or the channel no such message: an entry that names
            another clinic's is none to be believed.
    """
    _check_channel(entry.clinic_id, entry.channel_id)
    match data:
        case MessageData():
            return _message(entry, data, clock)
        case ResultData():
            return _result(entry, data, clock)
        case ReceiptData():
            return _receipt(entry, data, clock)
        case UndecryptableData():
            return Taken([undecryptable_event(entry, data.whatsapp_id, data.chat.lid)])
        case StateData() | PairingCodeData():
            return _channel(entry, data)
        case HistoryData():
            return _history(entry, data, clock)


@lru_cache(maxsize=_CHANNELS_REMEMBERED)
def _check_channel(clinic_id: str, channel_id: str) -> None:
    # A channel never moves to another clinic, and its tombstone stays: a "yes" holds for ever, a "no" is not kept.
    if channel_store.find(clinic_id, channel_id) is None:
        raise InvalidEntryError("the clinic has no such channel")


def _message(entry: Entry, data: MessageData, clock: Clock) -> Taken:
    observed = _observed(entry, data)
    if entry.kind == "message.received":
        message, _ = messages.record_inbound(observed)
        _meet(entry, message.sender, KnownBy.INBOUND, clock)
        return Taken([status_event(message, message.history[0], entry.sequence, entry.entry_id)])
    recorded = messages.record_phone_sent(observed)
    if recorded is None:
        _metrics.add_metric(name="PhoneEchoes", unit=MetricUnit.Count, value=1)
        return Taken([])
    message, _ = recorded
    _meet(entry, message.to, KnownBy.PHONE, clock)
    taken = messages.take_parked(message, clock=clock)
    sent = status_event(message, message.history[0], entry.sequence, entry.entry_id)
    return Taken([sent, *_receipt_events(taken)], lambda: messages.forget_parked(message, taken))


def _result(entry: Entry, data: ResultData, clock: Clock) -> Taken:
    try:
        message, change = messages.confirm_result(
            entry.clinic_id,
            entry.channel_id,
            data.message_id,
            MessageStatus(data.status),
            whatsapp_id=data.whatsapp_id,
            code=data.code,
            at=data.at,
        )
    except MessageNotFoundError:
        raise InvalidEntryError("the channel has no such message") from None
    events = []
    if change is None:
        _metrics.add_metric(name="ResultsSuperseded", unit=MetricUnit.Count, value=1)
        _log.warning("A result came for a message that ended otherwise.", extra=_names(message, data.status))
    else:
        events.append(status_event(message, change, entry.sequence))
    taken = messages.take_parked(message, clock=clock)
    return Taken([*events, *_receipt_events(taken)], lambda: messages.forget_parked(message, taken))


def _receipt(entry: Entry, data: ReceiptData, clock: Clock) -> Taken:
    events = []
    for whatsapp_id in dict.fromkeys(data.whatsapp_ids):
        result = messages.apply_receipt(
            entry.clinic_id,
            entry.channel_id,
            whatsapp_id,
            messages.Receipt(data.receipt),
            data.timestamp,
            chat=_party(data.chat),
            sequence=entry.sequence,
            clock=clock,
        )
        if result.message and result.change:
            events.append(status_event(result.message, result.change, entry.sequence))
        elif result.parked:
            _metrics.add_metric(name="ReceiptsParked", unit=MetricUnit.Count, value=1)
    return Taken(events)


def _receipt_events(taken: Sequence[messages.TakenReceipt]) -> list[Event]:
    return [
        status_event(one.result.message, one.result.change, one.sequence)
        for one in taken
        if one.result.message and one.result.change
    ]


def _channel(entry: Entry, data: StateData | PairingCodeData) -> Taken:
    if isinstance(data, PairingCodeData):
        return Taken([pairing_code_event(entry, data.method, data.expires_at)])
    try:
        result = channels.apply_state(
            entry.clinic_id,
            entry.channel_id,
            state=data.state,
            reason=data.reason,
            sequence=entry.sequence,
            observed_at=entry.observed_at,
            phone=data.phone,
            lid=data.lid,
            ban_expires_at=data.ban_expires_at,
            retry_at=data.retry_at,
            clear_desired_version=data.desired_version,
        )
    except ChannelNotFoundError:
        raise InvalidEntryError("the clinic has no such channel") from None
    # A report that a newer one overtook was true when it was made: it is announced, its sequence says where it belongs.
    if not result.changed and result.outcome is not Outcome.OUTDATED:
        return Taken([])
    return Taken(state_events(entry, data.state, data.reason, result.previous, data.ban_expires_at))


def _history(entry: Entry, data: HistoryData, clock: Clock) -> Taken:
    # Nobody did anything now, so there is no event.
    past = [PastConversation(one.e164, one.lid, one.last_at) for one in data.contacts]
    noted = contacts.meet_in_history(entry.clinic_id, past, clock=clock)
    _metrics.add_metric(name="ContactsFromHistory", unit=MetricUnit.Count, value=noted)
    return Taken([])


def _observed(entry: Entry, data: MessageData) -> ObservedMessage:
    return ObservedMessage(
        clinic_id=entry.clinic_id,
        channel_id=entry.channel_id,
        entry_id=entry.entry_id,
        whatsapp_id=data.whatsapp_id,
        chat=_party(data.chat),
        sender=_party(data.sender),
        to=_party(data.to),
        type=MessageType(data.type),
        timestamp=data.timestamp,
        observed_at=entry.observed_at,
        text=data.text.body if data.text else None,
        unsupported_kind=data.unsupported_kind,
        context_whatsapp_id=data.context.whatsapp_id if data.context else None,
        offline=data.offline,
        push_name=data.push_name,
    )


def _meet(entry: Entry, contact: Party, by: KnownBy, clock: Clock) -> None:
    contacts.meet(entry.clinic_id, contact.e164, contact.lid, by, entry.observed_at, clock=clock)


def _party(data: PartyData) -> Party:
    return Party(e164=data.e164, lid=data.lid)


def _names(message: Message, status: str) -> dict[str, str]:
    return {
        "clinic_id": message.clinic_id,
        "channel_id": message.channel_id,
        "message_id": message.message_id,
        "told": status,
        "stands": message.status.value,
    }
