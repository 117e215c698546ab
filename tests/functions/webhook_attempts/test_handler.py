"""The attempts function: orders from the queue, failures that come again, poison that stays alone."""

from collections.abc import Callable

import pytest

from functions.webhook_attempts.handler import handler
from recado.aws import data_keys
from recado.aws.settings import DeliverySettings
from recado.kernel.errors import ServiceUnavailableError
from recado.kernel.ids import Prefix, new_id
from recado.webhooks import service
from recado.webhooks.commands import AttemptRequest
from recado.webhooks.model import DeliveryStatus
from tests.functions.webhook_attempts.receivers import receiving, saying
from tests.support.aws import EmulatedAws
from tests.support.lambdas import lambda_context, sqs_event

CLINIC = new_id(Prefix.CLINIC)


def test_a_failing_receiver_gets_its_next_attempt_queued(aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECADO_WEBHOOK_ALLOWED_NETWORKS", '["127.0.0.0/8"]')
    monkeypatch.setenv("RECADO_WEBHOOK_RETRY_GAPS", "[0, 0]")
    queue = DeliverySettings().deliveries_queue_url
    with receiving(saying(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")) as receiver:
        endpoint, _ = service.create_endpoint(
            CLINIC, url=f"http://127.0.0.1:{receiver.port}/", event_types=["message.*"]
        )
        delivery = service.ping(CLINIC, endpoint.webhook_endpoint_id)
        assert handler(sqs_event(aws.bodies(queue)), lambda_context()) == {"batchItemFailures": []}
        (second,) = aws.bodies(queue)
        assert AttemptRequest.from_json(second).attempt == 2
        assert handler(sqs_event([second]), lambda_context()) == {"batchItemFailures": []}
        assert aws.bodies(queue) == []
    stored = service.get_delivery(CLINIC, endpoint.webhook_endpoint_id, delivery.delivery_id)
    assert stored.status is DeliveryStatus.FAILED
    assert [attempt.status_code for attempt in stored.attempts] == [500, 500]


@pytest.mark.parametrize("raised", [ServiceUnavailableError, lambda: service.AttemptInProgressError("dlv_1")])
def test_an_attempt_that_could_not_be_made_comes_again_and_the_rest_of_its_batch_does_not(
    aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch, raised: Callable[[], Exception]
) -> None:
    def attempt(request: AttemptRequest) -> service.AttemptResult:
        if request.delivery_id == "dlv_bad":
            raise raised()
        return service.AttemptResult.DELIVERED

    monkeypatch.setattr(service, "attempt", attempt)
    orders = [AttemptRequest(CLINIC, "whk_1", name, 1).to_json() for name in ("dlv_good", "dlv_bad", "dlv_good")]
    answer = handler(sqs_event([*orders, "poison"]), lambda_context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}, {"itemIdentifier": "3"}]}


def test_an_endpoint_that_says_it_is_gone_is_disabled(aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECADO_WEBHOOK_ALLOWED_NETWORKS", '["127.0.0.0/8"]')
    with receiving(saying(b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n")) as receiver:
        endpoint, _ = service.create_endpoint(
            CLINIC, url=f"http://127.0.0.1:{receiver.port}/", event_types=["message.*"]
        )
        service.ping(CLINIC, endpoint.webhook_endpoint_id)
        handler(sqs_event(aws.bodies(DeliverySettings().deliveries_queue_url)), lambda_context())
    assert not service.get_endpoint(CLINIC, endpoint.webhook_endpoint_id).enabled


def test_an_attempt_that_is_due_in_hours_waits_in_a_bucket(aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECADO_WEBHOOK_ALLOWED_NETWORKS", '["127.0.0.0/8"]')
    monkeypatch.setenv("RECADO_WEBHOOK_RETRY_GAPS", "[0, 7200]")
    queue = DeliverySettings().deliveries_queue_url
    with receiving(saying(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")) as receiver:
        endpoint, _ = service.create_endpoint(
            CLINIC, url=f"http://127.0.0.1:{receiver.port}/", event_types=["message.*"]
        )
        service.ping(CLINIC, endpoint.webhook_endpoint_id)
        handler(sqs_event(aws.bodies(queue)), lambda_context())
    assert aws.bodies(queue) == []
    assert [item for item in aws.items("runtime") if str(item["pk"]).startswith("due#")]


def test_a_process_that_has_just_started_opens_the_secret(aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECADO_WEBHOOK_ALLOWED_NETWORKS", '["127.0.0.0/8"]')
    with receiving(saying(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")) as receiver:
        endpoint, _ = service.create_endpoint(
            CLINIC, url=f"http://127.0.0.1:{receiver.port}/", event_types=["message.*"]
        )
        delivery = service.ping(CLINIC, endpoint.webhook_endpoint_id)
        data_keys.forget()
        handler(sqs_event(aws.bodies(DeliverySettings().deliveries_queue_url)), lambda_context())
    stored = service.get_delivery(CLINIC, endpoint.webhook_endpoint_id, delivery.delivery_id)
    assert stored.status is DeliveryStatus.DELIVERED
