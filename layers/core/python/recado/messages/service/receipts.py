"""Receipts: what the other side did with our messages, also when it says so before we know our own result.

The recorder looks for the message, parks the receipt if there is none, and looks again; whoever handles a message's
result takes what is parked. The pointer is written before the result is journalled, so one of the two always meets.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from recado.aws.models import ConditionFailedError
from recado.kernel.clock import Clock, SystemClock
from recado.kernel.errors import ServiceUnavailableError
from recado.messages.model import Message, Party, StatusChange
from recado.messages.service.reading import find_item
from recado.messages.service.steps import writes
from recado.messages.status import MessageStatus, may_follow
from recado.messages.table import (
    POINTER,
    MessageItem,
    ParkedReceiptItem,
    PointerItem,
    epoch_seconds,
    whatsapp_partition,
)

PARKED_FOR = timedelta(days=7)
_CLOCK = SystemClock()
_TRIES = 5
_PREFIX = "receipt#"


class Receipt(StrEnum):
    """The receipts WhatsApp gives for a message; ``played`` is said of voice, and whoever played it has read it."""

    DELIVERED = "delivered"
    READ = "read"
    PLAYED = "played"

    @property
    def status(self) -> MessageStatus:
        """The status it brings a message to."""
        return MessageStatus.DELIVERED if self is Receipt.DELIVERED else MessageStatus.READ


@dataclass(frozen=True, slots=True)
class ReceiptResult:
    """What became of one receipt.

    Attributes:
        message: the message as it now is; None if there is none (then it is parked) or the chat is another's.
        change: the history line the receipt stands for; None if the message had gone further without it.
        parked: it waits for the message's result.
    """

    message: Message | None = None
    change: StatusChange | None = None
    parked: bool = False


@dataclass(frozen=True, slots=True)
class TakenReceipt:
    """A receipt that had waited; ``sequence`` is that of the entry it came in."""

    receipt: Receipt
    sequence: int
    result: ReceiptResult


def apply_receipt(
    clinic_id: str,
    channel_id: str,
    whatsapp_id: str,
    receipt: Receipt,
    at: datetime,
    *,
    chat: Party,
    sequence: int,
    clock: Clock = _CLOCK,
) -> ReceiptResult:
    """Bring a message of ours to what a receipt says, or park the receipt. Doing it again changes nothing.

    The change is returned also when it was written before, so that a caller who died in between can still tell.

    Args:
        clinic_id: the channel's clinic.
        channel_id: the channel.
        whatsapp_id: the message the receipt is for.
        receipt: what it says.
        at: WhatsApp's time of it.
        chat: whose receipt it is; a receipt from another chat than the message's is not believed.
        sequence: of the entry it came in.
        clock: the time.
    """
    item = _own(clinic_id, channel_id, whatsapp_id)
    if item is None:
        parked = _parked_keys(clinic_id, channel_id, whatsapp_id, receipt)
        parked.at, parked.chat, parked.sequence = at, chat, sequence
        _park(parked, clock.now())
        item = _own(clinic_id, channel_id, whatsapp_id)
        if item is None:
            return ReceiptResult(parked=True)
        parked.remove()
    return _apply(item, receipt, at, chat)


def take_parked(message: Message, *, clock: Clock = _CLOCK) -> list[TakenReceipt]:
    """Apply what is parked for a message whose WhatsApp id is known now, and return it in the order of the ladder.

    What was taken stays parked until ``forget_parked``, so that a caller who dies before its events are out finds
    it again.
    """
    if message.whatsapp_id is None:
        return []
    taken = []
    parked = ParkedReceiptItem.page(
        whatsapp_partition(message.clinic_id, message.channel_id, message.whatsapp_id),
        limit=len(Receipt),
        range_condition=ParkedReceiptItem.sk.startswith(_PREFIX),
        consistent=True,
    )
    for waiting in parked.items:
        item = find_item(message.clinic_id, message.channel_id, message.message_id)
        if item is None or not waiting.is_live(clock.now()):
            continue
        receipt = Receipt(waiting.sk.removeprefix(_PREFIX))
        taken.append(TakenReceipt(receipt, int(waiting.sequence), _apply(item, receipt, waiting.at, waiting.chat)))
    return taken


def forget_parked(message: Message, taken: Sequence[TakenReceipt]) -> None:
    """Remove parked receipts that were taken and whose events are out."""
    for receipt in {one.receipt for one in taken}:
        _parked_keys(message.clinic_id, message.channel_id, message.whatsapp_id or "", receipt).remove()


def _own(clinic_id: str, channel_id: str, whatsapp_id: str) -> MessageItem | None:
    pointer = PointerItem.find(whatsapp_partition(clinic_id, channel_id, whatsapp_id), POINTER)
    return find_item(clinic_id, channel_id, pointer.message_id) if pointer else None


def _parked_keys(clinic_id: str, channel_id: str, whatsapp_id: str, receipt: Receipt) -> ParkedReceiptItem:
    return ParkedReceiptItem(pk=whatsapp_partition(clinic_id, channel_id, whatsapp_id), sk=f"{_PREFIX}{receipt.value}")


def _park(item: ParkedReceiptItem, now: datetime) -> None:
    item.expires_at = epoch_seconds(now + PARKED_FOR)
    free = ParkedReceiptItem.pk.does_not_exist() | (ParkedReceiptItem.expires_at <= epoch_seconds(now))
    # The first of several devices' receipts stays: it says when it happened.
    with suppress(ConditionFailedError):
        item.store(free)


def _apply(item: MessageItem, receipt: Receipt, at: datetime, chat: Party) -> ReceiptResult:
    if not item.message().to.may_be(chat):
        return ReceiptResult()
    for _ in range(_TRIES):
        message = item.message()
        known = message.last_change_to(receipt.status)
        if known is not None:
            return ReceiptResult(message, known)
        if not may_follow(message.status, receipt.status):
            return ReceiptResult(message)
        try:
            item.change(writes(StatusChange(receipt.status, at)), MessageItem.status == message.status)
        except ConditionFailedError:
            newer = find_item(message.clinic_id, message.channel_id, message.message_id)
            if newer is None:
                return ReceiptResult()
            item = newer
    raise ServiceUnavailableError("The message changes too often.")
