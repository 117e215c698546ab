"""The gate in the send path: rooms that know of consents, limits or holds decide here whether a message may go."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from recado.contacts.model import Contact
from recado.messages.model import Message


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate says of one message.

    Attributes:
        allowed: it may be sent now.
        reason: a stable code of why not, shown as ``held_reason``.
        not_before: when asking again makes sense; None together with ``allowed=False`` means never (``suppressed``).
    """

    allowed: bool
    reason: str | None = None
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Approach:
    """What a gate may know besides the message.

    Attributes:
        chat: the canonical chat, as in the outbox row.
        answers: the message quotes one of the recipient's.
        paired_at: when the channel was linked to its number.
        contact: reads what is known of the recipient; called only by a gate that needs it, because it costs a read.
    """

    chat: str
    answers: bool
    paired_at: datetime | None
    contact: Callable[[], Contact]


class SendGate(Protocol):
    """Asked by the sender before each message, and told when WhatsApp refuses one. Its calls block."""

    def may_send(self, message: Message, approach: Approach) -> Verdict:
        """Return whether this message may be sent now."""
        ...

    def after_refusal(self, message: Message, code: str) -> Verdict | None:
        """Return what a refusal by WhatsApp means: a verdict to hold the message, None for that it has failed."""
        ...


class OpenGate:
    """The gate that lets everything through."""

    def may_send(self, message: Message, approach: Approach) -> Verdict:  # noqa: ARG002 - the Protocol's arguments
        """Allow the message."""
        return Verdict(allowed=True)

    def after_refusal(self, message: Message, code: str) -> Verdict | None:  # noqa: ARG002 - the Protocol's arguments
        """Let the message fail."""
        return None
