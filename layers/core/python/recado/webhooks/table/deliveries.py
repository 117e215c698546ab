"""Deliveries and their attempts: ``clinic#C#endpoint#W`` / ``delivery#D`` in the messages table."""

from datetime import datetime
from typing import TYPE_CHECKING

from pynamodb.attributes import ListAttribute, MapAttribute, NumberAttribute, UnicodeAttribute

from recado.aws.attributes import MomentAttribute, WordAttribute
from recado.aws.models import ClinicItem, ConditionFailedError, Key, Page
from recado.kernel.envelopes import Event
from recado.webhooks.model import DELIVERY_RETENTION, Attempt, Delivery, DeliveryStatus

if TYPE_CHECKING:
    from pynamodb.expressions.update import Action

_PREFIX = "delivery#"


class AttemptMap(MapAttribute[str, object]):
    """One HTTP try inside its delivery."""

    number = NumberAttribute()
    at = MomentAttribute()
    duration_ms = NumberAttribute()
    status_code = NumberAttribute(null=True)
    error = UnicodeAttribute(null=True)


class DeliveryItem(ClinicItem):
    """A delivery; ``claim_token`` and ``claimed_until`` say who is making its next attempt now."""

    table = "messages"

    delivery_id = UnicodeAttribute()
    webhook_endpoint_id = UnicodeAttribute()
    clinic_id = UnicodeAttribute()
    event = UnicodeAttribute()
    status = WordAttribute(DeliveryStatus)
    created_at = MomentAttribute()
    next_attempt = NumberAttribute()
    next_attempt_at = MomentAttribute(null=True)
    ended_at = MomentAttribute(null=True)
    attempts = ListAttribute(of=AttemptMap, default=list)
    claim_token = UnicodeAttribute(null=True)
    claimed_until = MomentAttribute(null=True)

    def entity(self) -> Delivery:
        """Return what is stored."""
        return Delivery(
            delivery_id=self.delivery_id,
            webhook_endpoint_id=self.webhook_endpoint_id,
            clinic_id=self.clinic_id,
            event=Event.from_json(self.event),
            status=self.status,
            created_at=self.created_at,
            next_attempt=int(self.next_attempt),
            next_attempt_at=self.next_attempt_at,
            ended_at=self.ended_at,
            attempts=tuple(_attempt(stored) for stored in self.attempts),
        )


def insert(delivery: Delivery) -> bool:
    """Store a new delivery; False if it is there already."""
    item = DeliveryItem(
        _pk(delivery.clinic_id, delivery.webhook_endpoint_id),
        _sk(delivery.delivery_id),
        delivery_id=delivery.delivery_id,
        webhook_endpoint_id=delivery.webhook_endpoint_id,
        clinic_id=delivery.clinic_id,
        event=delivery.event.to_json(),
        status=delivery.status,
        created_at=delivery.created_at,
        next_attempt=delivery.next_attempt,
        next_attempt_at=delivery.next_attempt_at,
        expires_at=int((delivery.created_at + DELIVERY_RETENTION).timestamp()),
    )
    try:
        item.store(DeliveryItem.pk.does_not_exist())
    except ConditionFailedError:
        return False
    return True


def find(clinic_id: str, webhook_endpoint_id: str, delivery_id: str, now: datetime) -> Delivery | None:
    """Return a delivery as last written, None if there is none or its 30 days are over."""
    item = DeliveryItem.find(_pk(clinic_id, webhook_endpoint_id), _sk(delivery_id), now=now)
    return item.entity() if item else None


def page(
    clinic_id: str,
    webhook_endpoint_id: str,
    *,
    now: datetime,
    limit: int,
    start: Key | None = None,
    status: DeliveryStatus | None = None,
) -> Page[Delivery]:
    """Return the endpoint's deliveries, the newest event first.

    Args:
        clinic_id: whose endpoint it is.
        webhook_endpoint_id: the endpoint.
        now: the moment; deliveries whose 30 days are over are left out.
        limit: the most to return.
        start: ``last_key`` of the page before.
        status: return only these.
    """
    wanted = DeliveryItem.expires_at > int(now.timestamp())
    found = DeliveryItem.page(
        _pk(clinic_id, webhook_endpoint_id),
        limit=limit,
        start=start,
        range_condition=DeliveryItem.sk.startswith(_PREFIX),
        filter_condition=wanted if status is None else wanted & (DeliveryItem.status == status),
        descending=True,
    )
    return Page([item.entity() for item in found.items], found.last_key)


