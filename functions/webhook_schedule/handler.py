"""Lambda: each minute, due attempts from their buckets to the deliveries queue."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.webhook_schedule.settings import settings
from recado.aws.logging import logger, metrics
from recado.kernel.clock import SystemClock
from recado.webhooks import service

_log = logger("webhook_schedule")
_metrics = metrics("webhook_schedule")
_LEAST_TIME_MS = 10_000


@_log.inject_lambda_context(clear_state=True)
@_metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:  # noqa: ARG001 - the schedule says nothing
    """Move what is due; with too little time left, the next run goes on."""
    settings()
    moved = service.move_due(
        SystemClock().now(), has_time=lambda: context.get_remaining_time_in_millis() > _LEAST_TIME_MS
    )
    _metrics.add_metric(name="WebhookAttemptsDue", unit="Count", value=moved)
    _log.info("due attempts moved", extra={"moved": moved})
    return {"moved": moved}
