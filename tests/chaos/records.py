"""What each side knows of each message, in one shape: the sender's notes, the message log, the simulator's ledger."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class Sent:
    """A message that the API accepted, or that a contact's phone took.

    Attributes:
        text: unique in its run.
        number: the clinic's number (digits).
        contact: the contact's number (digits).
        asked_at, answered_at: when the first request left and when it was accepted.
        message_id: the API's, or the simulator's id of an inbound one.
    """

    text: str
    number: str
    contact: str
    asked_at: datetime
    answered_at: datetime
    message_id: str


@dataclass(frozen=True, slots=True)
class Logged:
    """A message as the clinic's log has it: its status, and when its sending had ended (None while it has not)."""

    message_id: str
    text: str
    clinic_id: str
    channel_id: str
    status: str
    code: str | None
    whatsapp_id: str | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A row of the simulator's ledger."""

    whatsapp_id: str
    outbound: bool
    text: str | None
    accepted_at: datetime | None
    acknowledged_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Takeover:
    """A new owner, as first seen: its epoch and when."""

    epoch: int
    at: datetime


@dataclass(frozen=True, slots=True)
class VaultVersion:
    """One version of a vault object."""

    key: str
    epoch: int
    sequence: int
    clean: bool


@dataclass(frozen=True, slots=True)
class Kill:
    """An end without warning.

    Attributes:
        act: what kind.
        at: when it struck.
        numbers: the clinics' numbers whose sessions it took down.
        window: for how many seconds before it acknowledged messages may be lost (the stated contract).
    """

    act: str
    at: datetime
    numbers: frozenset[str]
    window: float


@dataclass(slots=True)
class Records:
    """Everything that a run left behind."""

    out: list[Sent] = field(default_factory=list)
    inward: list[Sent] = field(default_factory=list)
    logged_out: list[Logged] = field(default_factory=list)
    logged_in: list[Logged] = field(default_factory=list)
    ledger: list[LedgerRow] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    takeovers: list[Takeover] = field(default_factory=list)
    epochs: dict[str, int] = field(default_factory=dict)
    vault: list[VaultVersion] = field(default_factory=list)
    clinic_of: dict[str, str] = field(default_factory=dict)
