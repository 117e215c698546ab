"""How messages and what belongs to them lie in DynamoDB; ``docs/data-model.md`` lists keys and access patterns."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pynamodb.attributes import (
    Attribute,
    BooleanAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)
from pynamodb.constants import BINARY, LIST, MAP, STRING

from recado.aws.attributes import MomentAttribute, WordAttribute
from recado.aws.models import ClinicItem
from recado.kernel.clock import from_text, to_text
from recado.kernel.ids import month_of
from recado.messages.model import Direction, Message, MessageType, OutboxRow, Party, Source, StatusChange
from recado.messages.policy import Uncertain
from recado.messages.status import MessageStatus

_SEQUENCE_DIGITS = 20
POINTER = "pointer"


def channel_partition(clinic_id: str, channel_id: str) -> str:
    """Return what the keys of everything in a channel begin with."""
    return f"clinic#{clinic_id}#channel#{channel_id}"


def outbox_partition(clinic_id: str, channel_id: str) -> str:
    """Return the partition of a channel's outbox rows and their counter."""
    return f"{channel_partition(clinic_id, channel_id)}#outbox"


def whatsapp_partition(clinic_id: str, channel_id: str, whatsapp_id: str) -> str:
    """Return the partition of what is known of one WhatsApp message id in a channel."""
    return f"{channel_partition(clinic_id, channel_id)}#whatsapp#{whatsapp_id}"


def message_key(clinic_id: str, channel_id: str, message_id: str) -> tuple[str, str]:
    """Return where a message lies: its id carries the month."""
    return f"{channel_partition(clinic_id, channel_id)}#{month_of(message_id)}", f"message#{message_id}"


def clinic_month(clinic_id: str, month: str) -> str:
    """Return the partition of a clinic's messages of one month (index ``by_clinic``)."""
    return f"clinic#{clinic_id}#{month}"


def chat_key(clinic_id: str, chat: str) -> str:
    """Return the partition of a clinic's messages with one contact (index ``by_chat``)."""
    return f"clinic#{clinic_id}#chat#{chat}"


def sequence_key(sequence: int) -> str:
    """Return a sequence number so that text order is number order."""
    return f"{sequence:0{_SEQUENCE_DIGITS}d}"


class PartyAttribute(Attribute[Party]):
    """One side of a conversation, as a map."""

    attr_type = MAP

    def serialize(self, value: Party) -> dict[str, Any]:
        """Write the party; what is unknown is left out."""
        return {name: {STRING: text} for name, text in asdict(value).items() if text is not None}

    def deserialize(self, value: dict[str, Any]) -> Party:
        """Read the party."""
        return Party(**{name: text[STRING] for name, text in value.items()})


class HistoryAttribute(Attribute[tuple[StatusChange, ...]]):
    """The history of a message, as a list of maps, oldest first."""

    attr_type = LIST

    def serialize(self, value: Iterable[StatusChange]) -> list[dict[str, Any]]:
        """Write the history, or the lines to be appended to one."""
        return [{MAP: _line(change)} for change in value]

    def deserialize(self, value: list[dict[str, Any]]) -> tuple[StatusChange, ...]:
        """Read the history."""
        return tuple(_change(line[MAP]) for line in value)


def _line(change: StatusChange) -> dict[str, Any]:
    line = {"status": {STRING: change.status.value}, "at": {STRING: to_text(change.at)}}
    return line if change.code is None else {**line, "code": {STRING: change.code}}


def _change(line: dict[str, Any]) -> StatusChange:
    code = line["code"][STRING] if "code" in line else None
    return StatusChange(MessageStatus(line["status"][STRING]), from_text(line["at"][STRING]), code)


class PiecesAttribute(Attribute[tuple[bytes, ...]]):
    """Several pieces of bytes in their order."""

    attr_type = LIST

    def serialize(self, value: tuple[bytes, ...]) -> list[dict[str, bytes]]:
        """Write the pieces."""
        return [{BINARY: piece} for piece in value]

    def deserialize(self, value: list[dict[str, bytes]]) -> tuple[bytes, ...]:
        """Read the pieces."""
        return tuple(piece[BINARY] for piece in value)


class MessageItem(ClinicItem):
    """A message, found by its id, by channel and month, by clinic and month, and by chat."""

    table = "messages"

    clinic_month = UnicodeAttribute()
    chat_key = UnicodeAttribute(null=True)
    clinic_id = UnicodeAttribute()
    channel_id = UnicodeAttribute()
    message_id = UnicodeAttribute()
    direction = WordAttribute(Direction)
    status = WordAttribute(MessageStatus)
    type = WordAttribute(MessageType)
    source = WordAttribute(Source)
    created_at = MomentAttribute()
    to = PartyAttribute()
    sender = PartyAttribute(attr_name="from")
    text = UnicodeAttribute(null=True)
    unsupported_kind = UnicodeAttribute(null=True)
    push_name = UnicodeAttribute(null=True)
    context_message_id = UnicodeAttribute(null=True)
    context_whatsapp_id = UnicodeAttribute(null=True)
    client_reference = UnicodeAttribute(null=True)
    whatsapp_id = UnicodeAttribute(null=True)
    sequence = NumberAttribute(null=True)
    epoch = NumberAttribute(null=True)
    attempt = UnicodeAttribute(null=True)
    code = UnicodeAttribute(null=True)
    resends = NumberAttribute(null=True)
    held_reason = UnicodeAttribute(null=True)
    not_before = MomentAttribute(null=True)
    offline = BooleanAttribute(default=False)
    timestamp = MomentAttribute(null=True)
    valid_until = MomentAttribute(null=True)
    history = HistoryAttribute()

    @classmethod
    def of(cls, message: Message) -> "MessageItem":
        """Return the message as stored."""
        pk, sk = message_key(message.clinic_id, message.channel_id, message.message_id)
        chat = message.contact.chat
        values = {name: getattr(message, name) for name in Message.__dataclass_fields__}
        return cls(
            pk=pk,
            sk=sk,
            clinic_month=clinic_month(message.clinic_id, message.month),
            chat_key=chat_key(message.clinic_id, chat) if chat else None,
            **values | {"resends": message.resends or None},
        )

    def message(self) -> Message:
        """Return the message."""
        stored = {name: getattr(self, name) for name in Message.__dataclass_fields__}
        return Message(**stored | {"resends": int(self.resends or 0)})


class OutboxItem(ClinicItem):
    """An accepted message that is not settled; ``expires_at`` is not set, for a row must never vanish by itself."""

    table = "messages"

    clinic_id = UnicodeAttribute()
    channel_id = UnicodeAttribute()
    message_id = UnicodeAttribute()
    chat = UnicodeAttribute()
    created_at = MomentAttribute()
    valid_until = MomentAttribute(null=True)
    answers = BooleanAttribute(null=True)

    @classmethod
    def of(cls, row: OutboxRow) -> "OutboxItem":
        """Return the row as stored."""
        return cls(
            pk=outbox_partition(row.clinic_id, row.channel_id),
            sk=sequence_key(row.sequence),
            clinic_id=row.clinic_id,
            channel_id=row.channel_id,
            message_id=row.message_id,
            chat=row.chat,
            created_at=row.created_at,
            valid_until=row.expires_at,
            answers=row.answers or None,
        )

    def row(self) -> OutboxRow:
        """Return the row."""
        return OutboxRow(
            clinic_id=self.clinic_id,
            channel_id=self.channel_id,
            sequence=int(self.sk),
            message_id=self.message_id,
            chat=self.chat,
            created_at=self.created_at,
            expires_at=self.valid_until,
            answers=bool(self.answers),
        )


class OutboxCounterItem(ClinicItem):
    """The last sequence given out in a channel's outbox."""

    table = "messages"
    sort_key = "counter"

    last = NumberAttribute(default=0)


class PointerItem(ClinicItem):
    """From a WhatsApp id to our message.

    What the channel itself wrote has the sort key ``pointer``. Ids of inbound messages are chosen by the other side,
    who might repeat one of ours: they have a sort key of their own per sender.
    """

    table = "messages"

    message_id = UnicodeAttribute()


class ParkedReceiptItem(ClinicItem):
    """A receipt for a WhatsApp id that no message of ours has yet."""

    table = "messages"

    at = MomentAttribute()
    sequence = NumberAttribute()
    chat = PartyAttribute()


class SendPolicyItem(ClinicItem):
    """What a clinic wants of sending, where it differs from the default."""

    table = "core"
    sort_key = "send_policy"

    uncertain = WordAttribute(Uncertain)
    updated_at = MomentAttribute()


class SendLockItem(ClinicItem):
    """Until when a channel may write to no stranger, because WhatsApp said so."""

    table = "runtime"
    sort_key = "send_lock"

    not_before = MomentAttribute()


class ColdCountItem(ClinicItem):
    """The strangers a channel has written to on one day, by a hash of their chat."""

    table = "runtime"
    prefix = "cold#"

    chats = UnicodeSetAttribute(null=True)


class EventRecordItem(ClinicItem):
    """That an event was put on the bus, or that an entry was handled: both have ids of one kind."""

    table = "messages"

    type = UnicodeAttribute()
    sequence = NumberAttribute()
    noted_at = MomentAttribute()


class PoisonItem(ClinicItem):
    """An entry that broke its contract, sealed, for somebody to look at."""

    table = "messages"

    reason = UnicodeAttribute()
    kept_at = MomentAttribute()
    sealed = PiecesAttribute()


class IdempotencyItem(ClinicItem):
    """What was answered to a request with an ``Idempotency-Key``."""

    table = "runtime"

    fingerprint = UnicodeAttribute()
    message_id = UnicodeAttribute()
    sequence = NumberAttribute()
    accepted_at = MomentAttribute()


def epoch_seconds(moment: datetime) -> int:
    """Return a moment as a TTL attribute holds it."""
    return int(moment.timestamp())


def stored_party(party: Party) -> Any:
    """Return a party as an update expression takes it: PynamoDB serialises no maps but its own there."""
    return {MAP: PartyAttribute().serialize(party)}


def inbound_pointer(sender: Party) -> str:
    """Return the sort key of the pointer of a message that this sender wrote."""
    return f"{POINTER}#{sender.chat or 'unknown'}"
