"""Accepting messages: once this has answered, the message is durable, ordered and will be sent once."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

from recado.aws.transactions import Transaction
from recado.kernel.clock import Clock, SystemClock
from recado.kernel.errors import IdempotencyConflictError, InvalidRequestError, ServiceUnavailableError
from recado.kernel.ids import Prefix, new_id
from recado.messages.model import (
    Accepted,
    Direction,
    Message,
    OutboxRow,
    SendRequest,
    accepted_message,
    fingerprint,
)
from recado.messages.service.reading import find_item
from recado.messages.table import (
    IdempotencyItem,
    MessageItem,
    OutboxCounterItem,
    OutboxItem,
    epoch_seconds,
    outbox_partition,
    sequence_key,
)

IDEMPOTENCY_WINDOW = timedelta(hours=24)
_CLOCK = SystemClock()
_TRIES = 3
_LARGEST_SEQUENCE = 10**20 - 1


class _KeyTakenError(Exception):
    """The idempotency key has a live record."""


def accept(
    clinic_id: str,
    channel_id: str,
    request: SendRequest,
    idempotency_key: str | None,
    canonical_body: bytes,
    *,
    clock: Clock = _CLOCK,
) -> Accepted:
    """Accept a message for sending, or give the answer again that its idempotency key was given before.

    The message, its outbox row and the record of the key are one transaction, so any number of requests with
    one key, at once or later, make one message.

    Args:
        clinic_id: whose message it is.
        channel_id: the channel it goes out through; the caller has checked that the clinic has it.
        request: what to send.
        idempotency_key: the caller's key, valid 24 hours within this clinic and channel; None to accept each request.
        canonical_body: the request body in one canonical form; the same key with another one is refused.
        clock: the time.

    Raises:
        IdempotencyConflictError: the key came before with another body.
        InvalidRequestError: the message to be quoted is not in this channel.
        ServiceUnavailableError: nothing was accepted, or it was and the answer got lost: trying again is safe
            with an idempotency key.
    """
    quoted = _quoted(clinic_id, channel_id, request)
    now = to_the_millisecond(clock.now())
    message = accepted_message(
        clinic_id,
        channel_id,
        request,
        message_id=new_id(Prefix.MESSAGE, now),
        sequence=next_sequence(clinic_id, channel_id),
        at=now,
    )
    message = replace(message, context_whatsapp_id=quoted.whatsapp_id if quoted else None)
    row = replace(row_of(message), answers=quoted is not None and _is_answered_by(quoted, message))
    if idempotency_key is None:
        _transaction(message, row).commit()
        return Accepted(message, replayed=False)
    record = _record(message, idempotency_key, fingerprint(canonical_body))
    free = IdempotencyItem.pk.does_not_exist() | (IdempotencyItem.expires_at <= epoch_seconds(now))
    for _ in range(_TRIES):
        try:
            _transaction(message, row).save(record, free, otherwise=_KeyTakenError()).commit()
        except _KeyTakenError:
            earlier = IdempotencyItem.find(record.pk, record.sk, now=now)
            if earlier is not None:
                return _replayed(clinic_id, channel_id, request, earlier, record.fingerprint)
        else:
            return Accepted(message, replayed=False)
    raise ServiceUnavailableError("The idempotency record changes too often.")


def repeated(
    clinic_id: str,
    channel_id: str,
    request: SendRequest,
    idempotency_key: str,
    canonical_body: bytes,
    *,
    clock: Clock = _CLOCK,
) -> Accepted | None:
    """Return the answer that this key was given before, or None; for channels that take no new messages.

    The arguments are those of ``accept``.

    Raises:
        IdempotencyConflictError: the key came before with another body.
    """
    key = idempotency_key_of(clinic_id, _route(channel_id), idempotency_key)
    earlier = IdempotencyItem.find(*key, now=clock.now())
    if earlier is None:
        return None
    return _replayed(clinic_id, channel_id, request, earlier, fingerprint(canonical_body))


def outbox_counter(clinic_id: str, channel_id: str) -> int:
    """Return the last sequence given out in a channel's outbox, 0 if there was none."""
    counter = OutboxCounterItem.find(outbox_partition(clinic_id, channel_id), OutboxCounterItem.sort_key)
    return int(counter.last) if counter else 0


