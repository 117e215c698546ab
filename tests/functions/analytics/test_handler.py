"""The analytics consumer, invoked as Lambda invokes it."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.analytics import settings
from functions.analytics.handler import handler
from recado.analytics import service
from recado.kernel.clock import from_text
from recado.kernel.errors import ServiceUnavailableError
from tests.support.aws import EmulatedAws
from tests.support.lambdas import lambda_context, sqs_event

SAMPLES = Path(__file__).parents[3] / "events" / "eventbridge"


def sample(event_type: str) -> dict[str, Any]:
    envelope: dict[str, Any] = json.loads((SAMPLES / f"{event_type}.json").read_text())
    return envelope


def take(*bodies: Any) -> list[str]:
    texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
    answer = handler(sqs_event(texts), lambda_context("analytics"))
    return [str(failure["itemIdentifier"]) for failure in answer["batchItemFailures"]]


def counts() -> dict[str, int]:
    detail = sample("message.received")["detail"]
    at: datetime = from_text(detail["timestamp"])
    found = service.volume(detail["clinic_id"], at - timedelta(days=1), at + timedelta(days=1))
    return {row.direction.value: row.count for row in found}


@pytest.fixture(autouse=True)
def _account(aws: EmulatedAws) -> Iterator[None]:
    settings.settings.cache_clear()
    yield
    settings.settings.cache_clear()


def test_every_event_of_the_bus_is_taken_and_messages_are_counted() -> None:
    """All samples go through; one message came in and one went out, also when all of it comes again."""
    everything = [json.loads(path.read_text()) for path in sorted(SAMPLES.glob("*.json"))]
    assert take(*everything) == []
    assert counts() == {"inbound": 1, "outbound": 1}
    assert take(*everything) == []
    assert counts() == {"inbound": 1, "outbound": 1}


def test_what_is_broken_fails_alone() -> None:
    """A body that is no event goes back to its queue, the ones beside it are counted."""
    received, sent = sample("message.received"), sample("message.sent")
    foreign = {**received, "detail": {**received["detail"], "clinic_id": "nobody"}}
    bodies = (received, "not JSON", {"source": "recado"}, {"detail": {"id": 1}}, foreign, sent)
    assert take(*bodies) == ["1", "2", "3", "4"]
    assert counts() == {"inbound": 1, "outbound": 1}


def test_an_outage_fails_the_event_and_loses_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be counted comes again and is counted then."""

    def unavailable(_: object) -> bool:
        raise ServiceUnavailableError

    with monkeypatch.context() as outage:
        outage.setattr(service, "count", unavailable)
        assert take(sample("message.received")) == ["0"]
    assert counts() == {}
    assert take(sample("message.received")) == []
    assert counts() == {"inbound": 1}
