"""Fixtures: a simulator of its own for each test, and clients that are killed afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.whatsapp.harness import RealClient, RunningSimulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CLINIC = "5511988880001"
PATIENT = "5511977770001"


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[RunningSimulator]:
    running = RunningSimulator(tmp_path / "simulator")
    yield running
    running.stop()


@pytest.fixture
def new_client(simulator: RunningSimulator, tmp_path: Path) -> Iterator[Callable[[str], RealClient]]:
    clients: list[RealClient] = []

    def start(name: str) -> RealClient:
        clients.append(RealClient(simulator, tmp_path / f"{name}.sqlite"))
        return clients[-1]

    yield start
    for client in clients:
        client.kill()


@pytest.fixture
def client(simulator: RunningSimulator, new_client: Callable[[str], RealClient]) -> RealClient:
    """A client linked to the clinic's phone, and a patient on WhatsApp."""
    simulator.post("/phones", number=PATIENT, name="Ana")
    linked = new_client("clinic")
    linked.pair(CLINIC)
    return linked
