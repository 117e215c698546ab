"""Endpoints: ``clinic#C`` / ``endpoint#W`` in the core table, with a count that keeps their number bounded."""

from pynamodb.attributes import BinaryAttribute, NumberAttribute, UnicodeAttribute, UnicodeSetAttribute
from pynamodb.expressions.update import Action

from recado.aws.attributes import MomentAttribute, WordAttribute
from recado.aws.models import ClinicItem, ConditionFailedError, Key, Page
from recado.aws.transactions import Transaction
from recado.kernel.errors import LimitReachedError, WebhookEndpointNotFoundError
from recado.webhooks.model import MAXIMUM_ENDPOINTS, DisabledReason, Endpoint, EndpointStatus

_PREFIX = "endpoint#"


class EndpointItem(ClinicItem):
    """An endpoint; its secrets are sealed for the clinic."""

    table = "core"

    webhook_endpoint_id = UnicodeAttribute()
    clinic_id = UnicodeAttribute()
    url = UnicodeAttribute()
    event_types = UnicodeSetAttribute()
    channels = UnicodeSetAttribute(null=True)
    status = WordAttribute(EndpointStatus)
    disabled_reason = WordAttribute(DisabledReason, null=True)
    sealed_secret = BinaryAttribute(legacy_encoding=False)
    sealed_previous_secret = BinaryAttribute(legacy_encoding=False, null=True)
    previous_secret_until = MomentAttribute(null=True)
    created_at = MomentAttribute()
    updated_at = MomentAttribute()

    def entity(self) -> Endpoint:
        """Return what is stored."""
        return Endpoint(
            webhook_endpoint_id=self.webhook_endpoint_id,
            clinic_id=self.clinic_id,
            url=self.url,
            event_types=frozenset(self.event_types),
            channels=frozenset(self.channels) if self.channels else None,
            status=self.status,
            disabled_reason=self.disabled_reason,
            sealed_secret=self.sealed_secret,
            sealed_previous_secret=self.sealed_previous_secret,
            previous_secret_until=self.previous_secret_until,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )


class EndpointCountItem(ClinicItem):
    """How many endpoints a clinic has: ``clinic#C`` / ``endpoints``."""

    table = "core"

    held = NumberAttribute()


def insert(endpoint: Endpoint) -> None:
    """Store a new endpoint.

    Raises:
        LimitReachedError: the clinic has 16 already.
    """
    item = EndpointItem(
        _pk(endpoint.clinic_id),
        _sk(endpoint.webhook_endpoint_id),
        webhook_endpoint_id=endpoint.webhook_endpoint_id,
        clinic_id=endpoint.clinic_id,
        url=endpoint.url,
        event_types=set(endpoint.event_types),
        channels=set(endpoint.channels) if endpoint.channels else None,
        status=endpoint.status,
        disabled_reason=endpoint.disabled_reason,
        sealed_secret=endpoint.sealed_secret,
        created_at=endpoint.created_at,
        updated_at=endpoint.updated_at,
    )
    room_left = EndpointCountItem.held.does_not_exist() | (EndpointCountItem.held < MAXIMUM_ENDPOINTS)
    Transaction().save(item, EndpointItem.pk.does_not_exist()).update(
        _count(endpoint.clinic_id),
        [EndpointCountItem.held.add(1)],
        room_left,
        otherwise=LimitReachedError(f"a clinic may have {MAXIMUM_ENDPOINTS} webhook endpoints"),
    ).commit()


def find(clinic_id: str, webhook_endpoint_id: str) -> Endpoint | None:
    """Return the clinic's endpoint as last written, None if there is none of that id."""
    item = EndpointItem.find(_pk(clinic_id), _sk(webhook_endpoint_id))
    return item.entity() if item else None


def page(clinic_id: str, limit: int, start: Key | None = None) -> Page[Endpoint]:
    """Return the clinic's endpoints, the oldest first."""
    found = EndpointItem.page(
        _pk(clinic_id),
        limit=limit,
        start=start,
        range_condition=EndpointItem.sk.startswith(_PREFIX),
        consistent=True,
    )
    return Page([item.entity() for item in found.items], found.last_key)


def change(clinic_id: str, webhook_endpoint_id: str, actions: list[Action]) -> Endpoint:
    """Write some attributes of an endpoint and return it as it is then.

    Raises:
        WebhookEndpointNotFoundError: the clinic has no such endpoint.
    """
    item = _named(clinic_id, webhook_endpoint_id)
    try:
        item.change(actions, EndpointItem.pk.exists())
    except ConditionFailedError:
        raise WebhookEndpointNotFoundError from None
    return item.entity()


def replace_secret(endpoint: Endpoint, actions: list[Action]) -> Endpoint:
    """Write a rotation, provided that nobody else rotated since the endpoint was read.

    Raises:
        ConditionFailedError: somebody rotated it, or it is gone.
    """
    item = _named(endpoint.clinic_id, endpoint.webhook_endpoint_id)
    item.change(actions, EndpointItem.sealed_secret == endpoint.sealed_secret)
    return item.entity()


def delete(clinic_id: str, webhook_endpoint_id: str) -> None:
    """Delete an endpoint.

    Raises:
        WebhookEndpointNotFoundError: the clinic has no such endpoint.
    """
    Transaction().delete(
        _named(clinic_id, webhook_endpoint_id), EndpointItem.pk.exists(), otherwise=WebhookEndpointNotFoundError()
    ).update(_count(clinic_id), [EndpointCountItem.held.add(-1)]).commit()


def _pk(clinic_id: str) -> str:
    return f"clinic#{clinic_id}"


def _sk(webhook_endpoint_id: str) -> str:
    return f"{_PREFIX}{webhook_endpoint_id}"


def _named(clinic_id: str, webhook_endpoint_id: str) -> EndpointItem:
    return EndpointItem(_pk(clinic_id), _sk(webhook_endpoint_id))


def _count(clinic_id: str) -> EndpointCountItem:
    return EndpointCountItem(_pk(clinic_id), "endpoints")
