"""Fixtures: an emulated AWS account, a simulator of its own and a platform around them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from recado.aws import settings
from tests.e2e.runner.harness import Platform
from tests.e2e.whatsapp.harness import RunningSimulator
from tests.support.aws import EmulatedAws

CLINIC = "5511988880001"
OTHER_CLINIC = "5511988880002"
PATIENT = "5511977770001"


@pytest.fixture
def platform(aws: EmulatedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    monkeypatch.setenv("RECADO_SHARDS", "001")
    settings.shard_queues.cache_clear()
    simulator = RunningSimulator(tmp_path / "simulator")
    for number, name in ((PATIENT, "Ana"), (CLINIC, "Aurora"), (OTHER_CLINIC, "Brisa")):
        simulator.post("/phones", number=number, name=name)
    yield Platform(simulator, tmp_path / "runner")
    simulator.stop()
