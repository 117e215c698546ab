"""What an endpoint, a delivery and an attempt are; no input or output here."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from recado.kernel.envelopes import Event

MAXIMUM_ENDPOINTS = 16
ROTATION_OVERLAP = timedelta(hours=24)
DELIVERY_RETENTION = timedelta(days=30)
PING = "webhook.ping"


class EndpointStatus(StrEnum):
    """Whether an endpoint is sent anything."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class DisabledReason(StrEnum):
    """Why an endpoint is disabled."""

    REQUESTED = "requested"
    GONE = "gone"


class DeliveryStatus(StrEnum):
    """How far a delivery is; all but ``pending`` are final."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A clinic's registration of a URL.

    ``event_types`` holds types and the wildcards ``message.*`` and ``channel.*``; ``channels`` limits it to these
    channels, ``None`` means all. Secrets are sealed and never leave this room but once, when they are made.
    """

    webhook_endpoint_id: str
    clinic_id: str
    url: str
    event_types: frozenset[str]
    channels: frozenset[str] | None
    status: EndpointStatus
    disabled_reason: DisabledReason | None
    sealed_secret: bytes = field(repr=False)
    sealed_previous_secret: bytes | None = field(repr=False)
    previous_secret_until: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def enabled(self) -> bool:
        """Say whether deliveries are made for it."""
        return self.status is EndpointStatus.ENABLED

    def wants(self, event: Event) -> bool:
        """Say whether this event is one the endpoint asked for; never true for another clinic's."""
        if event.clinic_id != self.clinic_id or not self.enabled:
            return False
        if self.channels is not None and event.channel_id not in self.channels:
            return False
        return event.type in self.event_types or f"{event.type.partition('.')[0]}.*" in self.event_types

    def sealed_secrets(self, now: datetime) -> list[bytes]:
        """Return the secrets to sign with, the present one first, the replaced one while its overlap lasts."""
        if self.sealed_previous_secret and self.previous_secret_until and now < self.previous_secret_until:
            return [self.sealed_secret, self.sealed_previous_secret]
        return [self.sealed_secret]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP try: either an answer's status or the code of what prevented one.

    Nothing of the answer's body is kept: it could hold patients' data.
    """

    number: int
    at: datetime
    duration_ms: int
    status_code: int | None
    error: str | None

    @property
    def successful(self) -> bool:
        """Say whether the receiver took it; only 2xx counts (Standard Webhooks)."""
        return self.status_code is not None and 200 <= self.status_code < 300


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one endpoint.

    ``next_attempt`` is the number of the attempt that comes next while the delivery is pending. ``event`` is the
    thin event of the bus: what the body shows of a message is read when an attempt is made, never stored here.
    """

    delivery_id: str
    webhook_endpoint_id: str
    clinic_id: str
    event: Event
    status: DeliveryStatus
    created_at: datetime
    next_attempt: int
    next_attempt_at: datetime | None
    ended_at: datetime | None = None
    attempts: tuple[Attempt, ...] = ()
