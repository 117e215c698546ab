"""Fixtures: a simulator of its own for each test, and hosts that are killed afterwards."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e.host.harness import PATIENT, HostBench
from tests.e2e.whatsapp.harness import RunningSimulator


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[RunningSimulator]:
    running = RunningSimulator(tmp_path / "simulator")
    yield running
    running.stop()


@pytest.fixture
async def bench(simulator: RunningSimulator, tmp_path: Path) -> AsyncIterator[HostBench]:
    """Hosts and a simulator in which nothing is linked."""
    opened = HostBench(simulator, tmp_path)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def linked_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the simulator and the session directory hold once a clinic's phone is linked: made once, copied often."""
    directory = tmp_path_factory.mktemp("linked")
    simulator = RunningSimulator(directory / "simulator")

    async def link() -> None:
        bench = HostBench(simulator, directory)
        await bench.call("POST", "/phones", number=PATIENT, name="Ana")
        await bench.link()
        await bench.close()

    asyncio.run(link())
    simulator.stop()
    shutil.rmtree(directory / "journals")
    return directory


@pytest.fixture
async def clinic(linked_state: Path, tmp_path: Path) -> AsyncIterator[HostBench]:
    """A clinic whose phone is linked, not connected yet, and a patient on WhatsApp."""
    shutil.copytree(linked_state, tmp_path, dirs_exist_ok=True)
    simulator = RunningSimulator(tmp_path / "simulator")
    opened = HostBench(simulator, tmp_path)
    yield opened
    await opened.close()
    simulator.stop()
