"""One event of the queue, counted."""

import json

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from recado.analytics import service
from recado.aws.logging import logger, metrics
from recado.kernel.envelopes import Event

_log = logger("analytics")
_metrics = metrics("analytics")


def take(record: SQSRecord) -> None:
    """Count the message that an event is about; an event that came before is not counted again.

    Raises:
        ValueError, KeyError: the body is no event of ours; it ends in the DLQ.
        UncountableEventError: the event breaks its contract; it ends in the DLQ.
        ServiceUnavailableError: the store does not answer; it comes again.
    """
    try:
        counted = service.count(Event.from_mapping(json.loads(record.body)["detail"]))
    except Exception as error:
        # Powertools turns what is raised here into a batch item failure and says nothing of it.
        _metrics.add_metric(name="EventsNotCounted", unit=MetricUnit.Count, value=1)
        _log.error(
            "An event could not be counted.",
            extra={"queue_message_id": record.message_id, "error": type(error).__name__},
        )
        raise
    _metrics.add_metric(name="EventsCounted", unit=MetricUnit.Count, value=int(counted))
