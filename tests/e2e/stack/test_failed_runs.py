"""Runs that the clock starts and that fail: they are tried again and then kept."""

import json
import time
from typing import Any

import pytest

from tests.support.running_stack import RunningStack

pytestmark = pytest.mark.e2e

_PATIENCE_SECONDS = 60


def test_a_run_that_fails_three_times_is_kept_with_its_reason(stack: RunningStack) -> None:
    """A backup for a moment that does not exist ends in the backup's dead letters, with what it was asked for."""
    asked = {"time": "no moment at all"}
    stack.aws("lambda").invoke(
        FunctionName="recado-local-backup", InvocationType="Event", Payload=json.dumps(asked).encode()
    )
    sqs = stack.aws("sqs")
    queue = sqs.get_queue_url(QueueName="recado-local-backup-dead-letters")["QueueUrl"]
    deadline = time.monotonic() + _PATIENCE_SECONDS
    found: list[dict[str, Any]] = []
    while not found and time.monotonic() < deadline:
        taken = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5).get("Messages", [])
        found = [json.loads(message["Body"]) for message in taken]
        for message in taken:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert [one["requestPayload"] for one in found] == [asked]
    assert found[0]["requestContext"]["condition"] == "RetriesExhausted"
    assert found[0]["requestContext"]["approximateInvokeCount"] == 3
