"""What ECS says of another owner's task: evidence only when nothing of it can run any more."""

import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError, EndpointConnectionError

from session_runner.lease.task_evidence import EcsEvidence, owner_of, place_of, task_arn

ARN = "arn:aws:ecs:sa-east-1:123456789012:task/recado-dev/0123456789abcdef0123456789abcdef"


class Ecs:
    """A client that answers what a test says."""

    def __init__(self, answer: Mapping[str, Any] | Exception) -> None:
        self.answer = answer
        self.asked: list[tuple[str, Sequence[str]]] = []

    def describe_tasks(self, *, cluster: str, tasks: Sequence[str]) -> Mapping[str, Any]:
        self.asked.append((cluster, tasks))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Now:
    """A clock that is set by hand."""

    seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


def evidence(ecs: Ecs, now: Now | None = None) -> EcsEvidence:
    return EcsEvidence(ecs, (now or Now()).monotonic, Logger(service="test", level="CRITICAL"))


def task(status: str, arn: str = ARN) -> dict[str, Any]:
    return {"tasks": [{"taskArn": arn, "lastStatus": status, "desiredStatus": "STOPPED"}], "failures": []}


def test_a_stopped_task_is_evidence_for_good() -> None:
    """The task is asked about in its own cluster, and once it has stopped nobody need ask again."""
    ecs = Ecs(task("STOPPED"))
    known = evidence(ecs)
    owner = owner_of(ARN)
    assert known.stopped(owner)
    ecs.answer = EndpointConnectionError(endpoint_url="ecs")
    assert known.stopped(owner)
    assert ecs.asked == [("recado-dev", [ARN])]


@pytest.mark.parametrize(
    "answer",
    [
        *(task(status) for status in ("RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING", "PROVISIONING")),
        task("STOPPED", ARN.replace("0123", "ffff")),
        {"tasks": [], "failures": [{"arn": ARN, "reason": "MISSING"}]},
        ClientError({"Error": {"Code": "AccessDeniedException"}}, "DescribeTasks"),
        EndpointConnectionError(endpoint_url="ecs"),
    ],
)
def test_anything_else_is_none(answer: Mapping[str, Any] | Exception) -> None:
    """Neither a task that is being stopped, nor one that ECS has forgotten, nor no answer at all."""
    assert not evidence(Ecs(answer)).stopped(owner_of(ARN))


@pytest.mark.parametrize(
    "owner",
    ["ip-10-78-0-12-0123456789abcdef", "", "arn:aws:ecs:sa-east-1:1:task/alone 01", "arn:aws:s3:::a:task/b/c 01"],
)
def test_an_owner_that_names_no_task_is_not_asked_about(owner: str) -> None:
    """Such as one that ran outside ECS."""
    ecs = Ecs(task("STOPPED"))
    assert not evidence(ecs).stopped(owner)
    assert ecs.asked == []


def test_ecs_is_asked_every_two_seconds_at_most() -> None:
    """All shards that wait share one quota of the account."""
    ecs, now = Ecs(task("RUNNING")), Now()
    known = evidence(ecs, now)
    owner = owner_of(ARN)
    for _ in range(9):
        known.stopped(owner)
        now.seconds += 0.5
    assert len(ecs.asked) == 3


def test_each_start_is_an_owner_of_its_own() -> None:
    """Also in the same task, or on the same machine."""
    assert owner_of(ARN) != owner_of(ARN)


@pytest.fixture
def endpoint() -> Iterator[str]:
    class Metadata(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/v4/abc/task"
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(json.dumps({"Cluster": "recado-dev", "TaskARN": ARN}).encode() if found else b"{}")

        def log_message(self, *_: Any) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_task_learns_its_name_from_the_metadata_endpoint(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxy the environment names: the endpoint is the machine's own."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert task_arn(f"{endpoint}/v4/abc") == ARN
    with pytest.raises(OSError, match="404"):
        task_arn(f"{endpoint}/v4/other")


def test_a_runner_that_cannot_learn_its_tasks_name_runs_all_the_same(endpoint: str) -> None:
    """Whoever takes over from it has to wait, and that is all."""
    quiet = Logger(service="test", level="CRITICAL")
    assert place_of(f"{endpoint}/v4/abc", quiet) == ARN
    assert place_of(f"{endpoint}/v4/other", quiet) == place_of("", quiet) == os.uname().nodename
