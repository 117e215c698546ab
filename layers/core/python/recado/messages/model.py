"""What a message is, what asks for one, and the outbox row that says it is still to be sent."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from recado.contacts.model import Recipient, same_number
from recado.kernel.ids import month_of
from recado.messages.status import MessageStatus

RESENT = "resent"
"""The code of a history line that put an uncertain message back into the outbox."""

DISCARDED = "discarded"
"""The code of a message that the clinic gave up instead."""


class Direction(StrEnum):
    """Which way a message went, seen from the clinic."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class MessageType(StrEnum):
    """What a message holds; what WhatsApp knows and we do not map yet is ``unsupported``."""

    TEXT = "text"
    UNSUPPORTED = "unsupported"


class Source(StrEnum):
    """Who wrote a message: an integrator, somebody at the clinic's own phone, or the contact."""

    API = "api"
    PHONE = "phone"
    CONTACT = "contact"


@dataclass(frozen=True, slots=True)
class Party:
    """One side of a conversation.

    Attributes:
        input: the address as the integrator wrote it; None for what WhatsApp told us.
        e164: phone number with its plus sign, as in ``+5511977770001``.
        lid: WhatsApp's own id of the account as ``123456789@lid``, which stays when the number changes.
    """

    input: str | None = None
    e164: str | None = None
    lid: str | None = None

    @property
    def chat(self) -> str | None:
        """The canonical name of the chat with this party: the LID, or the number's digits while it is unknown."""
        return self.lid or (self.e164.removeprefix("+") if self.e164 else None)

    def may_be(self, other: "Party") -> bool:
        """Say whether nothing known of the two shows that they are different parties."""
        known = []
        if self.lid and other.lid:
            known.append(self.lid == other.lid)
        if self.e164 and other.e164:
            known.append(same_number(self.e164, other.e164))
        return any(known) or not known


@dataclass(frozen=True, slots=True)
class StatusChange:
    """One line of a message's history; ``code`` is WhatsApp's or ours, where a step has a reason."""

    status: MessageStatus
    at: datetime
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message of one channel, inbound or outbound.

    Attributes:
        sender: who wrote it (``from`` on the wire); empty for outbound ones until the channel's number is known.
        sequence: place in the channel's outbox; None for what did not go through it.
        epoch: the shard epoch that last tried to send it.
        code: why it failed or is uncertain.
        resends: how often it was put back into the outbox after it had been uncertain.
        held_reason: why a queued message does not go out yet, as a stable code; None if it only waits its turn.
        not_before: the earliest moment at which a held message may go out.
        offline: it reached WhatsApp while the channel was not connected.
        timestamp: WhatsApp's own time of the message, once there is one.
        valid_until: the moment after which it is no longer sent and ends ``expired``.
    """

    clinic_id: str
    channel_id: str
    message_id: str
    direction: Direction
    status: MessageStatus
    type: MessageType
    source: Source
    created_at: datetime
    to: Party = field(default_factory=Party)
    sender: Party = field(default_factory=Party)
    text: str | None = None
    unsupported_kind: str | None = None
    push_name: str | None = None
    context_message_id: str | None = None
    context_whatsapp_id: str | None = None
    client_reference: str | None = None
    whatsapp_id: str | None = None
    sequence: int | None = None
    epoch: int | None = None
    code: str | None = None
    resends: int = 0
    held_reason: str | None = None
    not_before: datetime | None = None
    offline: bool = False
    timestamp: datetime | None = None
    valid_until: datetime | None = None
    history: tuple[StatusChange, ...] = ()

    @property
    def month(self) -> str:
        """The partition month (``yyyymm``) the message is stored in."""
        return month_of(self.message_id)

    @property
    def contact(self) -> Party:
        """The other side of the conversation."""
        return self.sender if self.direction is Direction.INBOUND else self.to

    def resends_before(self, change: StatusChange) -> int:
        """Return how often the message had been put back when a line of its history was written."""
        lines = self.history[: self.history.index(change)] if change in self.history else self.history
        return sum(line.code == RESENT for line in lines)

    def last_change_to(self, status: MessageStatus) -> StatusChange | None:
        """Return the latest history line with that status, None if the message was never there."""
        return next((change for change in reversed(self.history) if change.status is status), None)


class Decision(StrEnum):
    """What a clinic decides about a message of which nobody knows whether it went out."""

    RESEND = "resend"
    DISCARD = "discard"


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a decision did: the message's status and code after it.

    ``replayed`` if an earlier request with the same key was answered so.
    """

    message_id: str
    status: MessageStatus
    code: str
    replayed: bool


