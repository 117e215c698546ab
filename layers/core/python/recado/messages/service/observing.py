"""What was seen on WhatsApp goes into the message log: once per fact, however often it is told."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from pynamodb.expressions.condition import Condition

from recado.aws.models import ConditionFailedError
from recado.aws.transactions import Transaction
from recado.kernel.ids import Prefix, derived_id, time_of
from recado.messages.model import Direction, Message, ObservedMessage, Party, Source, StatusChange
from recado.messages.service.reading import find_item, get
from recado.messages.service.sending import own_pointer
from recado.messages.service.steps import stands_before, writes
from recado.messages.status import PROVED, MessageStatus
from recado.messages.table import POINTER, MessageItem, PointerItem, inbound_pointer, whatsapp_partition

OLDEST = timedelta(days=31)
NEWEST = timedelta(days=1)
_POINTERS_READ = 10


def record_inbound(observed: ObservedMessage) -> tuple[Message, bool]:
    """Write a message that a contact sent.

    Returns:
        The message, and whether it is new.
    """
    message = _message(observed, Direction.INBOUND, Source.CONTACT, MessageStatus.RECEIVED)
    message = replace(message, context_message_id=_quoted(message))
    created = _store(message)
    partition = whatsapp_partition(message.clinic_id, message.channel_id, observed.whatsapp_id)
    PointerItem(pk=partition, sk=inbound_pointer(message.sender), message_id=message.message_id).store()
    return message, created


def record_phone_sent(observed: ObservedMessage) -> tuple[Message, bool] | None:
    """Write a message that somebody typed on the clinic's own phone.

    Returns:
        The message and whether it is new; None if the WhatsApp id is that of another message of ours, as when the
        phone repeats what went out through the API.
    """
    message = _message(observed, Direction.OUTBOUND, Source.PHONE, MessageStatus.SENT)
    message = replace(message, context_message_id=_quoted(message))
    free_or_mine = PointerItem.pk.does_not_exist() | (PointerItem.message_id == message.message_id)
    try:
        # The pointer decides and comes first: a message written without it could be a second copy of ours.
        own_pointer(message, observed.whatsapp_id).store(free_or_mine)
    except ConditionFailedError:
        return None
    return message, _store(message)


def confirm_result(
    clinic_id: str,
    channel_id: str,
    message_id: str,
    status: MessageStatus,
    *,
    whatsapp_id: str | None,
    code: str | None,
    at: datetime,
) -> tuple[Message, StatusChange | None]:
    """Return the history line of a result that a runner reports, writing it if it is late evidence.

    The runner writes results itself, under its epoch. One case is left: a message that went out, while a new owner
    had already called it ``uncertain``. That it was sent is a fact whoever tells it, also if it was put back to be
    sent again meanwhile: what has not been begun anew then never is. What the clinic has discarded stays ended.

    Returns:
        The message, and the line; None if the result never came to be and no longer can.

    Raises:
        MessageNotFoundError: no such message in this channel.
    """
    message = get(clinic_id, channel_id, message_id)
    known = _line(message, status, at)
    if known is not None or status is not MessageStatus.SENT or whatsapp_id is None:
        return message, known
    item = MessageItem.of(message)
    actions = [*writes(StatusChange(status, at, code)), MessageItem.whatsapp_id.set(whatsapp_id)]
    with suppress(ConditionFailedError):  # Somebody else has moved it meanwhile: what stands now is read below.
        (Transaction().save(own_pointer(message, whatsapp_id)).update(item, actions, _may_be_proved(status)).commit())
    message = get(clinic_id, channel_id, message_id)
    return message, message.last_change_to(status)


def _line(message: Message, status: MessageStatus, at: datetime) -> StatusChange | None:
    """Return the history line that a result is about: a message that was sent again may be uncertain twice."""
    told = (change for change in message.history if change.status is status and change.at == at)
    return next(told, None) or message.last_change_to(status)


def _may_be_proved(status: MessageStatus) -> Condition:
    """Return the condition that evidence may bring the stored message to this status."""
    put_back = MessageItem.status.is_in(*(before for before, after in PROVED.items() if status in after))
    proved: Condition = stands_before(status) | (put_back & (MessageItem.resends > 0))
    return proved


def _message(observed: ObservedMessage, direction: Direction, source: Source, status: MessageStatus) -> Message:
    filed_at = _filed_at(observed)
    return Message(
        clinic_id=observed.clinic_id,
        channel_id=observed.channel_id,
        message_id=derived_id(Prefix.MESSAGE, filed_at, observed.entry_id),
        direction=direction,
        status=status,
        type=observed.type,
        source=source,
        created_at=observed.observed_at,
        to=observed.to if direction is Direction.INBOUND else _either(observed.to, observed.chat),
        sender=_either(observed.sender, observed.chat) if direction is Direction.INBOUND else observed.sender,
        text=observed.text,
        unsupported_kind=observed.unsupported_kind,
        push_name=observed.push_name,
        context_whatsapp_id=observed.context_whatsapp_id,
        whatsapp_id=observed.whatsapp_id,
        offline=observed.offline,
        timestamp=observed.timestamp,
        history=(StatusChange(status, observed.observed_at),),
    )


def _filed_at(observed: ObservedMessage) -> datetime:
    """Return the moment inside the message's id: the fact's own, unless that would hide it from every list.

    Lists walk from tomorrow back to a month before the channel's creation; a phone with a wrong clock must not put
    a patient's message outside of that.
    """
    told = time_of(observed.entry_id)
    plausible = observed.observed_at - OLDEST <= told <= observed.observed_at + NEWEST
    return told if plausible else observed.observed_at


def _either(party: Party, chat: Party) -> Party:
    """Return what is known of the other side: a one-to-one chat and the contact in it are the same account."""
    return Party(e164=party.e164 or chat.e164, lid=party.lid or chat.lid)


def _store(message: Message) -> bool:
    try:
        MessageItem.of(message).store(MessageItem.pk.does_not_exist())
    except ConditionFailedError:
        return False
    return True


def _quoted(message: Message) -> str | None:
    """Return our id of the quoted message, if it is known and of the same chat: a quote can be forged."""
    if message.context_whatsapp_id is None:
        return None
    partition = whatsapp_partition(message.clinic_id, message.channel_id, message.context_whatsapp_id)
    pointers = PointerItem.page(
        partition, limit=_POINTERS_READ, range_condition=PointerItem.sk.startswith(POINTER), consistent=True
    )
    for pointer in pointers.items:
        quoted = find_item(message.clinic_id, message.channel_id, pointer.message_id)
        if quoted is not None and quoted.message().contact.may_be(message.contact):
            return quoted.message_id
    return None
