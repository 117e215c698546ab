"""What Lambda hands to a handler beside the event."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass
class _Context:
    function_name: str
    remaining_ms: int
    memory_limit_in_mb: int = 256
    aws_request_id: str = "00000000-0000-4000-8000-000000000000"

    @property
    def invoked_function_arn(self) -> str:
        return f"arn:aws:lambda:sa-east-1:123456789012:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


def lambda_context(function_name: str = "function", remaining_ms: int = 60_000) -> LambdaContext:
    """Return a context with that much time left, for ever."""
    return cast("LambdaContext", _Context(function_name, remaining_ms))


def sqs_event(bodies: Sequence[str]) -> dict[str, Any]:
    """Return the batch event of an SQS queue; the records' ids are their positions."""
    return {
        "Records": [
            {
                "messageId": str(position),
                "receiptHandle": f"handle-{position}",
                "body": body,
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:sa-east-1:123456789012:queue",
                "awsRegion": "sa-east-1",
            }
            for position, body in enumerate(bodies)
        ]
    }


def bus_body(envelope: Any) -> str:
    """Return the body with which EventBridge hands an event of ours to a queue."""
    detail = json.loads(envelope.to_json())
    return json.dumps({"source": "recado", "detail-type": detail["type"], "detail": detail})
