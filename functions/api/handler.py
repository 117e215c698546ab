"""The Lambda entry point: API Gateway's REST proxy events in and out of the application."""

import time
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Tracer
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from mangum import Mangum

from functions.api.app import create_app
from functions.api.errors import PROBLEM_JSON
from functions.api.settings import api_settings
from recado.aws.logging import logger, metrics

_Handle = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]

_logger = logger("api")
_metrics = metrics("api")
_WAITING = frozenset({"wait", "wait_for"})
_adapter = Mangum(
    create_app(),
    lifespan="off",
    # Everything else is sent as base64, which API Gateway undoes only for the types it is told of.
    text_mime_types=["text/", "application/json", "application/javascript", PROBLEM_JSON],
)


def _traced(handle: _Handle) -> _Handle:
    if not api_settings().tracing:
        return handle
    traced: _Handle = Tracer(service="api").capture_lambda_handler(handle, capture_response=False, capture_error=False)
    return traced


@_logger.inject_lambda_context(
    correlation_id_path=correlation_paths.API_GATEWAY_REST, log_event=False, clear_state=True
)
@_metrics.log_metrics(capture_cold_start_metric=True)
@_traced
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request.

    Neither the event nor the response is logged or traced: both hold patients' data.

    Args:
        event: API Gateway's REST proxy event (payload format 1.0).
        context: Lambda's context.

    Returns:
        The proxy response: statusCode, headers, multiValueHeaders, body, isBase64Encoded.
    """
    started = time.perf_counter()
    answer: dict[str, Any] = _adapter(event, context)
    waits = bool(_WAITING & (event.get("queryStringParameters") or {}).keys())
    _measure(answer["statusCode"], time.perf_counter() - started, waits=waits)
    return answer


def _measure(status: int, seconds: float, *, waits: bool) -> None:
    """Count the request by the hundreds of its status; which clinic it was for stands in the log.

    One that was asked to wait for something is no measure of how fast the API is.
    """
    _metrics.add_metric(f"Requests{status // 100}xx", MetricUnit.Count, 1)
    milliseconds = round(seconds * 1000, 1)
    _metrics.add_metric("WaitMilliseconds" if waits else "RequestMilliseconds", MetricUnit.Milliseconds, milliseconds)
