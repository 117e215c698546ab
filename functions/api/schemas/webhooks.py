"""Webhook endpoints and their delivery log on the wire."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from functions.api.schemas.api_keys import ChannelId
from functions.api.schemas.base import Answer, Given, Moment, PageQuery, with_example
from recado.webhooks.model import DeliveryStatus, EndpointStatus

_ENDPOINT = {
    "webhook_endpoint_id": "whk_01kb1v00000000000000000000",
    "url": "https://agenda.example.com/whatsapp",
    "event_types": ["channel.*", "message.*"],
    "channels": None,
    "status": "enabled",
    "disabled_reason": None,
    "previous_secret_until": None,
    "created_at": "2026-11-22T13:00:00.000Z",
    "updated_at": "2026-11-22T13:00:00.000Z",
}
_SECRET = "whsec_" + "x" * 43 + "="

Url = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
EventTypes = Annotated[
    list[Annotated[str, StringConstraints(min_length=1, max_length=64)]], Field(min_length=1, max_length=32)
]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Channels = Annotated[list[ChannelId], Field(min_length=1, max_length=100)]


class NewWebhookEndpoint(Given):
    """An endpoint to be registered."""

    model_config = with_example(
        {"url": "https://agenda.example.com/whatsapp", "event_types": ["message.*", "channel.*"]}
    )

    url: Url
    event_types: EventTypes = Field(description="Types of the catalogue, or `message.*` and `channel.*`.")
    channels: Channels | None = Field(None, description="Only events of these channels; null for all.")
    secret: Secret | None = Field(None, description="Your own secret, `whsec_…`; one is made if left out.")


class WebhookEndpointChange(Given):
    """What to change; fields left out stay as they are."""

    model_config = with_example({"event_types": ["message.received"], "status": "enabled"})

    url: Url = Field(default="")
    event_types: EventTypes = Field(default_factory=list)
    channels: Channels | None = None
    status: EndpointStatus = EndpointStatus.ENABLED


class SecretRotation(Given):
    """How to replace a secret."""

    model_config = with_example({})

    secret: Secret | None = Field(None, description="Your own new secret, `whsec_…`; one is made if left out.")


class WebhookEndpointAnswer(Answer):
    """An endpoint, without its secret."""

    model_config = with_example(_ENDPOINT)

    webhook_endpoint_id: str
    url: str
    event_types: list[str]
    channels: list[str] | None
    status: str
    disabled_reason: str | None
    previous_secret_until: Moment | None = Field(
        description="Until when deliveries are also signed with the secret before the last rotation."
    )
    created_at: Moment
    updated_at: Moment


class NewWebhookEndpointAnswer(WebhookEndpointAnswer):
    """An endpoint with a new secret: the only time it is shown."""

    model_config = with_example({**_ENDPOINT, "secret": _SECRET, "note": "shown once"})

    secret: str
    note: Literal["shown once"] = "shown once"


class AttemptAnswer(Answer):
    """One HTTP try."""

    number: int
    at: Moment
    duration_ms: int
    status_code: int | None
    error: str | None = Field(description="What prevented an answer, as a word.")


class DeliveryAnswer(Answer):
    """One event on its way to one endpoint."""

    model_config = with_example(
        {
            "delivery_id": "dlv_01kb1v00000000000000000000",
            "event_id": "evt_01kb1v00000000000000000000",
            "event_type": "message.received",
            "channel_id": "chn_01kb1v00000000000000000000",
            "status": "delivered",
            "created_at": "2026-11-22T13:05:02.000Z",
            "next_attempt_at": None,
            "ended_at": "2026-11-22T13:05:02.310Z",
            "attempts": [
                {
                    "number": 1,
                    "at": "2026-11-22T13:05:02.100Z",
                    "duration_ms": 210,
                    "status_code": 200,
                    "error": None,
                }
            ],
        }
    )

    delivery_id: str
    event_id: str
    event_type: str
    channel_id: str | None
    status: str
    created_at: Moment
    next_attempt_at: Moment | None
    ended_at: Moment | None
    attempts: list[AttemptAnswer]


class DeliveryListQuery(PageQuery):
    """How to choose among deliveries; the newest come first."""

    status: DeliveryStatus | None = None


class PingAnswer(Answer):
    """A ping is on its way; the delivery log tells what came of it."""

    model_config = with_example(
        {"delivery_id": "dlv_01kb1v00000000000000000000", "event_id": "evt_01kb1v00000000000000000000"}
    )

    delivery_id: str
    event_id: str
