"""The deliveries queue. The message group is the clinic, so that SQS hands out fairly between clinics.

On a standard queue a message group orders nothing; it names the tenant for fair queues
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html).
"""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from recado.aws.clients import sqs
from recado.aws.failures import is_passing
from recado.aws.settings import DeliverySettings
from recado.kernel.errors import ServiceUnavailableError
from recado.webhooks.commands import AttemptRequest

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

LONGEST_DELAY = timedelta(minutes=15)
_BATCH = 10


def send(request: AttemptRequest, delay: timedelta = timedelta(0)) -> None:
    """Queue one attempt.

    Args:
        request: the attempt.
        delay: how long SQS holds it back, at most 15 minutes; rounded up to whole seconds.

    Raises:
        ServiceUnavailableError: the queue does not answer.
    """
    send_all([(request, delay)])


def send_all(requests: Sequence[tuple[AttemptRequest, timedelta]]) -> None:
    """Queue several attempts, each with its delay.

    Raises:
        ServiceUnavailableError: the queue does not answer, or did not take all; those it took stay queued.
    """
    url = DeliverySettings().deliveries_queue_url
    for start in range(0, len(requests), _BATCH):
        part = requests[start : start + _BATCH]
        entries = [_entry(str(place), request, delay) for place, (request, delay) in enumerate(part)]
        try:
            answer = sqs().send_message_batch(QueueUrl=url, Entries=entries)
        except (ClientError, BotoCoreError) as error:
            if is_passing(error):
                raise ServiceUnavailableError("The deliveries queue does not answer.") from error
            raise
        if answer.get("Failed"):
            raise ServiceUnavailableError("The deliveries queue did not take everything.")


def _entry(identifier: str, request: AttemptRequest, delay: timedelta) -> "SendMessageBatchRequestEntryTypeDef":
    seconds = math.ceil(min(max(delay, timedelta(0)), LONGEST_DELAY).total_seconds())
    return {
        "Id": identifier,
        "MessageBody": request.to_json(),
        "DelaySeconds": seconds,
        "MessageGroupId": request.clinic_id,
    }
