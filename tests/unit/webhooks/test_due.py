"""Attempts due later than SQS can hold back."""

from datetime import datetime, timedelta

import pytest

from recado.aws.clients import sqs
from recado.aws.settings import DeliverySettings
from recado.kernel.errors import ServiceUnavailableError
from recado.webhooks import queue, service
from recado.webhooks.commands import AttemptRequest
from recado.webhooks.table import due
from tests.support.aws import EmulatedAws
from tests.support.clock import FixedClock
from tests.unit.webhooks.scene import CLINIC


class Queue:
    """Takes the place of the deliveries queue and keeps delays, which the emulated one makes us wait for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[tuple[AttemptRequest, timedelta]] = []
        monkeypatch.setattr(queue, "send_all", self.sent.extend)


@pytest.fixture(autouse=True)
def _drained_until_now(aws: EmulatedAws, clock: FixedClock) -> None:
    due.set_drained(clock.now())


def order(number: int = 1, attempt: int = 4) -> AttemptRequest:
    return AttemptRequest(CLINIC, "whk_1", f"dlv_{number}", attempt)


def rows(aws: EmulatedAws) -> list[str]:
    return [item["sk"] for item in aws.items("runtime") if "delivery_id" in item]


@pytest.mark.parametrize("seconds", [0, 5, 900])
def test_up_to_fifteen_minutes_the_queue_itself_holds_back(
    aws: EmulatedAws, clock: FixedClock, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    kept = Queue(monkeypatch)
    service.schedule(order(), clock.now() + timedelta(seconds=seconds), clock.now())
    assert kept.sent == [(order(), timedelta(seconds=seconds))]
    assert rows(aws) == []


def test_beyond_that_a_row_waits_and_is_moved_when_it_is_due(
    aws: EmulatedAws, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Queue(monkeypatch)
    due_at = clock.now() + timedelta(minutes=30, seconds=42)
    service.schedule(order(), due_at, clock.now())
    service.schedule(order(), due_at, clock.now())
    assert kept.sent == []
    assert len(rows(aws)) == 1
    while not kept.sent:
        assert clock.now() < due_at, "the row was not moved in time"
        service.move_due(clock.now())
        clock.advance(60)
    moved_at = clock.now() - timedelta(seconds=60)
    assert kept.sent == [(order(), due_at - moved_at)]
    assert rows(aws) == []
    service.move_due(clock.now())
    assert len(kept.sent) == 1


def test_minutes_that_were_missed_are_made_good(
    aws: EmulatedAws, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Queue(monkeypatch)
    service.schedule(order(), clock.now() + timedelta(minutes=20), clock.now())
    clock.advance(hours=3)
    assert service.move_due(clock.now()) == 1
    ((moved, delay),) = kept.sent
    assert moved == order()
    assert delay < timedelta(0)


def test_a_crash_between_queueing_and_deleting_loses_nothing(
    aws: EmulatedAws, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Queue(monkeypatch)
    service.schedule(order(), clock.now() + timedelta(minutes=20), clock.now())
    clock.advance(minutes=20)

    def broken(_rows: object) -> None:
        raise ServiceUnavailableError

    with monkeypatch.context() as patch:
        patch.setattr(due, "delete", broken)
        with pytest.raises(ServiceUnavailableError):
            service.move_due(clock.now())
    assert service.move_due(clock.now()) == 1
    assert [moved for moved, _ in kept.sent] == [order(), order()]
    assert rows(aws) == []


def test_a_run_out_of_time_is_continued_by_the_next(
    aws: EmulatedAws, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Queue(monkeypatch)
    at = clock.now() + timedelta(minutes=20)
    for number in range(130):
        service.schedule(order(number), at, clock.now())
    clock.advance(minutes=20)
    # Twenty empty minutes come before the rows' own, then there is time for one portion of 100.
    answers = iter([True] * 21 + [False])
    assert service.move_due(clock.now(), has_time=lambda: next(answers)) == 100
    assert len(rows(aws)) == 30
    service.move_due(clock.now())
    assert {moved.delivery_id for moved, _ in kept.sent} == {f"dlv_{number}" for number in range(130)}
    assert rows(aws) == []


def test_a_new_store_has_no_mark_and_is_looked_through_from_an_hour_ago(
    aws: EmulatedAws, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Queue(monkeypatch)
    monkeypatch.setattr(due, "drained", lambda: None)
    service.schedule(order(), clock.now() + timedelta(minutes=20), clock.now())
    clock.advance(hours=1)
    assert service.move_due(clock.now()) == 1
    assert len(kept.sent) == 1


def test_the_mark_never_goes_back(aws: EmulatedAws, clock: FixedClock) -> None:
    later = clock.now().replace(microsecond=0)
    due.set_drained(later)
    due.set_drained(later - timedelta(hours=1))
    assert due.drained() == later


def test_a_deliverys_next_row_in_the_same_millisecond_is_a_row_of_its_own(aws: EmulatedAws, clock: FixedClock) -> None:
    at: datetime = clock.now() + timedelta(minutes=20)
    service.schedule(order(1, 4), at, clock.now())
    service.schedule(order(1, 5), at, clock.now())
    assert len(rows(aws)) == 2


def test_orders_travel_in_batches_with_whole_seconds_of_delay(
    aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, object]] = []
    send = sqs().send_message_batch

    def keeping(**arguments: object) -> object:
        sent.append(arguments)
        return send(**arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(sqs(), "send_message_batch", keeping)
    queue.send_all([(order(number), timedelta(seconds=number + 0.2)) for number in range(-1, 22)])
    entries = [entry for call in sent for entry in call["Entries"]]  # type: ignore[attr-defined]
    assert [len(call["Entries"]) for call in sent] == [10, 10, 3]  # type: ignore[arg-type]
    assert [entry["DelaySeconds"] for entry in entries][:4] == [0, 1, 2, 3]
    assert {call["QueueUrl"] for call in sent} == {DeliverySettings().deliveries_queue_url}
