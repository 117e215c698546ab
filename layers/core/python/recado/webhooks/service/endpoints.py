"""Endpoints: registering, changing, deleting, and rotating their secrets."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from recado.aws.models import ConditionFailedError, Key, Page
from recado.aws.settings import WebhookSettings
from recado.channels import service as channels_service
from recado.kernel.clock import Clock, SystemClock
from recado.kernel.errors import (
    ChannelNotFoundError,
    InvalidRequestError,
    InvalidWebhookUrlError,
    ServiceUnavailableError,
    WebhookEndpointNotFoundError,
)
from recado.kernel.ids import Prefix, new_id
from recado.webhooks.addresses import AddressGuard
from recado.webhooks.events import parse_filters
from recado.webhooks.model import ROTATION_OVERLAP, DisabledReason, Endpoint, EndpointStatus
from recado.webhooks.secret_store import sealed
from recado.webhooks.signing import check_own_secret, new_secret
from recado.webhooks.table import endpoints as table
from recado.webhooks.table.endpoints import EndpointItem

if TYPE_CHECKING:
    from pynamodb.expressions.update import Action

_ROTATION_TRIES = 3


class _Unchanged:
    """Marks a field that an update leaves as it is, where None has a meaning of its own."""


UNCHANGED: Final = _Unchanged()


def create_endpoint(
    clinic_id: str,
    *,
    url: str,
    event_types: Sequence[str],
    channels: Sequence[str] | None = None,
    secret: str | None = None,
    clock: Clock | None = None,
    guard: AddressGuard | None = None,
) -> tuple[Endpoint, str]:
    """Register an endpoint.

    Args:
        clinic_id: whose events it gets.
        url: where to post; https and public, or inside the allowed networks.
        event_types: types of the catalogue or ``message.*`` and ``channel.*``.
        channels: only events of these channels; None for all.
        secret: the clinic's own secret, ``whsec_…``; one is made if omitted.
        clock: the clock; the machine's if omitted.
        guard: judges the URL; made from the settings if omitted.

    Returns:
        The endpoint and its secret: the only time that it is shown.

    Raises:
        InvalidRequestError: an event type, a channel or the secret is not acceptable.
        InvalidWebhookUrlError: the URL is not acceptable.
        LimitReachedError: the clinic has 16 endpoints.
    """
    chosen = check_own_secret(secret) if secret is not None else new_secret()
    filters = parse_filters(event_types)
    checked_channels = _checked_channels(clinic_id, channels)
    _check_url(url, guard)
    now = (clock or SystemClock()).now()
    endpoint = Endpoint(
        webhook_endpoint_id=new_id(Prefix.ENDPOINT, now),
        clinic_id=clinic_id,
        url=url,
        event_types=filters,
        channels=checked_channels,
        status=EndpointStatus.ENABLED,
        disabled_reason=None,
        sealed_secret=sealed(chosen, clinic_id),
        sealed_previous_secret=None,
        previous_secret_until=None,
        created_at=now,
        updated_at=now,
    )
    table.insert(endpoint)
    return endpoint, chosen


def get_endpoint(clinic_id: str, webhook_endpoint_id: str) -> Endpoint:
    """Return an endpoint.

    Raises:
        WebhookEndpointNotFoundError: the clinic has no such endpoint.
    """
    endpoint = table.find(clinic_id, webhook_endpoint_id)
    if endpoint is None:
        raise WebhookEndpointNotFoundError
    return endpoint


def list_endpoints(clinic_id: str, *, limit: int, key: Key | None = None) -> Page[Endpoint]:
    """Return the clinic's endpoints, the oldest first."""
    return table.page(clinic_id, limit, key)


def update_endpoint(
    clinic_id: str,
    webhook_endpoint_id: str,
    *,
    url: str | None = None,
    event_types: Sequence[str] | None = None,
    channels: Sequence[str] | _Unchanged | None = UNCHANGED,
    status: EndpointStatus | None = None,
    clock: Clock | None = None,
    guard: AddressGuard | None = None,
) -> Endpoint:
    """Change what is given and leave the rest.

    Args:
        clinic_id: whose endpoint it is.
        webhook_endpoint_id: the endpoint.
        url: the new URL; deliveries under way go there too.
        event_types: the new filters.
        channels: the new channel filter; None lifts it.
        status: disabling ends pending deliveries as ``cancelled`` when their next attempt comes; enabling starts
            with the events that happen from then on.
        clock: the clock; the machine's if omitted.
        guard: judges the URL; made from the settings if omitted.

    Raises:
        InvalidRequestError: an event type or a channel is not acceptable.
        InvalidWebhookUrlError: the URL is not acceptable.
        WebhookEndpointNotFoundError: the clinic has no such endpoint.
    """
    actions: list[Action] = [EndpointItem.updated_at.set((clock or SystemClock()).now())]
    get_endpoint(clinic_id, webhook_endpoint_id)
    if event_types is not None:
        actions.append(EndpointItem.event_types.set(set(parse_filters(event_types))))
    if not isinstance(channels, _Unchanged):
        checked = _checked_channels(clinic_id, channels)
        actions.append(EndpointItem.channels.set(set(checked)) if checked else EndpointItem.channels.remove())
    if url is not None:
        _check_url(url, guard)
        actions.append(EndpointItem.url.set(url))
    if status is EndpointStatus.ENABLED:
        actions += [EndpointItem.status.set(status), EndpointItem.disabled_reason.remove()]
    elif status is EndpointStatus.DISABLED:
        actions += _disabling(DisabledReason.REQUESTED)
    return table.change(clinic_id, webhook_endpoint_id, actions)


