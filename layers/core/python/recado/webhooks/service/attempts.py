"""One attempt of a delivery: claim it, post, write down what came of it, see to the next one."""

import random
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from recado.aws.settings import WebhookSettings
from recado.channels import service as channels_service
from recado.kernel.clock import Clock, SystemClock
from recado.kernel.envelopes import Event
from recado.kernel.errors import ChannelNotFoundError, MessageNotFoundError
from recado.messages import service as messages_service
from recado.webhooks import queue
from recado.webhooks.addresses import AddressGuard
from recado.webhooks.body import body_of, message_id_of, shows_phone
from recado.webhooks.commands import AttemptRequest
from recado.webhooks.model import PING, Attempt, Delivery, DeliveryStatus, Endpoint
from recado.webhooks.retries import delay_before
from recado.webhooks.secret_store import opened
from recado.webhooks.service.due import schedule
from recado.webhooks.service.endpoints import disable_gone
from recado.webhooks.signing import signed_headers
from recado.webhooks.table import deliveries as table
from recado.webhooks.table import endpoints, places
from recado.webhooks.transport import Outcome, Poster

CLAIM = timedelta(seconds=30)
"""How long a claim holds: longer than the longest attempt, shorter than the queue's visibility time-out."""

GONE = 410
# An attempt that finds all of its endpoint's places taken waits about 1 s at first, twice as long each further time: a
# burst at a quick endpoint is over soon, and what queues up at a slow one costs little.
_LONGEST_WAIT_FOR_PLACE_SECONDS = 60.0


class AttemptInProgressError(Exception):
    """Another consumer holds this attempt; the order must come again, in case that one dies."""


class AttemptResult(StrEnum):
    """What became of an order to make an attempt."""

    DELIVERED = "delivered"
    RETRIED = "retried"
    FAILED = "failed"
    CANCELLED = "cancelled"
    POSTPONED = "postponed"
    OBSOLETE = "obsolete"


@dataclass(frozen=True, slots=True)
class _Begun:
    request: AttemptRequest
    delivery: Delivery
    endpoint: Endpoint
    token: str
    at: datetime


def attempt(request: AttemptRequest, *, clock: Clock | None = None, poster: Poster | None = None) -> AttemptResult:
    """Carry out an order of the deliveries queue.

    Orders may come twice or late: an attempt is made by whoever claims it, and one that has been made is only
    looked after (its successor is scheduled again, should that have been lost).

    Args:
        request: which attempt.
        clock: the clock; the machine's if omitted.
        poster: makes the HTTP try; made from the settings if omitted.

    Raises:
        AttemptInProgressError: somebody else is making it right now.
        ServiceUnavailableError: a store or queue does not answer; the order must come again.
    """
    clock = clock or SystemClock()
    now = clock.now()
    delivery = table.find(request.clinic_id, request.webhook_endpoint_id, request.delivery_id, now)
    if delivery is None or delivery.status is not DeliveryStatus.PENDING or request.attempt > delivery.next_attempt:
        return AttemptResult.OBSOLETE
    if request.attempt < delivery.next_attempt:
        _repair(request, delivery, now)
        return AttemptResult.OBSOLETE
    endpoint = endpoints.find(request.clinic_id, request.webhook_endpoint_id)
    if endpoint is None or not (endpoint.enabled or delivery.event.type == PING):
        table.cancel(delivery, now)
        return AttemptResult.CANCELLED
    begun = _Begun(request, delivery, endpoint, secrets.token_hex(8), now)
    place = places.take(
        request.clinic_id,
        request.webhook_endpoint_id,
        begun.token,
        places=WebhookSettings().webhook_attempts_at_once,
        now=now,
        until=now + CLAIM,
    )
    if place is None:
        _postpone(request)
        return AttemptResult.POSTPONED
    try:
        if not table.claim(delivery, begun.token, now, now + CLAIM):
            raise AttemptInProgressError(request.delivery_id)
        outcome = _post(delivery, endpoint, now, poster or configured_poster())
    finally:
        places.leave(request.clinic_id, request.webhook_endpoint_id, place, begun.token)
    return _conclude(begun, outcome, clock)


def configured_poster() -> Poster:
    """Return the poster that the settings ask for, made once: reading the certificate authorities takes time."""
    return _poster(WebhookSettings().webhook_allowed_networks)


@lru_cache(maxsize=4)
def _poster(allowed_networks: tuple[str, ...]) -> Poster:
    return Poster(AddressGuard(allowed_networks))


def _post(delivery: Delivery, endpoint: Endpoint, now: datetime, poster: Poster) -> Outcome:
    event = delivery.event
    body = _body(event)
    signing_secrets = [opened(sealed, endpoint.clinic_id) for sealed in endpoint.sealed_secrets(now)]
    return poster.post(endpoint.url, signed_headers(event.id, now, body, signing_secrets), body)


def _body(event: Event) -> bytes:
    message_id = message_id_of(event)
    if message_id is not None:
        try:
            return body_of(event, message=messages_service.get(event.clinic_id, event.channel_id, message_id))
        except MessageNotFoundError:
            # Erased, or beyond its retention: the fact remains, its content does not.
            return body_of(event)
    if shows_phone(event):
        try:
            return body_of(event, phone=channels_service.get(event.clinic_id, event.channel_id).phone)
        except ChannelNotFoundError:
            return body_of(event)
    return body_of(event)


def _conclude(begun: _Begun, outcome: Outcome, clock: Clock) -> AttemptResult:
    request = begun.request
    made = Attempt(request.attempt, begun.at, outcome.duration_ms, outcome.status_code, outcome.error)
    now = clock.now()
    next_at: datetime | None = None
    if made.successful:
        status, result = DeliveryStatus.DELIVERED, AttemptResult.DELIVERED
    else:
        status, result = DeliveryStatus.FAILED, AttemptResult.FAILED
        wait = delay_before(request.attempt + 1, WebhookSettings().webhook_retry_gaps, retry_after=outcome.retry_after)
        if outcome.status_code != GONE and wait is not None:
            status, result, next_at = DeliveryStatus.PENDING, AttemptResult.RETRIED, now + wait
    if not table.record(begun.delivery, begun.token, made, status, next_at):
        return AttemptResult.OBSOLETE
    if outcome.status_code == GONE:
        disable_gone(begun.endpoint, clock)
    if next_at is not None:
        schedule(_following(request), next_at, now)
    return result


def _postpone(request: AttemptRequest) -> None:
    longest = min(2.0 ** min(request.postponed, 10), _LONGEST_WAIT_FOR_PLACE_SECONDS)
    wait = timedelta(seconds=random.uniform(longest / 2, longest))  # noqa: S311 - spreads load, guards nothing
    queue.send(replace(request, postponed=request.postponed + 1), wait)


def _repair(request: AttemptRequest, delivery: Delivery, now: datetime) -> None:
    # The consumer that made this attempt may have died before it scheduled the next.
    if request.attempt == delivery.next_attempt - 1 and delivery.next_attempt_at is not None:
        schedule(_following(request), delivery.next_attempt_at, now)


def _following(request: AttemptRequest) -> AttemptRequest:
    return AttemptRequest(request.clinic_id, request.webhook_endpoint_id, request.delivery_id, request.attempt + 1)
