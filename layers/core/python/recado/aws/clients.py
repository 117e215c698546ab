"""One client per AWS service and process, made on first use, with bounded waiting.

Those for a clinic's own data (S3, KMS) sign as the fence demands that the call is made in: ``recado.aws.fencing``.
A client left at botocore's defaults waits 60 seconds per try: longer than any of our callers can. They are botocore's
own, without boto3 around them, which adds only helpers that nobody here uses and 80 ms to every cold start.
"""

import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import botocore.session
from botocore.config import Config

from recado.aws.fencing import fenced_session
from recado.aws.settings import region

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

CONNECT_SECONDS = 3
READ_SECONDS = 10
ATTEMPTS = 4
_CONNECTIONS = 50
_LONG_POLL_READ_SECONDS = 30

# A session does not bear two threads that make clients at once.
_making = threading.Lock()


@lru_cache(maxsize=1)
def sqs() -> "SQSClient":
    """Return the SQS client for sending and deleting, and for receiving with a wait below 10 seconds."""
    with _making:
        made = _own().create_client("sqs", region_name=region(), config=_config(READ_SECONDS))
    return cast("SQSClient", made)


@lru_cache(maxsize=1)
def long_polling_sqs() -> "SQSClient":
    """Return the SQS client for receiving with SQS's full 20 seconds of wait, which outlast the usual time-out."""
    with _making:
        made = _own().create_client("sqs", region_name=region(), config=_config(_LONG_POLL_READ_SECONDS))
    return cast("SQSClient", made)


@lru_cache(maxsize=1)
def s3() -> "S3Client":
    """Return the S3 client."""
    with _making:
        made = _fenced().create_client("s3", region_name=region(), config=_config(READ_SECONDS))
    return cast("S3Client", made)


@lru_cache(maxsize=1)
def events() -> "EventBridgeClient":
    """Return the EventBridge client."""
    with _making:
        made = _own().create_client("events", region_name=region(), config=_config(READ_SECONDS))
    return cast("EventBridgeClient", made)


@lru_cache(maxsize=1)
def kms() -> "KMSClient":
    """Return the KMS client."""
    with _making:
        made = _fenced().create_client("kms", region_name=region(), config=_config(READ_SECONDS))
    return cast("KMSClient", made)


@lru_cache(maxsize=1)
def ecs() -> Any:
    """Return the ECS client, for a question whose answer is worth little when it is late."""
    with _making:
        return _own().create_client("ecs", region_name=region(), config=_config(CONNECT_SECONDS, attempts=1))


@lru_cache(maxsize=1)
def _own() -> botocore.session.Session:
    return botocore.session.get_session()


@lru_cache(maxsize=1)
def _fenced() -> botocore.session.Session:
    return fenced_session() or _own()


def forget() -> None:
    """Make all clients anew on their next use, for another environment."""
    for made in (sqs, long_polling_sqs, s3, events, kms, ecs, _own, _fenced):
        made.cache_clear()


def _config(read_seconds: int, attempts: int = ATTEMPTS) -> Config:
    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds,
        max_pool_connections=_CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )
