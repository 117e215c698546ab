"""Attempts: claimed once, logged each, repeated by the schedule, ended for good."""

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest
from standardwebhooks import Webhook

from recado.aws.settings import DeliverySettings
from recado.kernel.errors import ServiceUnavailableError
from recado.webhooks import queue, service
from recado.webhooks.commands import AttemptRequest
from recado.webhooks.model import Delivery, DeliveryStatus, DisabledReason, Endpoint, EndpointStatus
from recado.webhooks.service import AttemptInProgressError, AttemptResult, attempts
from recado.webhooks.table import places
from recado.webhooks.transport import Outcome
from tests.support.aws import EmulatedAws
from tests.support.clock import FixedClock
from tests.unit.webhooks.scene import CLINIC, ScriptedPoster, answered, failed, happened

MakeEndpoint = Callable[..., Endpoint]


@pytest.fixture
def endpoint(make_endpoint: MakeEndpoint) -> Endpoint:
    return make_endpoint()


@pytest.fixture
def order(aws: EmulatedAws, endpoint: Endpoint, clock: FixedClock) -> AttemptRequest:
    """The first attempt of a delivery that has just been dispatched."""
    service.dispatch(happened(clock, "channel.connected", state="created"), clock=clock)
    (only,) = queued(aws)
    return only


@pytest.fixture(autouse=True)
def _without_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: (low + high) / 2)


def queued(aws: EmulatedAws) -> list[AttemptRequest]:
    return [AttemptRequest.from_json(body) for body in aws.bodies(DeliverySettings().deliveries_queue_url)]


def stored(order: AttemptRequest, clock: FixedClock) -> Delivery:
    return service.get_delivery(CLINIC, order.webhook_endpoint_id, order.delivery_id, clock=clock)


def following(order: AttemptRequest) -> AttemptRequest:
    return AttemptRequest(order.clinic_id, order.webhook_endpoint_id, order.delivery_id, order.attempt + 1)


