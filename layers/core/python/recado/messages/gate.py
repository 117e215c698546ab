"""The gate in the send path: rooms that know of consents, limits or holds decide here whether a message may go."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

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


class SendGate(Protocol):
    """Asked by the sender before each message."""

    def may_send(self, message: Message) -> Verdict:
        """Return whether this message may be sent now."""
        ...


class OpenGate:
    """The gate that lets everything through, for as long as no room has rules."""

    def may_send(self, message: Message) -> Verdict:  # noqa: ARG002 - the Protocol's argument
        """Allow the message."""
        return Verdict(allowed=True)