def disable_gone(endpoint: Endpoint, clock: Clock) -> None:
    """Disable an endpoint whose receiver answered 410 (Standard Webhooks: stop sending)."""
    actions: list[Action] = [EndpointItem.updated_at.set(clock.now()), *_disabling(DisabledReason.GONE)]
    try:
        table.change(endpoint.clinic_id, endpoint.webhook_endpoint_id, actions)
    except WebhookEndpointNotFoundError:
        return


def delete_endpoint(clinic_id: str, webhook_endpoint_id: str) -> None:
    """Delete an endpoint; deliveries under way end as ``cancelled`` when their next attempt comes.

    Raises:
        WebhookEndpointNotFoundError: the clinic has no such endpoint.
    """
    table.delete(clinic_id, webhook_endpoint_id)


def rotate_secret(
    clinic_id: str,
    webhook_endpoint_id: str,
    *,
    secret: str | None = None,
    clock: Clock | None = None,
    overlap: timedelta = ROTATION_OVERLAP,
) -> tuple[Endpoint, str]:
    """Replace an endpoint's secret; for 24 hours deliveries are signed with both.

    Only one replaced secret is kept: a second rotation within the overlap ends the first one's.

    Args:
        clinic_id: whose endpoint it is.
        webhook_endpoint_id: the endpoint.
        secret: the clinic's own new secret, ``whsec_…``; one is made if omitted.
        clock: the clock; the machine's if omitted.
        overlap: how long the replaced secret signs too.

    Returns:
        The endpoint and its new secret: the only time that it is shown.

    Raises:
        InvalidRequestError: the secret is not acceptable.
        WebhookEndpointNotFoundError: the clinic has no such endpoint.
        ServiceUnavailableError: others kept rotating it at the same time.
    """
    chosen = check_own_secret(secret) if secret is not None else new_secret()
    sealed_secret = sealed(chosen, clinic_id)
    for _ in range(_ROTATION_TRIES):
        endpoint = get_endpoint(clinic_id, webhook_endpoint_id)
        now = (clock or SystemClock()).now()
        actions: list[Action] = [
            EndpointItem.sealed_secret.set(sealed_secret),
            EndpointItem.sealed_previous_secret.set(endpoint.sealed_secret),
            EndpointItem.previous_secret_until.set(now + overlap),
            EndpointItem.updated_at.set(now),
        ]
        if endpoint.sealed_secret == sealed_secret:
            # An earlier try of ours went through although its answer was lost.
            return endpoint, chosen
        try:
            return table.replace_secret(endpoint, actions), chosen
        except ConditionFailedError:
            continue
    raise ServiceUnavailableError("The secret is being rotated by somebody else.")


def configured_guard() -> AddressGuard:
    """Return the guard that the settings ask for."""
    return AddressGuard(WebhookSettings().webhook_allowed_networks)


def _check_url(url: str, guard: AddressGuard | None) -> None:
    try:
        (guard or configured_guard()).check(url)
    except OSError:
        raise InvalidWebhookUrlError("the URL's host name cannot be resolved", field="url") from None


def _checked_channels(clinic_id: str, channels: Collection[str] | None) -> frozenset[str] | None:
    if channels is None:
        return None
    if not channels:
        raise InvalidRequestError("name at least one channel, or null for all", field="channels")
    for position, channel_id in enumerate(channels):
        try:
            channels_service.get(clinic_id, channel_id)
        except ChannelNotFoundError:
            raise InvalidRequestError("no such channel", field=f"channels.{position}") from None
    return frozenset(channels)


def _disabling(reason: DisabledReason) -> "list[Action]":
    return [EndpointItem.status.set(EndpointStatus.DISABLED), EndpointItem.disabled_reason.set(reason)]
