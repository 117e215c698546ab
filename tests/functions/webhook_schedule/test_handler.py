"""The schedule function: what is due goes to the queue while there is time."""

from datetime import UTC, datetime, timedelta

from functions.webhook_schedule.handler import handler
from recado.aws.settings import DeliverySettings
from recado.webhooks import service
from recado.webhooks.commands import AttemptRequest
from recado.webhooks.table import due
from tests.support.aws import EmulatedAws
from tests.support.lambdas import lambda_context

ORDER = AttemptRequest("cli_1", "whk_1", "dlv_1", 5)


def test_an_attempt_that_has_fallen_due_is_queued_once(aws: EmulatedAws) -> None:
    fallen_due = datetime.now(UTC) - timedelta(minutes=3)
    service.schedule(ORDER, fallen_due, fallen_due - timedelta(minutes=30))
    assert handler({}, lambda_context()) == {"moved": 1}
    assert aws.bodies(DeliverySettings().deliveries_queue_url) == [ORDER.to_json()]
    assert handler({}, lambda_context()) == {"moved": 0}
    assert due.drained() is not None


def test_with_too_little_time_left_nothing_is_begun(aws: EmulatedAws) -> None:
    fallen_due = datetime.now(UTC) - timedelta(minutes=3)
    service.schedule(ORDER, fallen_due, fallen_due - timedelta(minutes=30))
    assert handler({}, lambda_context(remaining_ms=5_000)) == {"moved": 0}
    assert handler({}, lambda_context()) == {"moved": 1}
