"""A clinic's configuration as it lies in the core table: the clinic, its channels, endpoints and API keys.

Items are taken raw, in DynamoDB's own JSON, so that a backup loses no attribute, not even one this version does not
know. They hold no secret in the clear: API keys are hashes, webhook secrets are sealed.
"""

import base64
from typing import Any

from pynamodb.exceptions import PynamoDBException

from recado.aws.connections import table_connection
from recado.aws.failures import is_passing
from recado.kernel.errors import ServiceUnavailableError


def configuration(clinic_id: str) -> list[dict[str, Any]]:
    """Return the clinic's items in the order of their sort keys, with binary values in base64.

    Raises:
        ServiceUnavailableError: DynamoDB does not answer.
    """
    items: list[dict[str, Any]] = []
    start: dict[str, Any] | None = None
    while True:
        try:
            answer = table_connection("core").query(
                f"clinic#{clinic_id}", consistent_read=True, exclusive_start_key=start
            )
        except PynamoDBException as error:
            if is_passing(error.cause):
                raise ServiceUnavailableError("The store does not answer.") from error
            raise
        items += [_plain(item) for item in answer["Items"]]
        start = answer.get("LastEvaluatedKey")
        if start is None:
            return items


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value