@dataclass(frozen=True, slots=True)
class SendRequest:
    """What an integrator asks to send.

    Attributes:
        to: the recipient, as ``contacts.model.parse_recipient`` reads one.
        text: the body of a text message.
        context_message_id: the message it answers (shown quoted), one of the same channel.
        client_reference: the integrator's own name for it, echoed in all its events.
        ttl_seconds: how long after acceptance it is still worth sending; None for always.
    """

    to: Recipient
    text: str
    type: MessageType = MessageType.TEXT
    context_message_id: str | None = None
    client_reference: str | None = None
    ttl_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a request to send; ``replayed`` if an earlier request with the same key was answered so."""

    message: Message
    replayed: bool


@dataclass(frozen=True, slots=True)
class ObservedMessage:
    """A message that was seen on WhatsApp, as a runner's entry tells it.

    Attributes:
        entry_id: the entry's id, from which the message's id follows.
        chat: the other side of the one-to-one chat, whoever wrote.
        text: None for what is not a text.
        unsupported_kind: what it is instead.
        context_whatsapp_id: the message it quotes.
        observed_at: when the runner saw it.
    """

    clinic_id: str
    channel_id: str
    entry_id: str
    whatsapp_id: str
    chat: Party
    sender: Party
    to: Party
    type: MessageType
    timestamp: datetime
    observed_at: datetime
    text: str | None = None
    unsupported_kind: str | None = None
    context_whatsapp_id: str | None = None
    offline: bool = False
    push_name: str | None = None


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A message that is accepted and not yet settled; rows are drained in the order of ``sequence``.

    Attributes:
        chat: the canonical chat, so that order per chat can be kept without reading the message.
        expires_at: the message's ``valid_until``.
        answers: it quotes a message of the same contact, so somebody waits for it.
    """

    clinic_id: str
    channel_id: str
    sequence: int
    message_id: str
    chat: str
    created_at: datetime
    expires_at: datetime | None = None
    answers: bool = False

    def is_expired(self, now: datetime) -> bool:
        """Say whether the message has outlived its time to be sent."""
        return self.expires_at is not None and self.expires_at <= now


class AlreadySettled(Exception):  # noqa: N818 - an outcome the sender handles, not a failure
    """Another owner, or this one before a crash, has brought the message to its end: only the row is left."""

    def __init__(self, message: Message) -> None:
        super().__init__(f"{message.message_id} is {message.status}")
        self.message = message


class SendingElsewhere(Exception):  # noqa: N818 - an outcome the sender handles, not a failure
    """The message is in ``sending`` already, begun under ``epoch``: nobody knows whether it went out."""

    def __init__(self, message: Message) -> None:
        super().__init__(f"{message.message_id} is being sent since epoch {message.epoch}")
        self.message = message
        self.epoch = message.epoch or 0


class SendSuperseded(Exception):  # noqa: N818 - an outcome the sender handles, not a failure
    """The write came too late: the message no longer stands as its writer left it (``sending`` under its epoch)."""

    def __init__(self, message: Message) -> None:
        super().__init__(f"{message.message_id} is {message.status} under epoch {message.epoch}")
        self.message = message


def fingerprint(canonical_body: bytes) -> str:
    """Return the hash under which a request body is compared with an earlier one of the same key."""
    return hashlib.sha256(canonical_body).hexdigest()


def accepted_message(
    clinic_id: str, channel_id: str, request: SendRequest, *, message_id: str, sequence: int, at: datetime
) -> Message:
    """Return the message as it stands at the moment of its acceptance.

    Pure, so that the answer to a repeated request is made from the same request and the recorded id, time and
    sequence, whatever has become of the message since.
    """
    return Message(
        clinic_id=clinic_id,
        channel_id=channel_id,
        message_id=message_id,
        direction=Direction.OUTBOUND,
        status=MessageStatus.QUEUED,
        type=request.type,
        source=Source.API,
        created_at=at,
        to=Party(request.to.input, request.to.e164, request.to.lid),
        text=request.text,
        context_message_id=request.context_message_id,
        client_reference=request.client_reference,
        sequence=sequence,
        valid_until=at + timedelta(seconds=request.ttl_seconds) if request.ttl_seconds is not None else None,
        history=(StatusChange(MessageStatus.QUEUED, at),),
    )