class Scheduled:
    """Takes the place of the schedule and keeps what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[AttemptRequest, timedelta]] = []
        monkeypatch.setattr(attempts, "schedule", lambda request, at, now: self.asked.append((request, at - now)))


def test_a_delivered_attempt_ends_the_delivery_and_is_in_its_log(order: AttemptRequest, clock: FixedClock) -> None:
    poster = ScriptedPoster(answered(200))
    assert service.attempt(order, clock=clock, poster=poster) is AttemptResult.DELIVERED
    delivery = stored(order, clock)
    assert (delivery.status, delivery.ended_at, delivery.next_attempt_at) == (
        DeliveryStatus.DELIVERED,
        clock.now(),
        None,
    )
    (attempt,) = delivery.attempts
    assert (attempt.number, attempt.at, attempt.status_code, attempt.error, attempt.duration_ms) == (
        1,
        clock.now(),
        200,
        None,
        12,
    )


def test_what_is_posted_verifies_with_the_endpoints_secret_under_the_events_id(
    aws: EmulatedAws, make_endpoint: MakeEndpoint
) -> None:
    clock = FixedClock(now=None)
    endpoint = make_endpoint()
    _, new = service.rotate_secret(CLINIC, endpoint.webhook_endpoint_id, clock=clock)
    event = happened(clock, "channel.banned", state="banned", reason="spam", previous="connected")
    service.dispatch(event, clock=clock)
    (only,) = queued(aws)
    poster = ScriptedPoster(answered(200))
    service.attempt(only, clock=clock, poster=poster)
    ((url, headers, body),) = poster.posts
    assert url == endpoint.url
    assert headers["webhook-id"] == event.id
    assert headers["webhook-timestamp"] == str(int(clock.now().timestamp()))
    first, second = headers["webhook-signature"].split(" ")
    assert first == Webhook(new).sign(event.id, clock.now(), body.decode())
    assert second != first


def test_a_failure_is_tried_again_by_the_schedule_until_no_gap_is_left(
    order: AttemptRequest, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduled = Scheduled(monkeypatch)
    poster = ScriptedPoster(failed("timeout"), answered(500), answered(301), failed("tls_failed"), answered(404))
    results = []
    request = order
    for _ in range(10):
        results.append(service.attempt(request, clock=clock, poster=poster))
        request = following(request)
    assert results == [AttemptResult.RETRIED] * 9 + [AttemptResult.FAILED]
    assert [wait.total_seconds() for _, wait in scheduled.asked] == [
        5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400,
    ]  # fmt: skip
    assert [asked.attempt for asked, _ in scheduled.asked] == list(range(2, 11))
    delivery = stored(order, clock)
    assert delivery.status is DeliveryStatus.FAILED
    assert [(one.number, one.status_code, one.error) for one in delivery.attempts[:4]] == [
        (1, None, "timeout"),
        (2, 500, None),
        (3, 301, None),
        (4, None, "tls_failed"),
    ]
    assert len(delivery.attempts) == 10
    assert service.attempt(request, clock=clock, poster=poster) is AttemptResult.OBSOLETE
    assert len(poster.posts) == 10


def test_the_gaps_are_a_setting(order: AttemptRequest, clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECADO_WEBHOOK_RETRY_GAPS", "[0, 2]")
    scheduled = Scheduled(monkeypatch)
    poster = ScriptedPoster(answered(500))
    assert service.attempt(order, clock=clock, poster=poster) is AttemptResult.RETRIED
    assert scheduled.asked == [(following(order), timedelta(seconds=2))]
    assert service.attempt(following(order), clock=clock, poster=poster) is AttemptResult.FAILED


def test_retry_after_lengthens_the_wait(
    order: AttemptRequest, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduled = Scheduled(monkeypatch)
    service.attempt(order, clock=clock, poster=ScriptedPoster(answered(429, retry_after=120)))
    assert scheduled.asked == [(following(order), timedelta(seconds=120))]
    assert stored(order, clock).next_attempt_at == clock.now() + timedelta(seconds=120)


def test_410_fails_the_delivery_and_disables_the_endpoint(order: AttemptRequest, clock: FixedClock) -> None:
    assert service.attempt(order, clock=clock, poster=ScriptedPoster(answered(410))) is AttemptResult.FAILED
    endpoint = service.get_endpoint(CLINIC, order.webhook_endpoint_id)
    assert (endpoint.status, endpoint.disabled_reason) == (EndpointStatus.DISABLED, DisabledReason.GONE)
    assert service.dispatch(happened(clock), clock=clock) == []


@pytest.mark.parametrize("how", ["disabled", "deleted"])
def test_an_endpoint_that_is_gone_or_off_cancels_what_is_under_way(
    order: AttemptRequest, clock: FixedClock, how: str, aws: EmulatedAws
) -> None:
    if how == "disabled":
        service.update_endpoint(CLINIC, order.webhook_endpoint_id, status=EndpointStatus.DISABLED)
    else:
        service.delete_endpoint(CLINIC, order.webhook_endpoint_id)
    poster = ScriptedPoster(answered(200))
    assert service.attempt(order, clock=clock, poster=poster) is AttemptResult.CANCELLED
    assert poster.posts == []
    (item,) = [item for item in aws.items("messages") if item["sk"].startswith("delivery#")]
    assert item["status"] == "cancelled"
    assert service.attempt(order, clock=clock, poster=poster) is AttemptResult.OBSOLETE


def test_two_consumers_cannot_make_the_same_attempt(order: AttemptRequest, clock: FixedClock) -> None:
    entered, go_on = threading.Event(), threading.Event()

    class Slow(ScriptedPoster):
        def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
            entered.set()
            assert go_on.wait(10)
            return super().post(url, headers, body)

    slow = Slow(answered(200))
    results: list[AttemptResult] = []
    first = threading.Thread(target=lambda: results.append(service.attempt(order, clock=clock, poster=slow)))
    first.start()
    assert entered.wait(10)
    other = ScriptedPoster(answered(200))
    with pytest.raises(AttemptInProgressError):
        service.attempt(order, clock=clock, poster=other)
    go_on.set()
    first.join()
    assert results == [AttemptResult.DELIVERED]
    assert (len(slow.posts), other.posts) == (1, [])
    assert service.attempt(order, clock=clock, poster=other) is AttemptResult.OBSOLETE
    assert other.posts == []


def test_the_claim_of_a_consumer_that_died_runs_out(order: AttemptRequest, clock: FixedClock) -> None:
    class Dying(ScriptedPoster):
        def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        service.attempt(order, clock=clock, poster=Dying(answered(200)))
    poster = ScriptedPoster(answered(200))
    with pytest.raises(AttemptInProgressError):
        service.attempt(order, clock=clock, poster=poster)
    clock.advance(31)
    assert service.attempt(order, clock=clock, poster=poster) is AttemptResult.DELIVERED


def test_a_consumer_whose_claim_ran_out_cannot_overwrite_what_its_successor_wrote(
    order: AttemptRequest, clock: FixedClock
) -> None:
    successor = ScriptedPoster(answered(200))

    class Overtaken(ScriptedPoster):
        def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
            clock.advance(31)
            assert service.attempt(order, clock=clock, poster=successor) is AttemptResult.DELIVERED
            return super().post(url, headers, body)

    late = Overtaken(answered(500))
    assert service.attempt(order, clock=clock, poster=late) is AttemptResult.OBSOLETE
    delivery = stored(order, clock)
    assert delivery.status is DeliveryStatus.DELIVERED
    assert len(delivery.attempts) == 1


def test_a_consumer_that_died_before_scheduling_the_next_attempt_is_made_good_by_its_order_coming_again(
    order: AttemptRequest, clock: FixedClock, monkeypatch: pytest.MonkeyPatch, aws: EmulatedAws
) -> None:
    def broken(*_arguments: object) -> None:
        raise ServiceUnavailableError

    with monkeypatch.context() as patch:
        patch.setattr(attempts, "schedule", broken)
        with pytest.raises(ServiceUnavailableError):
            service.attempt(order, clock=clock, poster=ScriptedPoster(answered(500)))
    scheduled = Scheduled(monkeypatch)
    poster = ScriptedPoster(answered(200))
    assert service.attempt(order, clock=clock, poster=poster) is AttemptResult.OBSOLETE
    assert poster.posts == []
    assert scheduled.asked == [(following(order), timedelta(seconds=5))]


def test_an_order_for_an_unknown_delivery_or_of_another_clinic_posts_nothing(
    order: AttemptRequest, clock: FixedClock
) -> None:
    poster = ScriptedPoster(answered(200))
    foreign = AttemptRequest("cli_other", order.webhook_endpoint_id, order.delivery_id, 1)
    unknown = AttemptRequest(CLINIC, order.webhook_endpoint_id, "dlv_unknown", 1)
    early = AttemptRequest(CLINIC, order.webhook_endpoint_id, order.delivery_id, 7)
    for request in (foreign, unknown, early):
        assert service.attempt(request, clock=clock, poster=poster) is AttemptResult.OBSOLETE
    assert poster.posts == []


def test_a_slow_endpoint_holds_few_consumers_at_once_and_the_rest_wait_in_the_queue(
    aws: EmulatedAws, order: AttemptRequest, make_endpoint: MakeEndpoint, clock: FixedClock
) -> None:
    until = clock.now() + timedelta(seconds=30)
    held = [
        places.take(CLINIC, order.webhook_endpoint_id, f"consumer-{number}", places=4, now=clock.now(), until=until)
        for number in range(5)
    ]
    assert sorted(place for place in held if place is not None) == [0, 1, 2, 3]
    assert held[4] is None
    poster = ScriptedPoster(answered(200))
    assert service.attempt(order, clock=clock, poster=poster) is AttemptResult.POSTPONED
    assert poster.posts == []
    assert stored(order, clock).attempts == ()

    another = make_endpoint()
    service.ping(CLINIC, another.webhook_endpoint_id, clock=clock)
    (ping,) = [one for one in queued(aws) if one.webhook_endpoint_id == another.webhook_endpoint_id]
    assert service.attempt(ping, clock=clock, poster=poster) is AttemptResult.DELIVERED

    places.leave(CLINIC, order.webhook_endpoint_id, 0, "consumer-unknown")
    assert service.attempt(order, clock=clock, poster=poster) is AttemptResult.POSTPONED
    clock.advance(31)
    assert service.attempt(order, clock=clock, poster=poster) is AttemptResult.DELIVERED


def test_a_place_is_waited_for_twice_as_long_each_time_up_to_a_minute(
    order: AttemptRequest, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[AttemptRequest, timedelta]] = []
    monkeypatch.setattr(queue, "send", lambda request, wait: sent.append((request, wait)))
    monkeypatch.setattr(places, "take", lambda *_arguments, **_settings: None)
    request = order
    for _ in range(9):
        service.attempt(request, clock=clock, poster=ScriptedPoster(answered(200)))
        request = AttemptRequest.from_json(sent[-1][0].to_json())
        assert request == order
    assert [wait.total_seconds() for _, wait in sent] == [0.75, 1.5, 3, 6, 12, 24, 45, 45, 45]
    assert request.postponed == 9


def test_an_attempt_leaves_its_place(order: AttemptRequest, clock: FixedClock, aws: EmulatedAws) -> None:
    service.attempt(order, clock=clock, poster=ScriptedPoster(answered(200)))
    assert [item for item in aws.items("runtime") if item["sk"].startswith("place#")] == []
