"""A function that has just started: it has nothing in memory that another one made."""

import pytest

from functions.webhook_attempts.handler import handler
from recado.aws import data_keys
from recado.aws.settings import DeliverySettings
from recado.kernel.ids import Prefix, new_id
from recado.webhooks import service
from recado.webhooks.model import DeliveryStatus
from tests.functions.webhook_attempts.receivers import receiving, saying
from tests.support.aws import EmulatedAws
from tests.support.lambdas import lambda_context, sqs_event

CLINIC = new_id(Prefix.CLINIC)


def test_a_function_that_has_just_started_opens_what_the_api_sealed(
    aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
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