def claim(delivery: Delivery, token: str, now: datetime, until: datetime) -> bool:
    """Take the delivery's next attempt for one consumer.

    Args:
        delivery: as it was read; its ``next_attempt`` is what is claimed.
        token: names the claim.
        now: the moment; a claim whose time is over counts for nothing.
        until: when this claim is over, should its owner die.

    Returns:
        False if another consumer holds it, or the attempt has been made.
    """
    free = (
        DeliveryItem.claimed_until.does_not_exist()
        | (DeliveryItem.claimed_until < now)
        # A write whose answer was lost is repeated by the client and meets its own claim.
        | (DeliveryItem.claim_token == token)
    )
    item = DeliveryItem(_pk(delivery.clinic_id, delivery.webhook_endpoint_id), _sk(delivery.delivery_id))
    try:
        item.change(
            [DeliveryItem.claim_token.set(token), DeliveryItem.claimed_until.set(until)],
            (DeliveryItem.status == DeliveryStatus.PENDING)
            & (DeliveryItem.next_attempt == delivery.next_attempt)
            & free,
        )
    except ConditionFailedError:
        return False
    return True


def record(delivery: Delivery, token: str, attempt: Attempt, status: DeliveryStatus, next_at: datetime | None) -> bool:
    """Write what came of a claimed attempt and give the claim back.

    Args:
        delivery: as it was claimed.
        token: the claim.
        attempt: what to add to the log.
        status: what the delivery is now; final unless ``pending``.
        next_at: when the next attempt is due, for a pending one.

    Returns:
        False if the claim was lost: it ran out and somebody else made the attempt.
    """
    actions: list[Action] = [
        DeliveryItem.status.set(status),
        DeliveryItem.attempts.set(DeliveryItem.attempts.append([_map(attempt)])),
        DeliveryItem.next_attempt.set(attempt.number + 1),
        DeliveryItem.claim_token.remove(),
        DeliveryItem.claimed_until.remove(),
        DeliveryItem.next_attempt_at.set(next_at) if next_at else DeliveryItem.next_attempt_at.remove(),
    ]
    if status is not DeliveryStatus.PENDING:
        actions.append(DeliveryItem.ended_at.set(attempt.at))
    item = DeliveryItem(_pk(delivery.clinic_id, delivery.webhook_endpoint_id), _sk(delivery.delivery_id))
    try:
        item.change(actions, DeliveryItem.claim_token == token)
    except ConditionFailedError:
        return False
    return True


def cancel(delivery: Delivery, now: datetime) -> None:
    """End a pending delivery without another attempt; one that has ended stays as it is."""
    item = DeliveryItem(_pk(delivery.clinic_id, delivery.webhook_endpoint_id), _sk(delivery.delivery_id))
    try:
        item.change(
            [
                DeliveryItem.status.set(DeliveryStatus.CANCELLED),
                DeliveryItem.ended_at.set(now),
                DeliveryItem.next_attempt_at.remove(),
            ],
            DeliveryItem.status == DeliveryStatus.PENDING,
        )
    except ConditionFailedError:
        return


def _pk(clinic_id: str, webhook_endpoint_id: str) -> str:
    return f"clinic#{clinic_id}#endpoint#{webhook_endpoint_id}"


def _sk(delivery_id: str) -> str:
    return f"{_PREFIX}{delivery_id}"


def _map(attempt: Attempt) -> AttemptMap:
    return AttemptMap(  # type: ignore[no-untyped-call]
        number=attempt.number,
        at=attempt.at,
        duration_ms=attempt.duration_ms,
        status_code=attempt.status_code,
        error=attempt.error,
    )


def _attempt(stored: AttemptMap) -> Attempt:
    return Attempt(
        number=int(stored.number),
        at=stored.at,
        duration_ms=int(stored.duration_ms),
        status_code=None if stored.status_code is None else int(stored.status_code),
        error=stored.error,
    )
