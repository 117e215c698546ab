"""What could not be recorded comes again soon, not after the six minutes that the queue would take."""

import json
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from functions.recorder import facts, recording
from functions.recorder.handler import handler
from functions.recorder.retrying import FIRST_SECONDS, LONGEST_SECONDS, postpone, wait_after
from recado.aws import clients
from recado.kernel.errors import ServiceUnavailableError
from tests.functions.recorder.conftest import Recorder, Runner
from tests.support.aws import ENVIRONMENT, EmulatedAws
from tests.support.lambdas import lambda_context, sqs_event


class Queue:
    """Takes what is said about messages."""

    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        self.answer = answer
        self.told: list[tuple[str, list[dict[str, Any]]]] = []

    def change_message_visibility_batch(self, **given: Any) -> dict[str, Any]:
        self.told.append((given["QueueUrl"], given["Entries"]))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@given(st.integers(1, 1000), st.floats(0, 1))
def test_waits_grow_from_seconds_to_minutes(attempts: int, chance: float) -> None:
    """Doubled with every attempt, bounded, spread by a fifth; SQS takes at most twelve hours."""
    waited = wait_after(attempts, chance)
    assert FIRST_SECONDS * 0.8 - 1 <= waited <= LONGEST_SECONDS * 1.2 + 1
    assert waited <= FIRST_SECONDS * 2 ** (attempts - 1) * 1.2 + 1
    assert wait_after(attempts + 1, chance) >= waited


def test_thirty_attempts_outlast_an_outage_of_hours() -> None:
    """So many does the queue hand a message out before it is a dead letter (infra/stacks/messaging.py)."""
    assert sum(wait_after(attempts, 0.0) for attempts in range(1, 30)) > 3 * 3600


def test_only_what_failed_is_postponed(recorder: Recorder, runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own count of attempts; what was recorded is left to Lambda to delete."""
    good, bad = runner.received("3A01"), runner.received("3A02")

    def take_in(entry: Any, *_: Any) -> Any:
        if entry.data["whatsapp_id"] == "3A02":
            raise ServiceUnavailableError
        return taken(entry, *_)

    taken = facts.take_in
    monkeypatch.setattr(recording, "take_in", take_in)
    queue = Queue({"Successful": []})
    monkeypatch.setattr(clients, "sqs", lambda: queue)
    event = sqs_event([json.dumps({"version": 1, "entries": [entry]}) for entry in (good, bad)])
    event["Records"][1]["attributes"]["ApproximateReceiveCount"] = "3"
    answer = handler(event, lambda_context("recorder"))
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == ["1"]
    ((url, (entry,)),) = queue.told
    assert url == ENVIRONMENT["RECADO_INGEST_QUEUE_URL"]
    assert entry["ReceiptHandle"] == "handle-1"
    assert 16 <= entry["VisibilityTimeout"] <= 24


@pytest.mark.parametrize(
    "answer",
    [
        EndpointConnectionError(endpoint_url="sqs"),
        {"Failed": [{"Id": "0", "Code": "ReceiptHandleIsInvalid", "SenderFault": True}]},
    ],
)
def test_a_queue_that_does_not_listen_keeps_nothing_from_being_answered(
    answer: dict[str, Any] | Exception, aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message then comes again when the queue's own time is over."""
    queue = Queue(answer)
    monkeypatch.setattr(clients, "sqs", lambda: queue)
    postpone(sqs_event(["{}"])["Records"], ["0"], "url")
    assert len(queue.told) == 1


def test_nothing_is_asked_of_the_queue_when_all_went_well(recorder: Recorder, runner: Runner) -> None:
    """The usual case costs nothing."""
    queue = Queue({})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clients, "sqs", lambda: queue)
        assert recorder.take([runner.received()]) == []
    assert queue.told == []
