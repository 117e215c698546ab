"""Health over HTTP, against parts that work and parts that do not."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from functions.api.health import Check, Details, UnhealthyError
from functions.api.health_checks import SessionsCheck
from functions.api.routes import health
from recado.shards.lease import ShardLease
from tests.functions.api.support import Caller, assert_problem
from tests.support.aws import SHARDS, EmulatedAws
from tests.support.clock import FixedClock

_NAMES = {"database", "queue", "sessions", "memory", "disk"}


@pytest.fixture
def checks(client: TestClient) -> Iterator[dict[str, Check]]:
    """Checks that a test puts in place of the real ones."""
    app = client.app
    assert isinstance(app, FastAPI)
    replaced: dict[str, Check] = {}
    app.dependency_overrides[health.checks] = lambda: replaced
    yield replaced
    del app.dependency_overrides[health.checks]


def _broken() -> Details:
    raise RuntimeError("secret figures")


def test_a_platform_that_works_is_healthy(client: TestClient) -> None:
    """The shape of the tour; no key needed."""
    answer = client.get("/health")
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "healthy"
    assert body["timestamp"].endswith("Z")
    assert set(body["checks"]) == _NAMES
    for check in body["checks"].values():
        assert check["status"] == "healthy"
        assert check["response_time_ms"] >= 0
        assert set(check) == {"status", "response_time_ms"}


def test_one_broken_part_makes_it_503_without_particulars(client: TestClient, checks: dict[str, Check]) -> None:
    """Anybody may ask, so nothing is told."""
    checks.update(fine=dict, broken=_broken)
    answer = client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
    assert answer.json()["checks"]["fine"]["status"] == "healthy"
    assert answer.json()["checks"]["broken"]["status"] == "unhealthy"
    assert "figures" not in answer.text
    assert "RuntimeError" not in answer.text


def test_the_operators_get_figures(platform: Caller, aurora: Caller) -> None:
    """A clinic does not."""
    body = platform.get("/v1/health/details").json()
    assert body["checks"]["queue"]["details"]["waiting_commands"] == dict.fromkeys(SHARDS, 0)
    assert body["checks"]["memory"]["details"]["used_mb"] > 0
    assert set(body["checks"]["sessions"]["details"]["shards"]) == set(SHARDS)
    assert_problem(aurora.get("/v1/health/details"), 403, "insufficient_scope")


def test_a_shard_without_channels_needs_no_runner(aws: EmulatedAws) -> None:
    """A fresh installation is healthy."""
    details = SessionsCheck()()
    assert details["shards"]["shard-001"] == {"channels": 0, "epoch": None, "runner_alive": False}


def test_a_shard_with_channels_and_no_runner_is_unhealthy(aurora: Caller) -> None:
    """Nobody would send."""
    aurora.channel()
    with pytest.raises(UnhealthyError):
        SessionsCheck()()


def test_a_lease_that_stops_moving_for_30_seconds_is_unhealthy(aurora: Caller, clock: FixedClock) -> None:
    """As long as a runner that wants to take over waits; a renewal makes it healthy again."""
    aurora.channel()
    lease = ShardLease("shard-001", "one", clock)
    assert lease.try_acquire()
    check = SessionsCheck(clock)
    assert check()["shards"]["shard-001"]["runner_alive"] is True
    clock.advance(29)
    check()
    clock.advance(1)
    with pytest.raises(UnhealthyError):
        check()
    assert lease.renew()
    check()


def test_a_released_lease_is_no_runner(aurora: Caller, clock: FixedClock) -> None:
    """A stopped runner is seen at once."""
    aurora.channel()
    lease = ShardLease("shard-001", "one", clock)
    lease.try_acquire()
    lease.release()
    with pytest.raises(UnhealthyError):
        SessionsCheck(clock)()
