"""From an event to deliveries in the queue, once each, and to nobody else."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from recado.aws.clients import sqs
from recado.aws.settings import DeliverySettings
from recado.kernel.errors import DeliveryNotFoundError, InvalidCursorError, ServiceUnavailableError
from recado.kernel.ids import Prefix, new_id
from recado.webhooks import queue, service
from recado.webhooks.commands import AttemptRequest
from recado.webhooks.model import DeliveryStatus, Endpoint, EndpointStatus
from recado.webhooks.table import endpoints
from tests.support.aws import EmulatedAws
from tests.support.clock import FixedClock
from tests.unit.webhooks.scene import CHANNEL, CLINIC, OTHER_CLINIC, ScriptedPoster, answered, happened

MakeEndpoint = Callable[..., Endpoint]


def queued(aws: EmulatedAws) -> list[AttemptRequest]:
    return [AttemptRequest.from_json(body) for body in aws.bodies(DeliverySettings().deliveries_queue_url)]


def test_each_enabled_endpoint_that_wants_the_event_gets_one_delivery(
    aws: EmulatedAws, make_endpoint: MakeEndpoint, clock: FixedClock
) -> None:
    wanting = {make_endpoint().webhook_endpoint_id, make_endpoint(event_types=["message.received"]).webhook_endpoint_id}
    make_endpoint(event_types=["channel.*"])
    off = make_endpoint()
    service.update_endpoint(CLINIC, off.webhook_endpoint_id, status=EndpointStatus.DISABLED)
    make_endpoint(OTHER_CLINIC)

    deliveries = service.dispatch(happened(clock), clock=clock)

    assert {delivery.webhook_endpoint_id for delivery in deliveries} == wanting
    orders = queued(aws)
    assert {(order.webhook_endpoint_id, order.attempt, order.clinic_id) for order in orders} == {
        (identifier, 1, CLINIC) for identifier in wanting
    }
    for delivery in deliveries:
        stored = service.get_delivery(CLINIC, delivery.webhook_endpoint_id, delivery.delivery_id, clock=clock)
        assert stored == delivery
        assert stored.status is DeliveryStatus.PENDING


def test_an_event_that_comes_twice_is_delivered_once(
    aws: EmulatedAws, make_endpoint: MakeEndpoint, clock: FixedClock
) -> None:
    endpoint = make_endpoint()
    event = happened(clock)
    first = service.dispatch(event, clock=clock)
    second = service.dispatch(event, clock=clock)
    assert [one.delivery_id for one in first] == [one.delivery_id for one in second]
    poster = ScriptedPoster(answered(200))
    for order in queued(aws):
        service.attempt(order, clock=clock, poster=poster)
    assert len(poster.posts) == 1
    assert service.dispatch(event, clock=clock)[0].status is DeliveryStatus.DELIVERED
    assert queued(aws) == []
    assert len(service.list_deliveries(CLINIC, endpoint.webhook_endpoint_id, limit=10, clock=clock).items) == 1


def test_a_delivery_that_was_stored_but_not_queued_is_queued_when_the_event_comes_again(
    aws: EmulatedAws, make_endpoint: MakeEndpoint, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_endpoint()
    event = happened(clock)

    def broken(*_arguments: object) -> None:
        raise ServiceUnavailableError

    with monkeypatch.context() as patch:
        patch.setattr(queue, "send", broken)
        with pytest.raises(ServiceUnavailableError):
            service.dispatch(event, clock=clock)
    assert queued(aws) == []
    service.dispatch(event, clock=clock)
    assert len(queued(aws)) == 1


def test_the_orders_message_group_is_the_clinic(
    aws: EmulatedAws, make_endpoint: MakeEndpoint, clock: FixedClock
) -> None:
    make_endpoint()
    service.dispatch(happened(clock), clock=clock)
    received = sqs().receive_message(
        QueueUrl=DeliverySettings().deliveries_queue_url, MessageSystemAttributeNames=["MessageGroupId"]
    )
    assert received["Messages"][0]["Attributes"]["MessageGroupId"] == CLINIC


def test_no_text_and_no_number_is_stored_with_a_delivery(
    aws: EmulatedAws, make_endpoint: MakeEndpoint, clock: FixedClock
) -> None:
    make_endpoint()
    service.dispatch(happened(clock, message_id="msg_1", status="received"), clock=clock)
    (item,) = [item for item in aws.items("messages") if item["sk"].startswith("delivery#")]
    assert json.loads(item["event"])["data"] == {"message_id": "msg_1", "status": "received"}


def test_a_delivery_is_forgotten_after_thirty_days_even_if_the_store_still_has_it(
    aws: EmulatedAws, make_endpoint: MakeEndpoint, clock: FixedClock
) -> None:
    endpoint = make_endpoint()
    (delivery,) = service.dispatch(happened(clock), clock=clock)
    clock.advance(days=30, seconds=1)
    assert service.list_deliveries(CLINIC, endpoint.webhook_endpoint_id, limit=10, clock=clock).items == []
    with pytest.raises(DeliveryNotFoundError):
        service.get_delivery(CLINIC, endpoint.webhook_endpoint_id, delivery.delivery_id, clock=clock)


def test_a_ping_goes_to_one_endpoint_whatever_it_listens_to(
    aws: EmulatedAws, make_endpoint: MakeEndpoint, clock: FixedClock
) -> None:
    endpoint = make_endpoint(event_types=["message.received"])
    make_endpoint()
    delivery = service.ping(CLINIC, endpoint.webhook_endpoint_id, clock=clock)
    (order,) = queued(aws)
    poster = ScriptedPoster(answered(204))
    assert service.attempt(order, clock=clock, poster=poster) is service.AttemptResult.DELIVERED
    body = json.loads(poster.posts[0][2])
    assert (body["type"], body["clinic_id"], body["channel_id"]) == ("webhook.ping", CLINIC, None)
    assert body["data"] == {"webhook_endpoint_id": endpoint.webhook_endpoint_id}
    assert delivery.event.type == "webhook.ping"


def test_a_disabled_endpoint_can_be_pinged_so_that_it_can_be_tried_before_it_is_enabled(
    aws: EmulatedAws, make_endpoint: MakeEndpoint, clock: FixedClock
) -> None:
    endpoint = make_endpoint()
    service.update_endpoint(CLINIC, endpoint.webhook_endpoint_id, status=EndpointStatus.DISABLED)
    service.ping(CLINIC, endpoint.webhook_endpoint_id, clock=clock)
    (order,) = queued(aws)
    assert service.attempt(order, clock=clock, poster=ScriptedPoster(answered(200))) is service.AttemptResult.DELIVERED


def test_the_log_lists_the_newest_first_by_page_and_by_status(
    aws: EmulatedAws, make_endpoint: MakeEndpoint, clock: FixedClock
) -> None:
    endpoint = make_endpoint()
    other = make_endpoint()
    made = []
    for _ in range(7):
        clock.advance(1)
        made += [
            delivery.delivery_id
            for delivery in service.dispatch(happened(clock), clock=clock)
            if delivery.webhook_endpoint_id == endpoint.webhook_endpoint_id
        ]
    for order in queued(aws):
        if order.delivery_id in {made[1], made[4]}:
            service.attempt(order, clock=clock, poster=ScriptedPoster(answered(200)))

    def walk(status: DeliveryStatus | None) -> list[str]:
        seen: list[str] = []
        key = None
        while True:
            page = service.list_deliveries(
                CLINIC, endpoint.webhook_endpoint_id, limit=2, key=key, status=status, clock=clock
            )
            assert len(page.items) <= 2
            seen += [delivery.delivery_id for delivery in page.items]
            key = page.last_key
            if key is None:
                return seen

    assert walk(None) == made[::-1]
    assert walk(DeliveryStatus.DELIVERED) == [made[4], made[1]]
    assert walk(DeliveryStatus.FAILED) == []
    key = service.list_deliveries(CLINIC, endpoint.webhook_endpoint_id, limit=2, clock=clock).last_key
    with pytest.raises(InvalidCursorError):
        service.list_deliveries(CLINIC, other.webhook_endpoint_id, limit=2, key=key, clock=clock)


def test_a_channel_filter_holds_for_dispatch(aws: EmulatedAws, make_endpoint: MakeEndpoint, clock: FixedClock) -> None:
    template = make_endpoint(event_types=["channel.*"])
    limited = {
        channel_id: replace(
            template,
            webhook_endpoint_id=new_id(Prefix.ENDPOINT),
            event_types=frozenset({"message.*"}),
            channels=frozenset({channel_id}),
        )
        for channel_id in (CHANNEL, new_id(Prefix.CHANNEL))
    }
    for endpoint in limited.values():
        endpoints.insert(endpoint)
    (delivery,) = service.dispatch(happened(clock), clock=clock)
    assert delivery.webhook_endpoint_id == limited[CHANNEL].webhook_endpoint_id
