"""The sender's writes: intent before the attempt, result after it, both bound to the shard's epoch.

WhatsApp's client takes no message id from us, so a crash between intent and result leaves a message of which nobody
knows whether it went out. That is why the intent names its epoch: whoever finds ``sending`` knows who began.
"""

import secrets
from dataclasses import replace
from datetime import datetime

from pynamodb.expressions.condition import Condition

from recado.aws.models import ConditionFailedError
from recado.aws.transactions import Transaction
from recado.kernel.clock import Clock, SystemClock
from recado.kernel.errors import MessageNotFoundError, ServiceUnavailableError
from recado.messages.model import AlreadySettled, Message, OutboxRow, SendingElsewhere, SendSuperseded, StatusChange
from recado.messages.service.reading import find_item
from recado.messages.service.steps import holds, holds_no_more, writes
from recado.messages.status import MessageStatus, is_settled
from recado.messages.table import (
    POINTER,
    MessageItem,
    OutboxItem,
    PointerItem,
    chat_key,
    message_key,
    outbox_partition,
    sequence_key,
    stored_party,
    whatsapp_partition,
)

_CLOCK = SystemClock()
_TRIES = 3
_ATTEMPT_BYTES = 8


class _RefusedError(Exception):
    """The message is not in ``sending`` under the caller's epoch."""


def begin_send(row: OutboxRow, epoch: int) -> Message:
    """Write the intent to send (``queued → sending``) and return the message; only then may it be sent.

    Args:
        row: the outbox row.
        epoch: the epoch of the shard's lease the caller holds.

    Raises:
        AlreadySettled: its result is known; the row is to be settled once the fact is in the journal.
        SendingElsewhere: somebody began and left no result; ``epoch`` says who.
        MessageNotFoundError: the message was erased; the row is to be settled.
    """
    attempt = secrets.token_hex(_ATTEMPT_BYTES)
    for _ in range(_TRIES):
        item = _keys(row.clinic_id, row.channel_id, row.message_id)
        actions = [
            MessageItem.status.set(MessageStatus.SENDING),
            MessageItem.epoch.set(epoch),
            MessageItem.attempt.set(attempt),
            *holds_no_more(),
        ]
        try:
            item.change(actions, MessageItem.status == MessageStatus.QUEUED)
        except ConditionFailedError:
            stored = find_item(row.clinic_id, row.channel_id, row.message_id)
            # botocore repeats a write whose answer got lost: the second is refused because the first went through.
            if stored is not None and stored.attempt == attempt and stored.status is MessageStatus.SENDING:
                return stored.message()
            _raise_why_not_queued(stored)
        else:
            return item.message()
    raise ServiceUnavailableError("The message changes too often.")


def record_sent(
    message: Message,
    epoch: int,
    whatsapp_id: str,
    timestamp: datetime,
    *,
    e164: str | None = None,
    lid: str | None = None,
    clock: Clock = _CLOCK,
) -> Message:
    """Write that WhatsApp took the message, together with the pointer by which receipts find it.

    Args:
        message: as ``begin_send`` returned it.
        epoch: the epoch it was begun under.
        whatsapp_id: WhatsApp's id of it.
        timestamp: WhatsApp's time of it.
        e164: the number under which the recipient is registered, if it was resolved.
        lid: the recipient's LID, if it was resolved.
        clock: the time.

    Raises:
        SendSuperseded: the message is no longer in ``sending`` under this epoch. It went out all the same: the
            result belongs into the journal, and the recorder writes it as late evidence.
    """
    change = StatusChange(MessageStatus.SENT, clock.now())
    to = replace(message.to, e164=e164 or message.to.e164, lid=lid or message.to.lid)
    actions = [
        *writes(change),
        MessageItem.whatsapp_id.set(whatsapp_id),
        MessageItem.timestamp.set(timestamp),
        MessageItem.to.set(stored_party(to)),
        MessageItem.chat_key.set(chat_key(message.clinic_id, to.chat or "")),
    ]
    item = _keys(message.clinic_id, message.channel_id, message.message_id)
    try:
        (
            Transaction()
            .save(own_pointer(message, whatsapp_id))
            .update(item, actions, _begun_under(epoch), otherwise=_RefusedError())
            .commit()
        )
    except _RefusedError:
        stored = _stored(message)
        if stored.whatsapp_id == whatsapp_id and is_settled(stored.status):
            return stored
        raise SendSuperseded(stored) from None
    return replace(
        message,
        status=MessageStatus.SENT,
        whatsapp_id=whatsapp_id,
        timestamp=timestamp,
        to=to,
        code=None,
        history=(*message.history, change),
    )


def record_failed(message: Message, epoch: int, code: str, *, clock: Clock = _CLOCK) -> Message:
    """Write that the message did not go out and never will.

    Args:
        message: as ``begin_send`` returned it.
        epoch: the epoch it was begun under.
        code: WhatsApp's code, or ours such as ``not_on_whatsapp``.
        clock: the time.

    Raises:
        SendSuperseded: the message is no longer in ``sending`` under this epoch.
    """
    return _end(message, StatusChange(MessageStatus.FAILED, clock.now(), code), _begun_under(epoch))


