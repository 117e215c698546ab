"""The use cases of webhooks: endpoints, deliveries, and the way from an event to the last attempt."""

from recado.webhooks.service.attempts import AttemptInProgressError, AttemptResult, attempt
from recado.webhooks.service.deliveries import dispatch, get_delivery, list_deliveries, ping
from recado.webhooks.service.due import move_due, schedule
from recado.webhooks.service.endpoints import (
    create_endpoint,
    delete_endpoint,
    get_endpoint,
    list_endpoints,
    rotate_secret,
    update_endpoint,
)

__all__ = [
    "AttemptInProgressError",
    "AttemptResult",
    "attempt",
    "create_endpoint",
    "delete_endpoint",
    "dispatch",
    "get_delivery",
    "get_endpoint",
    "list_deliveries",
    "list_endpoints",
    "move_due",
    "ping",
    "rotate_secret",
    "schedule",
    "update_endpoint",
]
