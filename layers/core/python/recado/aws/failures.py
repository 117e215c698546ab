"""Which failures of an AWS call mean "try again later" and which mean that we made a mistake."""

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004 - botocore's own name

_PASSING_CODES = frozenset(
    {
        "InternalServerError",
        "InternalFailure",
        "InternalError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "ThrottlingError",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
        "KMSInternalException",
        "DependencyTimeoutException",
    }
)
_SERVER_ERROR = 500


def is_passing(error: BaseException | None) -> bool:
    """Say whether an error of botocore is a throttle, an outage or a lost connection, which trying later may cure."""
    if isinstance(error, ClientError):
        return code_of(error) in _PASSING_CODES or _status_of(error) >= _SERVER_ERROR
    return isinstance(error, HTTPClientError | ConnectionError)


def code_of(error: BaseException | None) -> str:
    """Return AWS's code of an error, or an empty text when it has none."""
    return error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""


def _status_of(error: ClientError) -> int:
    # PynamoDB raises a copy of botocore's error without its HTTP status and keeps the original as the cause.
    original = error.__cause__ if isinstance(error.__cause__, ClientError) else error
    return original.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
