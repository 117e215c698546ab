"""A clinic's channel, another clinic's, and short ways to accept and send in them."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from recado.contacts.model import Recipient
from recado.kernel.ids import Prefix, derived_id, new_id
from recado.messages import service
from recado.messages.model import Accepted, Message, MessageType, ObservedMessage, OutboxRow, Party, SendRequest
from tests.support.clock import FixedClock

START = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
PATIENT = Party(e164="+5511977770001", lid="900000001@lid")
EPOCH = 7


@dataclass
class Desk:
    """One clinic's channel and what its tests do over and over."""

    clock: FixedClock
    clinic_id: str
    channel_id: str

    def accept(self, text: str = "Olá", key: str | None = None, body: bytes = b"{}", **request: object) -> Accepted:
        asked = SendRequest(to=Recipient("(11) 97777-0001", "+5511977770001"), text=text, **request)  # type: ignore[arg-type]
        return service.accept(self.clinic_id, self.channel_id, asked, key, body, clock=self.clock)

    def rows(self, after: int = 0) -> list[OutboxRow]:
        return service.outbox_rows(self.clinic_id, self.channel_id, 100, after)

    def begun(self, epoch: int = EPOCH) -> Message:
        """A message whose sending has begun."""
        accepted = self.accept().message
        row = next(row for row in self.rows() if row.message_id == accepted.message_id)
        return service.begin_send(row, epoch)

    def sent(self, whatsapp_id: str = "3EB0A1") -> Message:
        """A message that WhatsApp took."""
        return service.record_sent(self.begun(), EPOCH, whatsapp_id, START, lid=PATIENT.lid, clock=self.clock)

    def get(self, message: Message) -> Message:
        return service.get(self.clinic_id, self.channel_id, message.message_id)

    def get_row(self, row: OutboxRow) -> Message:
        return service.get(self.clinic_id, self.channel_id, row.message_id)

    def observed(self, whatsapp_id: str = "ABC", at: datetime = START, **fields: object) -> ObservedMessage:
        plain: dict[str, object] = {
            "clinic_id": self.clinic_id,
            "channel_id": self.channel_id,
            "entry_id": derived_id(Prefix.EVENT, at, self.channel_id, whatsapp_id),
            "whatsapp_id": whatsapp_id,
            "chat": PATIENT,
            "sender": PATIENT,
            "to": Party(e164="+5511988880001"),
            "type": MessageType.TEXT,
            "timestamp": at,
            "observed_at": at,
            "text": "Confirmo",
        }
        return ObservedMessage(**{**plain, **fields})  # type: ignore[arg-type]


@pytest.fixture
def desk(aws: object, clock: FixedClock) -> Desk:
    """The desk of a clinic."""
    return Desk(clock, new_id(Prefix.CLINIC, START), new_id(Prefix.CHANNEL, START))


@pytest.fixture
def neighbour(aws: object, clock: FixedClock) -> Desk:
    """The desk of another clinic."""
    return Desk(clock, new_id(Prefix.CLINIC, START), new_id(Prefix.CHANNEL, START))