def record_uncertain(message: Message, epoch: int, code: str | None = None, *, clock: Clock = _CLOCK) -> Message:
    """Write that nobody knows whether the message went out: it was begun under this epoch or an older one.

    Raises:
        SendSuperseded: the message is no longer in ``sending``, or a newer owner began it.
    """
    begun_by_now = (MessageItem.status == MessageStatus.SENDING) & (MessageItem.epoch <= epoch)
    return _end(message, StatusChange(MessageStatus.UNCERTAIN, clock.now(), code), begun_by_now)


def record_expired(row: OutboxRow, *, clock: Clock = _CLOCK) -> Message:
    """Write that the message outlived its time before anybody began to send it.

    Raises:
        AlreadySettled: its result is known.
        SendingElsewhere: somebody began to send it.
        MessageNotFoundError: the message was erased.
    """
    return _end_queued(row, StatusChange(MessageStatus.EXPIRED, clock.now()))


def record_suppressed(row: OutboxRow, code: str, *, clock: Clock = _CLOCK) -> Message:
    """Write that a gate refused the message for good, with the gate's reason.

    Raises:
        AlreadySettled: its result is known.
        SendingElsewhere: somebody began to send it.
        MessageNotFoundError: the message was erased.
    """
    return _end_queued(row, StatusChange(MessageStatus.SUPPRESSED, clock.now(), code))


def requeue(
    message: Message, epoch: int, *, held_reason: str | None = None, not_before: datetime | None = None
) -> None:
    """Take the intent back (``sending → queued``): only when the driver or WhatsApp proved that nothing went out.

    Args:
        message: as ``begin_send`` returned it.
        epoch: the epoch it was begun under.
        held_reason: why it is to wait, if it is.
        not_before: until when at least, if so.

    Raises:
        SendSuperseded: the message is no longer in ``sending`` under this epoch.
    """
    item = _keys(message.clinic_id, message.channel_id, message.message_id)
    held = holds(held_reason, not_before) if held_reason is not None and not_before is not None else []
    actions = [MessageItem.status.set(MessageStatus.QUEUED), MessageItem.attempt.remove(), *held]
    try:
        item.change(actions, _begun_under(epoch) & (MessageItem.attempt.exists()))
    except ConditionFailedError:
        stored = _stored(message)
        if stored.status is not MessageStatus.QUEUED:
            raise SendSuperseded(stored) from None


def hold(row: OutboxRow, reason: str, not_before: datetime) -> None:
    """Write why a queued message does not go out yet; it keeps its row and its place.

    Raises:
        AlreadySettled: its result is known.
        SendingElsewhere: somebody began to send it.
        MessageNotFoundError: the message was erased.
    """
    item = _keys(row.clinic_id, row.channel_id, row.message_id)
    try:
        item.change(holds(reason, not_before), MessageItem.status == MessageStatus.QUEUED)
    except ConditionFailedError:
        _raise_why_not_queued(find_item(row.clinic_id, row.channel_id, row.message_id))


def settle(row: OutboxRow) -> None:
    """Remove the outbox row: after the message's result is written and the fact of it is in the journal."""
    OutboxItem(pk=outbox_partition(row.clinic_id, row.channel_id), sk=sequence_key(row.sequence)).remove()


def own_pointer(message: Message, whatsapp_id: str) -> PointerItem:
    """Return the pointer to a message that the channel itself wrote."""
    partition = whatsapp_partition(message.clinic_id, message.channel_id, whatsapp_id)
    return PointerItem(pk=partition, sk=POINTER, message_id=message.message_id)


def _begun_under(epoch: int) -> Condition:
    sending: Condition = MessageItem.status == MessageStatus.SENDING
    begun: Condition = sending & (MessageItem.epoch == epoch)
    return begun


def _keys(clinic_id: str, channel_id: str, message_id: str) -> MessageItem:
    pk, sk = message_key(clinic_id, channel_id, message_id)
    return MessageItem(pk=pk, sk=sk)


def _stored(message: Message) -> Message:
    item = find_item(message.clinic_id, message.channel_id, message.message_id)
    if item is None:
        raise MessageNotFoundError
    return item.message()


def _end(message: Message, change: StatusChange, condition: Condition) -> Message:
    item = _keys(message.clinic_id, message.channel_id, message.message_id)
    try:
        item.change(writes(change), condition)
    except ConditionFailedError:
        stored = _stored(message)
        if change in stored.history:
            return stored
        raise SendSuperseded(stored) from None
    return item.message()


def _end_queued(row: OutboxRow, change: StatusChange) -> Message:
    for _ in range(_TRIES):
        item = _keys(row.clinic_id, row.channel_id, row.message_id)
        try:
            item.change([*writes(change), *holds_no_more()], MessageItem.status == MessageStatus.QUEUED)
        except ConditionFailedError:
            _raise_why_not_queued(find_item(row.clinic_id, row.channel_id, row.message_id))
        else:
            return item.message()
    raise ServiceUnavailableError("The message changes too often.")


def _raise_why_not_queued(stored: MessageItem | None) -> None:
    """Raise what keeps the message from being taken; return if it is queued again and may be tried again."""
    if stored is None:
        raise MessageNotFoundError
    if stored.status is MessageStatus.SENDING:
        raise SendingElsewhere(stored.message())
    if is_settled(stored.status):
        raise AlreadySettled(stored.message())
