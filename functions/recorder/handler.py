"""Lambda: the ingest queue into the message log, the channels' states and events on the bus."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.recorder.recording import take
from functions.recorder.retrying import postpone
from functions.recorder.settings import settings
from recado.aws.logging import logger, metrics

_processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@logger("recorder").inject_lambda_context(clear_state=True)
@metrics("recorder").log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Record each message of the queue; what fails comes again, and in the end lies in the queue's DLQ."""
    queue_url = settings().ingest_queue_url
    answer = process_partial_response(event=event, record_handler=take, processor=_processor, context=context)
    failed = [str(failure["itemIdentifier"]) for failure in answer["batchItemFailures"]]
    postpone(event["Records"], failed, queue_url)
    return answer
