"""Fixtures that every suite may use."""

from collections.abc import Iterator

import pytest

from tests.support.aws import EmulatedAws, emulated_aws, forget_emulated_clients
from tests.support.clock import FixedClock


@pytest.fixture
def clock() -> FixedClock:
    """A clock that stands at 2026-11-22T13:00Z until a test moves it."""
    return FixedClock()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatedAws]:
    """A fresh AWS account in this process, with all tables, queues, the bus, buckets and the key, and the settings."""
    with emulated_aws(monkeypatch) as account:
        yield account


@pytest.fixture(autouse=True)
def _own_clients(request: pytest.FixtureRequest) -> None:
    if "aws" not in request.fixturenames:
        forget_emulated_clients()
