"""The catalogue of events a webhook can carry, and the filters that choose from it."""

from collections.abc import Iterable

from recado.kernel.errors import InvalidRequestError

MESSAGE_TYPES = frozenset(
    f"message.{fact}"
    for fact in (
        "received",
        "sent",
        "delivered",
        "read",
        "failed",
        "uncertain",
        "expired",
        "suppressed",
        "undecryptable",
    )
)
CHANNEL_TYPES = frozenset(
    f"channel.{fact}"
    for fact in (
        "state_changed",
        "qr_ready",
        "connected",
        "disconnected",
        "logged_out",
        "banned",
        "replaced",
        "rejected",
    )
)
WILDCARDS = frozenset({"message.*", "channel.*"})
FILTERS = MESSAGE_TYPES | CHANNEL_TYPES | WILDCARDS


def parse_filters(event_types: Iterable[str]) -> frozenset[str]:
    """Read an endpoint's event types.

    ``webhook.ping`` is no filter: a ping goes to the endpoint that was pinged, whatever it listens to.

    Raises:
        InvalidRequestError: none is given, or one is not in the catalogue.
    """
    chosen = list(event_types)
    if not chosen:
        raise InvalidRequestError("name at least one event type", field="event_types")
    for position, name in enumerate(chosen):
        if name not in FILTERS:
            raise InvalidRequestError("no such event type", field=f"event_types.{position}")
    return frozenset(chosen)
