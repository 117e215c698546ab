"""Lambda: events of the bus, by way of their queue, into counts."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.analytics.counting import take
from functions.analytics.settings import settings
from recado.aws.logging import logger, metrics

_processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@logger("analytics").inject_lambda_context(clear_state=True)
@metrics("analytics").log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Count each event; what fails comes again, and in the end lies in this queue's own DLQ."""
    settings()
    return process_partial_response(event=event, record_handler=take, processor=_processor, context=context)
