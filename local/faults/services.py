"""Which service and operation a request to AWS's one local address is for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

SERVICES = ("dynamodb", "sqs", "s3", "events", "kms")
OTHER = "other"

# The JSON protocols name service and operation in a header.
_TARGETS = {"DynamoDB_20120810": "dynamodb", "AmazonSQS": "sqs", "AWSEvents": "events", "TrentService": "kms"}
# Every signed request names its service in the scope of its credentials (AWS Signature Version 4).
_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/([a-z0-9-]+)/aws4_request")


@dataclass(frozen=True, slots=True)
class Call:
    """A request's service, ``other`` when it is none that faults can be set for, and its operation."""

    service: str
    operation: str


def call_of(method: str, headers: Mapping[str, str]) -> Call:
    """Return what a request is for.

    Args:
        method: its HTTP method, which stands for the operation where no header names one (S3).
        headers: its headers, found whatever their case.
    """
    prefix, _, operation = headers.get("X-Amz-Target", "").rpartition(".")
    if prefix in _TARGETS:
        return Call(_TARGETS[prefix], operation)
    scope = _SCOPE.search(headers.get("Authorization", ""))
    if scope and scope.group(1) in SERVICES:
        return Call(scope.group(1), operation or method)
    return Call(OTHER, operation or method)
