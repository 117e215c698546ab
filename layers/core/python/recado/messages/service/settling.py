"""What becomes of a message of which nobody knows whether it went out: the clinic decides, or its policy.

Each decision is one conditional write from ``uncertain``: of two deciders one wins, and evidence that comes first wins
over both. Evidence that comes after a resend still stops it as long as nobody has begun the second try.
"""

from dataclasses import replace
from datetime import datetime

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from recado.aws.models import ConditionFailedError
from recado.aws.transactions import Transaction
from recado.kernel.clock import Clock, SystemClock
from recado.kernel.errors import (
    IdempotencyConflictError,
    MessageNotFoundError,
    MessageStateError,
    ServiceUnavailableError,
)
from recado.messages.model import (
    DISCARDED,
    RESENT,
    Decision,
    Message,
    SendSuperseded,
    Settlement,
    StatusChange,
    fingerprint,
)
from recado.messages.service.accepting import (
    IDEMPOTENCY_WINDOW,
    idempotency_key_of,
    next_sequence,
    row_of,
    to_the_millisecond,
)
from recado.messages.service.reading import find_item
from recado.messages.service.steps import writes
from recado.messages.status import MessageStatus
from recado.messages.table import IdempotencyItem, MessageItem, OutboxItem, epoch_seconds

_OUTCOMES = {
    Decision.RESEND: (MessageStatus.QUEUED, RESENT),
    Decision.DISCARD: (MessageStatus.FAILED, DISCARDED),
}
_CLOCK = SystemClock()
_TRIES = 3


class _DecidedError(Exception):
    """The message is not uncertain (any more)."""


class _KeyTakenError(Exception):
    """The idempotency key has a live record."""


def decide(
    clinic_id: str,
    channel_id: str,
    message_id: str,
    decision: Decision,
    idempotency_key: str | None = None,
    *,
    clock: Clock = _CLOCK,
) -> Settlement:
    """Settle an uncertain message.

    ``resend`` puts it back into the outbox with a sequence of its own, behind what was accepted meanwhile; ``discard``
    ends it as failed. Both leave a row, by which the runner sends it or tells of its end.

    Args:
        clinic_id: whose message it is.
        channel_id: its channel; the caller has checked that the clinic has it.
        message_id: the message.
        decision: what is to become of it.
        idempotency_key: the caller's key, valid 24 hours for this message; None to take each request by itself.
        clock: the time.

    Raises:
        MessageNotFoundError: no such message in this channel.
        MessageStateError: it is not uncertain: somebody decided before, evidence came, or it never was.
        IdempotencyConflictError: the key came before with the other decision.
        ServiceUnavailableError: nothing was decided, or it was and the answer got lost.
    """
    for _ in range(_TRIES):
        item = find_item(clinic_id, channel_id, message_id)
        if item is None:
            raise MessageNotFoundError
        message, now = item.message(), to_the_millisecond(clock.now())
        key = _key(message, idempotency_key)
        earlier = IdempotencyItem.find(*key, now=now) if key else None
        if earlier is not None:
            return _replayed(message_id, decision, earlier)
        if message.status is not MessageStatus.UNCERTAIN:
            raise MessageStateError(f"The message is {message.status}; only an uncertain one can be settled.")
        sequence = next_sequence(clinic_id, channel_id)
        transaction = _transaction(item, message, decision, sequence, now)
        if key:
            free = IdempotencyItem.pk.does_not_exist() | (IdempotencyItem.expires_at <= epoch_seconds(now))
            transaction.save(_record(key, message, decision, sequence, now), free, otherwise=_KeyTakenError())
        try:
            transaction.commit()
        except (_DecidedError, _KeyTakenError):
            continue  # What stands now says why.
        return Settlement(message_id, *_OUTCOMES[decision], replayed=False)
    raise ServiceUnavailableError("The message changes too often.")


def resend_in_place(message: Message, *, clock: Clock = _CLOCK) -> Message:
    """Put an uncertain message back, for its runner: its row is still there and keeps its place in the chat's order.

    Args:
        message: as ``record_uncertain`` returned it.
        clock: the time.

    Raises:
        SendSuperseded: it is not uncertain any more: somebody decided, or evidence came.
    """
    item = MessageItem.of(message)
    change = StatusChange(MessageStatus.QUEUED, to_the_millisecond(clock.now()), RESENT)
    try:
        item.change([*writes(change), *_put_back(message, message.sequence or 0)], _uncertain(message))
    except ConditionFailedError:
        stored = find_item(message.clinic_id, message.channel_id, message.message_id)
        if stored is None:
            raise MessageNotFoundError from None
        # botocore repeats a write whose answer got lost: the second is refused because the first went through.
        if change in stored.history:
            return stored.message()
        raise SendSuperseded(stored.message()) from None
    return item.message()


def _transaction(item: MessageItem, message: Message, decision: Decision, sequence: int, now: datetime) -> Transaction:
    status, code = _OUTCOMES[decision]
    actions = writes(StatusChange(status, now, code))
    row = replace(row_of(message), sequence=sequence)
    if decision is Decision.RESEND:
        actions += _put_back(message, sequence)
    else:
        # Nothing is left to be sent: the sender takes what is over at once, finds the message ended, and tells.
        row = replace(row, expires_at=now)
    return (
        Transaction()
        .update(item, actions, _uncertain(message), otherwise=_DecidedError())
        .save(OutboxItem.of(row), OutboxItem.pk.does_not_exist())
    )


def _record(
    key: tuple[str, str], message: Message, decision: Decision, sequence: int, now: datetime
) -> IdempotencyItem:
    return IdempotencyItem(
        *key,
        fingerprint=fingerprint(decision.value.encode()),
        message_id=message.message_id,
        sequence=sequence,
        accepted_at=now,
        expires_at=epoch_seconds(now + IDEMPOTENCY_WINDOW),
    )


def _put_back(message: Message, sequence: int) -> list[Action]:
    return [
        MessageItem.sequence.set(sequence),
        MessageItem.resends.set(message.resends + 1),
        MessageItem.attempt.remove(),
    ]


def _uncertain(message: Message) -> Condition:
    """Return the condition that the message is as uncertain as it was read: not decided and lost again since."""
    as_read = MessageItem.resends == message.resends if message.resends else MessageItem.resends.does_not_exist()
    condition: Condition = (MessageItem.status == MessageStatus.UNCERTAIN) & as_read
    return condition


def _key(message: Message, idempotency_key: str | None) -> tuple[str, str] | None:
    if idempotency_key is None:
        return None
    return idempotency_key_of(message.clinic_id, f"messages.settle#{message.message_id}", idempotency_key)


def _replayed(message_id: str, decision: Decision, earlier: IdempotencyItem) -> Settlement:
    if earlier.fingerprint != fingerprint(decision.value.encode()):
        raise IdempotencyConflictError
    return Settlement(message_id, *_OUTCOMES[decision], replayed=True)
