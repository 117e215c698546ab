"""The delivery log of a webhook endpoint: every event sent there and every try."""

from typing import Annotated

from fastapi import APIRouter, Query

from functions.api.auth import WebhooksRead
from functions.api.documentation import problems
from functions.api.listing import Listing
from functions.api.schemas.base import Listed
from functions.api.schemas.webhooks import AttemptAnswer, DeliveryAnswer, DeliveryListQuery
from functions.api.webhook_reach import reached
from recado.kernel.errors import DeliveryNotFoundError, WebhookEndpointNotFoundError
from recado.webhooks import service as webhooks
from recado.webhooks.model import Delivery

router = APIRouter(
    prefix="/v1/clinics/{clinic_id}/webhook-endpoints/{webhook_endpoint_id}/deliveries", tags=["webhooks"]
)


@router.get("", summary="List an endpoint's deliveries", responses=problems(WebhookEndpointNotFoundError))
def list_deliveries(
    principal: WebhooksRead,
    clinic_id: str,
    webhook_endpoint_id: str,
    query: Annotated[DeliveryListQuery, Query()],
) -> Listed[DeliveryAnswer]:
    """List the deliveries of the last 30 days, newest first. No body is kept: it may hold what a patient wrote."""
    reached(principal, clinic_id, webhook_endpoint_id)
    listing = Listing("list_deliveries", query, clinic_id, webhook_endpoint_id)
    page = webhooks.list_deliveries(
        clinic_id, webhook_endpoint_id, limit=query.limit, key=listing.start(), status=query.status
    )
    return listing.answer(page, _show)


@router.get(
    "/{delivery_id}",
    summary="Read a delivery",
    responses=problems(WebhookEndpointNotFoundError, DeliveryNotFoundError),
)
def get_delivery(principal: WebhooksRead, clinic_id: str, webhook_endpoint_id: str, delivery_id: str) -> DeliveryAnswer:
    """Read one delivery with all its attempts."""
    reached(principal, clinic_id, webhook_endpoint_id)
    return _show(webhooks.get_delivery(clinic_id, webhook_endpoint_id, delivery_id))


def _show(delivery: Delivery) -> DeliveryAnswer:
    return DeliveryAnswer(
        delivery_id=delivery.delivery_id,
        event_id=delivery.event.id,
        event_type=delivery.event.type,
        channel_id=delivery.event.channel_id or None,
        status=delivery.status,
        created_at=delivery.created_at,
        next_attempt_at=delivery.next_attempt_at,
        ended_at=delivery.ended_at,
        attempts=[
            AttemptAnswer(
                number=attempt.number,
                at=attempt.at,
                duration_ms=attempt.duration_ms,
                status_code=attempt.status_code,
                error=attempt.error,
            )
            for attempt in delivery.attempts
        ],
    )
