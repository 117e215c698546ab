"""Lambda: orders of the deliveries queue into HTTP tries."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.webhook_attempts.settings import settings
from recado.aws.logging import logger, metrics
from recado.webhooks import service
from recado.webhooks.commands import AttemptRequest

_log = logger("webhook_attempts")
_metrics = metrics("webhook_attempts")
_processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@_log.inject_lambda_context(clear_state=True)
@_metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Make each attempt; orders that fail come again, and in the end lie in this queue's own DLQ."""
    settings()
    return process_partial_response(event=event, record_handler=_attempt, processor=_processor, context=context)


def _attempt(record: SQSRecord) -> None:
    request = AttemptRequest.from_json(record.body)
    result = service.attempt(request)
    _metrics.add_metric(name=f"WebhookAttempt{result.title()}", unit="Count", value=1)
    _log.info(
        "attempt over",
        extra={
            "clinic_id": request.clinic_id,
            "webhook_endpoint_id": request.webhook_endpoint_id,
            "delivery_id": request.delivery_id,
            "attempt": request.attempt,
            "result": result.value,
        },
    )
