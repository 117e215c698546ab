"""Settings, health and pacing: what the runner is told, and what it tells."""

import asyncio
import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from recado.messages.limits import UNLIMITED, SendLimits
from session_runner.health import endpoint as module
from session_runner.health.endpoint import Health
from session_runner.sessions.pacing import Pacer
from session_runner.settings import RunnerSettings

REQUIRED: dict[str, Any] = {
    "shard_id": "shard-001",
    "shard_queue_url": "https://queue/recado-{shard_id}-commands",
    "ingest_queue_url": "https://queue/ingest",
    "vault_bucket": "vault",
    "kms_key_id": "key",
    "runner_directory": Path("/nowhere"),
}


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REQUIRED.items():
        text = json.dumps(value) if isinstance(value, dict) else str(value)
        monkeypatch.setenv(f"RECADO_{name.upper()}", text)
    monkeypatch.setenv("RECADO_SEND_GAP_SECONDS", "[0, 0]")
    monkeypatch.setenv("RECADO_WHATSAPP_ENVIRONMENT", '{"HTTPS_PROXY": "http://127.0.0.1:1"}')
    settings = RunnerSettings()
    assert settings.command_queue_url == "https://queue/recado-shard-001-commands"
    assert settings.send_gap_seconds == (0, 0)
    assert settings.whatsapp_environment == {"HTTPS_PROXY": "http://127.0.0.1:1"}


def test_the_pace_is_a_humans_unless_somebody_says_otherwise() -> None:
    settings = RunnerSettings(**REQUIRED)
    assert settings.send_limits == SendLimits()
    assert settings.send_limits.gap == (3.0, 8.0)


def test_every_limit_can_be_taken_away() -> None:
    free = {"send_gap_seconds": (0, 0), "send_per_hour": 0, "cold_per_day": (), "typing_seconds": (0, 0)}
    assert RunnerSettings(**REQUIRED | free).send_limits == UNLIMITED


@pytest.mark.parametrize(
    "changes",
    [
        {"shard_queue_url": "https://queue/1"},
        {"send_gap_seconds": (8, 3)},
        {"typing_seconds": (4, 1)},
        {"cold_per_day": ((7, 5), (0, 1))},
        {"cold_per_day": ((0, -1),)},
        {"sessions_per_host": 0},
        {"shutdown_seconds": 200},
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RunnerSettings(**REQUIRED | changes)


def get(port: int, path: str = "/health") -> tuple[int, Any]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        body = error.read()
        return error.code, json.loads(body) if error.headers.get_content_type() == "application/json" else body


def test_health_tells_the_report_and_notices_a_loop_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    health = Health("127.0.0.1", 0, lambda: {"status": "running", "shard_id": "shard-001"})
    try:
        assert get(health.port) == (200, {"status": "running", "shard_id": "shard-001"})
        assert get(health.port, "/elsewhere")[0] == 404
        monkeypatch.setattr(module, "LOOP_SECONDS", -1.0)
        status, report = get(health.port)
        assert (status, report["status"]) == (503, "hung")
    finally:
        health.close()


def test_starts_are_spaced_after_the_first_few() -> None:
    async def whole() -> list[float]:
        pacer, moments = Pacer(100.0, burst=3), []
        begin = time.monotonic()

        async def one() -> None:
            await pacer.pass_through()
            moments.append(time.monotonic() - begin)

        await asyncio.gather(*(one() for _ in range(8)))
        return moments

    moments = asyncio.run(whole())
    assert moments[-1] >= 0.045
    assert len(moments) == 8
