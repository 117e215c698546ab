"""Which webhook endpoints a key reaches: one limited to channels only those limited to some of the same."""

from collections.abc import Sequence

from functions.api.auth import channels_of
from recado.clinics.model import Principal
from recado.kernel.errors import InsufficientScopeError, WebhookEndpointNotFoundError
from recado.webhooks import service as webhooks
from recado.webhooks.model import Endpoint


def within_reach(principal: Principal, endpoint: Endpoint) -> bool:
    """Say whether the key may see the endpoint."""
    own = channels_of(principal)
    return own is None or (endpoint.channels is not None and endpoint.channels <= own)


def reached(principal: Principal, clinic_id: str, webhook_endpoint_id: str) -> Endpoint:
    """Return the endpoint.

    Raises:
        WebhookEndpointNotFoundError: the clinic has none of that id, or the key does not reach it.
    """
    endpoint = webhooks.get_endpoint(clinic_id, webhook_endpoint_id)
    if not within_reach(principal, endpoint):
        raise WebhookEndpointNotFoundError
    return endpoint


def refuse_beyond_reach(principal: Principal, channels: Sequence[str] | None) -> None:
    """Refuse an endpoint that would get events of channels the key does not reach.

    Raises:
        InsufficientScopeError: the key is limited to channels, and this names others or all.
    """
    own = channels_of(principal)
    if own is not None and (channels is None or not frozenset(channels) <= own):
        raise InsufficientScopeError("This key is limited to channels: name only those.", field="channels")
