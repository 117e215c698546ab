"""Lambda: events of the bus, by way of their queue, into deliveries."""

import json
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.webhooks.settings import settings
from recado.aws.logging import logger, metrics
from recado.kernel.envelopes import Event
from recado.webhooks import service

_log = logger("webhooks")
_metrics = metrics("webhooks")
_processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@_log.inject_lambda_context(clear_state=True)
@_metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Dispatch each event; what fails comes again, and in the end lies in this queue's own DLQ."""
    settings()
    return process_partial_response(event=event, record_handler=_dispatch, processor=_processor, context=context)


def _dispatch(record: SQSRecord) -> None:
    envelope = json.loads(record.body)
    event = Event.from_mapping(envelope["detail"])
    deliveries = service.dispatch(event)
    _metrics.add_metric(name="WebhookDeliveries", unit="Count", value=len(deliveries))
    _log.info(
        "event dispatched",
        extra={
            "clinic_id": event.clinic_id,
            "channel_id": event.channel_id,
            "event_id": event.id,
            "event_type": event.type,
            "deliveries": [delivery.delivery_id for delivery in deliveries],
        },
    )
