"""When a queue message that could not be recorded comes again: soon at first, then more and more rarely.

A message that is neither deleted nor postponed comes again after the queue's visibility time-out, which Lambda wants to
be six times a function's time-out: six minutes, for a table that throttled for a second
(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html). Each failure is counted by SQS, so the waits
grow: what is broken for hours must not use up the attempts of a message in minutes.
"""

import random
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from recado.aws import clients
from recado.aws.logging import logger

FIRST_SECONDS = 5
LONGEST_SECONDS = 600
_JITTER = 0.2

_log = logger("recorder")


def wait_after(attempts: int, chance: float) -> int:
    """Return in how many seconds a message is to come again.

    Args:
        attempts: how often it has been handed out, the failed time included.
        chance: in [0, 1], spreads what failed together.
    """
    doubled = min(FIRST_SECONDS << min(max(attempts, 1) - 1, 10), LONGEST_SECONDS)
    return round(doubled * (1 - _JITTER + 2 * _JITTER * chance))


def postpone(records: Iterable[Mapping[str, Any]], failed: Iterable[str], queue_url: str) -> None:
    """Have failed messages come again after their own wait.

    If SQS does not take that, they come again when the queue's own time-out is over, and nothing is lost.

    Args:
        records: what the function was given, as in Lambda's event.
        failed: the ids of those messages that could not be recorded.
        queue_url: the queue they came from.
    """
    names = set(failed)
    entries = [
        {
            "Id": str(place),
            "ReceiptHandle": record["receiptHandle"],
            "VisibilityTimeout": wait_after(
                int(record["attributes"]["ApproximateReceiveCount"]),
                random.random(),  # noqa: S311 - spreads load
            ),
        }
        for place, record in enumerate(records)
        if record["messageId"] in names
    ]
    if not entries:
        return
    try:
        answer = clients.sqs().change_message_visibility_batch(QueueUrl=queue_url, Entries=entries)  # type: ignore[arg-type]
    except (ClientError, BotoCoreError) as error:
        _log.warning("Failed messages could not be postponed.", extra={"error": type(error).__name__})
    else:
        for refused in answer.get("Failed", []):
            _log.warning("A failed message could not be postponed.", extra={"error": refused["Code"]})
