"""Putting events on the bus."""

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from functions.recorder.settings import settings
from recado.aws import clients
from recado.aws.logging import logger
from recado.kernel.envelopes import Event

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE = "recado"
_MOST_AT_ONCE = 10  # EventBridge takes no more in one call.
_log = logger("recorder")


def publish(events: Sequence[Event]) -> set[str]:
    """Put events on the bus and return the ids of those that the bus did not take.

    ``PutEvents`` answers 200 also when it refused some of what it was given.

    Raises:
        ClientError: the bus refused the whole call.
    """
    refused: set[str] = set()
    pending = iter(events)
    while some := list(islice(pending, _MOST_AT_ONCE)):
        answer = clients.events().put_events(Entries=[_request(event) for event in some])
        if answer["FailedEntryCount"]:
            for event, result in zip(some, answer["Entries"], strict=True):
                if "EventId" not in result:
                    refused.add(event.id)
                    _tell_refusal(event, result.get("ErrorCode", "unknown"))
    return refused


def _request(event: Event) -> "PutEventsRequestEntryTypeDef":
    return {
        "Source": SOURCE,
        "DetailType": event.type,
        "Detail": event.to_json(),
        "EventBusName": settings().event_bus,
    }


def _tell_refusal(event: Event, code: str) -> None:
    _log.error(
        "The bus did not take an event.",
        extra={"clinic_id": event.clinic_id, "channel_id": event.channel_id, "event_id": event.id, "error": code},
    )
