"""From an event to one delivery per endpoint that wants it; and the delivery log."""

from datetime import datetime

from recado.aws.models import Key, Page
from recado.kernel.clock import Clock, SystemClock
from recado.kernel.envelopes import Event
from recado.kernel.errors import DeliveryNotFoundError
from recado.kernel.ids import Prefix, derived_id, new_id
from recado.webhooks import queue
from recado.webhooks.commands import AttemptRequest
from recado.webhooks.model import MAXIMUM_ENDPOINTS, PING, Delivery, DeliveryStatus, Endpoint
from recado.webhooks.service.endpoints import get_endpoint
from recado.webhooks.table import deliveries as table
from recado.webhooks.table import endpoints


def dispatch(event: Event, *, clock: Clock | None = None) -> list[Delivery]:
    """Create and queue a delivery for each of the clinic's endpoints that wants the event.

    Safe to repeat: deliveries have ids that follow from event and endpoint, and one that was stored but perhaps not
    queued is queued again, which the claim on each attempt makes harmless.

    Returns:
        The deliveries, new or old.

    Raises:
        ServiceUnavailableError: a store or the queue does not answer; repeat it.
    """
    now = (clock or SystemClock()).now()
    wanting = [one for one in endpoints.page(event.clinic_id, MAXIMUM_ENDPOINTS).items if one.wants(event)]
    return [_deliver(endpoint, event, now) for endpoint in wanting]


def ping(clinic_id: str, webhook_endpoint_id: str, *, clock: Clock | None = None) -> Delivery:
    """Send a ``webhook.ping`` to one endpoint on the way that all deliveries take, even if it is disabled.

    Raises:
        WebhookEndpointNotFoundError: the clinic has no such endpoint.
    """
    endpoint = get_endpoint(clinic_id, webhook_endpoint_id)
    now = (clock or SystemClock()).now()
    event = Event(
        id=new_id(Prefix.EVENT, now),
        type=PING,
        clinic_id=clinic_id,
        channel_id="",
        sequence=0,
        timestamp=now,
        data={"webhook_endpoint_id": webhook_endpoint_id},
    )
    return _deliver(endpoint, event, now)


def list_deliveries(
    clinic_id: str,
    webhook_endpoint_id: str,
    *,
    limit: int,
    key: Key | None = None,
    status: DeliveryStatus | None = None,
    clock: Clock | None = None,
) -> Page[Delivery]:
    """Return an endpoint's deliveries of the last 30 days with their attempts, the newest event first.

    Raises:
        WebhookEndpointNotFoundError: the clinic has no such endpoint.
    """
    get_endpoint(clinic_id, webhook_endpoint_id)
    now = (clock or SystemClock()).now()
    return table.page(clinic_id, webhook_endpoint_id, now=now, limit=limit, start=key, status=status)


def get_delivery(clinic_id: str, webhook_endpoint_id: str, delivery_id: str, *, clock: Clock | None = None) -> Delivery:
    """Return a delivery with its attempts.

    Raises:
        WebhookEndpointNotFoundError: the clinic has no such endpoint.
        DeliveryNotFoundError: the endpoint has no such delivery, or it is more than 30 days old.
    """
    get_endpoint(clinic_id, webhook_endpoint_id)
    delivery = table.find(clinic_id, webhook_endpoint_id, delivery_id, (clock or SystemClock()).now())
    if delivery is None:
        raise DeliveryNotFoundError
    return delivery


def _deliver(endpoint: Endpoint, event: Event, now: datetime) -> Delivery:
    identifier = derived_id(Prefix.DELIVERY, event.timestamp, endpoint.webhook_endpoint_id, event.id)
    delivery = Delivery(
        delivery_id=identifier,
        webhook_endpoint_id=endpoint.webhook_endpoint_id,
        clinic_id=endpoint.clinic_id,
        event=event,
        status=DeliveryStatus.PENDING,
        created_at=now,
        next_attempt=1,
        next_attempt_at=now,
    )
    if not table.insert(delivery):
        stored = table.find(endpoint.clinic_id, endpoint.webhook_endpoint_id, identifier, now)
        if stored is None or stored.next_attempt > 1 or stored.status is not DeliveryStatus.PENDING:
            return stored or delivery
        delivery = stored
    queue.send(AttemptRequest(delivery.clinic_id, delivery.webhook_endpoint_id, delivery.delivery_id, 1))
    return delivery
