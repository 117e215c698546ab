"""The answers with which AWS's services refuse: each service's own errors, in its own format."""

import json
from dataclasses import dataclass
from typing import Any

_JSON = "application/x-amz-json-1.0"
_XML = "application/xml"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that was never asked of the service."""

    status: int
    body: str
    content_type: str


def throttled(service: str) -> Refusal:
    """Return the service's throttling error."""
    codes = {
        "dynamodb": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        "sqs": "com.amazonaws.sqs#RequestThrottled",
    }
    if service == "s3":
        return _xml("SlowDown", "Please reduce your request rate.")
    return Refusal(400, _error(codes.get(service, "ThrottlingException"), "Rate exceeded"), _JSON)


def unavailable(service: str) -> Refusal:
    """Return the service's answer of 503."""
    if service == "s3":
        return _xml("ServiceUnavailable", "Please try again.")
    return Refusal(503, _error("ServiceUnavailable", "The service is unavailable."), _JSON)


def failed_event() -> dict[str, Any]:
    """Return what PutEvents answers in place of an event's id."""
    return {"ErrorCode": "InternalFailure", "ErrorMessage": "The event could not be put."}


def failed_message(entry_id: str) -> dict[str, Any]:
    """Return what SQS's batch calls answer for an entry that was not taken."""
    return {"Id": entry_id, "SenderFault": False, "Code": "InternalError", "Message": "The entry was not taken."}


def _error(code: str, message: str) -> str:
    return json.dumps({"__type": code, "message": message})


def _xml(code: str, message: str) -> Refusal:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Refusal(503, body, _XML)