def outbox_rows(clinic_id: str, channel_id: str, limit: int, after: int = 0) -> list[OutboxRow]:
    """Return the channel's unsettled messages in the order of their acceptance, read with strong consistency.

    Args:
        clinic_id: the channel's clinic.
        channel_id: the channel.
        limit: the most rows to return.
        after: only rows with a larger sequence.
    """
    page = OutboxItem.page(
        outbox_partition(clinic_id, channel_id),
        limit=limit,
        range_condition=OutboxItem.sk.between(sequence_key(after + 1), sequence_key(_LARGEST_SEQUENCE)),
        consistent=True,
    )
    return [item.row() for item in page.items]


def _quoted(clinic_id: str, channel_id: str, request: SendRequest) -> Message | None:
    """Return the message to be quoted; one that is not sent yet has no WhatsApp id."""
    if request.context_message_id is None:
        return None
    item = find_item(clinic_id, channel_id, request.context_message_id)
    if item is None:
        raise InvalidRequestError("There is no such message in this channel.", field="context.message_id")
    return item.message()


def _is_answered_by(quoted: Message, message: Message) -> bool:
    """Say whether a message quotes what its own recipient wrote: quoting somebody else's is no answer to anybody."""
    return quoted.direction is Direction.INBOUND and quoted.sender.may_be(message.to)


def to_the_millisecond(moment: datetime) -> datetime:
    """Return a moment as it is stored: a replayed answer must equal the first one."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def next_sequence(clinic_id: str, channel_id: str) -> int:
    """Return the next sequence of a channel's outbox; one that is not used leaves a gap."""
    counter = OutboxCounterItem(pk=outbox_partition(clinic_id, channel_id), sk=OutboxCounterItem.sort_key)
    counter.change([OutboxCounterItem.last.add(1)])
    return int(counter.last)


def _transaction(message: Message, row: OutboxRow) -> Transaction:
    return (
        Transaction()
        .save(MessageItem.of(message), MessageItem.pk.does_not_exist())
        .save(OutboxItem.of(row), OutboxItem.pk.does_not_exist())
    )


def row_of(message: Message) -> OutboxRow:
    """Return the outbox row of a message, under the message's own sequence."""
    return OutboxRow(
        clinic_id=message.clinic_id,
        channel_id=message.channel_id,
        sequence=message.sequence or 0,
        message_id=message.message_id,
        chat=message.to.chat or "",
        created_at=message.created_at,
        expires_at=message.valid_until,
    )


def _record(message: Message, idempotency_key: str, body: str) -> IdempotencyItem:
    return IdempotencyItem(
        *idempotency_key_of(message.clinic_id, _route(message.channel_id), idempotency_key),
        fingerprint=body,
        message_id=message.message_id,
        sequence=message.sequence,
        accepted_at=message.created_at,
        expires_at=epoch_seconds(message.created_at + IDEMPOTENCY_WINDOW),
    )


def idempotency_key_of(clinic_id: str, route: str, idempotency_key: str) -> tuple[str, str]:
    """Return where the record of a key lies: what was asked under it for one route of one clinic."""
    key = hashlib.sha256(idempotency_key.encode()).hexdigest()
    return f"clinic#{clinic_id}#idempotency", f"{route}#{key}"


def _route(channel_id: str) -> str:
    # The channel is part of the route: one key on two channels is two requests.
    return f"messages.send#{channel_id}"


def _replayed(clinic_id: str, channel_id: str, request: SendRequest, earlier: IdempotencyItem, body: str) -> Accepted:
    if earlier.fingerprint != body:
        raise IdempotencyConflictError
    message = accepted_message(
        clinic_id,
        channel_id,
        request,
        message_id=earlier.message_id,
        sequence=int(earlier.sequence),
        at=earlier.accepted_at,
    )
    return Accepted(message, replayed=True)
