"""Fixtures that every suite may use."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from recado.clinics import service as clinics
from recado.clinics.authentication import forget_all
from tests.support.aws import EmulatedAws, emulated_aws, forget_emulated_clients
from tests.support.clock import FixedClock

# Timed examples would fail on a busy machine, which says nothing about the code.
settings.register_profile("recado", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("recado")


@pytest.fixture
def clock() -> FixedClock:
    """A clock that stands at 2026-11-22T13:00Z until a test moves it."""
    return FixedClock()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatedAws]:
    """A fresh AWS account in this process, with all tables, queues, the bus, buckets and the key, and the settings."""
    with emulated_aws(monkeypatch) as account:
        yield account


@pytest.fixture
def aurora(aws: EmulatedAws) -> str:
    """The id of the clinic to which things happen."""
    return clinics.create_clinic("Clínica Aurora", "America/Sao_Paulo").clinic_id


@pytest.fixture
def brisa(aws: EmulatedAws) -> str:
    """The id of the other clinic, which must never see or change any of it."""
    return clinics.create_clinic("Clínica Brisa", "America/Recife").clinic_id


@pytest.fixture(autouse=True)
def _own_clients(request: pytest.FixtureRequest) -> None:
    forget_all()
    if "aws" not in request.fixturenames:
        forget_emulated_clients()
