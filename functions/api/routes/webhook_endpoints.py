"""Webhook endpoints: where a clinic's events are sent."""

from typing import Annotated

from fastapi import APIRouter, Query, Response, status

from functions.api.auth import WebhooksRead, WebhooksWrite
from functions.api.documentation import problems
from functions.api.listing import Listing
from functions.api.schemas.base import Listed, PageQuery
from functions.api.schemas.webhooks import (
    NewWebhookEndpoint,
    NewWebhookEndpointAnswer,
    PingAnswer,
    SecretRotation,
    WebhookEndpointAnswer,
    WebhookEndpointChange,
)
from functions.api.webhook_reach import reached, refuse_beyond_reach, within_reach
from recado.kernel.errors import InvalidWebhookUrlError, LimitReachedError, WebhookEndpointNotFoundError
from recado.webhooks import service as webhooks
from recado.webhooks.model import Endpoint

router = APIRouter(prefix="/v1/clinics/{clinic_id}/webhook-endpoints", tags=["webhooks"])

_NOT_FOUND = problems(WebhookEndpointNotFoundError)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Register a webhook endpoint",
    responses=problems(InvalidWebhookUrlError, LimitReachedError),
)
def create_webhook_endpoint(
    principal: WebhooksWrite, clinic_id: str, body: NewWebhookEndpoint
) -> NewWebhookEndpointAnswer:
    """Register a URL for events. The secret that signs them is shown in this answer only."""
    refuse_beyond_reach(principal, body.channels)
    endpoint, secret = webhooks.create_endpoint(
        clinic_id, url=body.url, event_types=body.event_types, channels=body.channels, secret=body.secret
    )
    return _show_with_secret(endpoint, secret)


@router.get("", summary="List the webhook endpoints")
def list_webhook_endpoints(
    principal: WebhooksRead, clinic_id: str, query: Annotated[PageQuery, Query()]
) -> Listed[WebhookEndpointAnswer]:
    """List the clinic's endpoints, oldest first, without their secrets."""
    listing = Listing("list_webhook_endpoints", query, clinic_id)
    page = webhooks.list_endpoints(clinic_id, limit=query.limit, key=listing.start())
    return listing.answer(page, _show, keep=lambda endpoint: within_reach(principal, endpoint))


@router.get("/{webhook_endpoint_id}", summary="Read a webhook endpoint", responses=_NOT_FOUND)
def get_webhook_endpoint(principal: WebhooksRead, clinic_id: str, webhook_endpoint_id: str) -> WebhookEndpointAnswer:
    """Read one endpoint, without its secret."""
    return _show(reached(principal, clinic_id, webhook_endpoint_id))


@router.patch(
    "/{webhook_endpoint_id}",
    summary="Change a webhook endpoint",
    responses=problems(WebhookEndpointNotFoundError, InvalidWebhookUrlError),
)
def update_webhook_endpoint(
    principal: WebhooksWrite, clinic_id: str, webhook_endpoint_id: str, body: WebhookEndpointChange
) -> WebhookEndpointAnswer:
    """Change the fields that are sent; `"status": "disabled"` stops deliveries, `"enabled"` starts them again."""
    reached(principal, clinic_id, webhook_endpoint_id)
    changes = body.model_dump(exclude_unset=True)
    if "channels" in changes:
        refuse_beyond_reach(principal, body.channels)
    return _show(webhooks.update_endpoint(clinic_id, webhook_endpoint_id, **changes))


@router.delete(
    "/{webhook_endpoint_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Delete a webhook endpoint",
    responses=_NOT_FOUND,
)
def delete_webhook_endpoint(principal: WebhooksWrite, clinic_id: str, webhook_endpoint_id: str) -> Response:
    """Delete an endpoint; deliveries that are still being tried end as cancelled."""
    reached(principal, clinic_id, webhook_endpoint_id)
    webhooks.delete_endpoint(clinic_id, webhook_endpoint_id)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.post(
    "/{webhook_endpoint_id}/ping",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Send a test event",
    responses=_NOT_FOUND,
)
def ping_webhook_endpoint(principal: WebhooksWrite, clinic_id: str, webhook_endpoint_id: str) -> PingAnswer:
    """Send a `webhook.ping` the way all events go, even to a disabled endpoint."""
    reached(principal, clinic_id, webhook_endpoint_id)
    delivery = webhooks.ping(clinic_id, webhook_endpoint_id)
    return PingAnswer(delivery_id=delivery.delivery_id, event_id=delivery.event.id)


@router.post("/{webhook_endpoint_id}/rotate-secret", summary="Replace a webhook secret", responses=_NOT_FOUND)
def rotate_webhook_secret(
    principal: WebhooksWrite, clinic_id: str, webhook_endpoint_id: str, body: SecretRotation | None = None
) -> NewWebhookEndpointAnswer:
    """Replace the secret and show the new one, once. For 24 hours deliveries are signed with both."""
    reached(principal, clinic_id, webhook_endpoint_id)
    secret = body.secret if body else None
    return _show_with_secret(*webhooks.rotate_secret(clinic_id, webhook_endpoint_id, secret=secret))


def _show(endpoint: Endpoint) -> WebhookEndpointAnswer:
    return WebhookEndpointAnswer(
        webhook_endpoint_id=endpoint.webhook_endpoint_id,
        url=endpoint.url,
        event_types=sorted(endpoint.event_types),
        channels=None if endpoint.channels is None else sorted(endpoint.channels),
        status=endpoint.status,
        disabled_reason=endpoint.disabled_reason,
        previous_secret_until=endpoint.previous_secret_until,
        created_at=endpoint.created_at,
        updated_at=endpoint.updated_at,
    )


def _show_with_secret(endpoint: Endpoint, secret: str) -> NewWebhookEndpointAnswer:
    return NewWebhookEndpointAnswer(**dict(_show(endpoint)), secret=secret)
