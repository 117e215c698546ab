"""An API in this process, with two clinics that must not meet."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from functions.api import settings
from functions.api.app import create_app
from functions.api.waiting import patience
from recado.clinics import authentication
from recado.clinics import service as clinics
from recado.clinics.model import Scope
from tests.functions.api.support import Caller, CountingTime
from tests.support.aws import EmulatedAws


@pytest.fixture(scope="session")
def _app_made_once() -> object:
    """Building the routes takes longer than most tests; the application keeps no state between requests."""
    return create_app()


@pytest.fixture
def time() -> CountingTime:
    """The time that waiting requests see."""
    return CountingTime()


@pytest.fixture
def client(aws: EmulatedAws, time: CountingTime, _app_made_once: object) -> Iterator[TestClient]:
    """A client of the API; what the API would raise comes out as the 500 that callers get."""
    authentication.forget_all()
    settings.api_settings.cache_clear()
    app = _app_made_once
    app.dependency_overrides[patience] = lambda: time.patience  # type: ignore[attr-defined]
    yield TestClient(app, raise_server_exceptions=False)  # type: ignore[arg-type]
    settings.api_settings.cache_clear()


@pytest.fixture
def platform(client: TestClient) -> Caller:
    """The platform's own staff."""
    return Caller(client, clinics.create_platform_key("staff")[1])


@pytest.fixture
def aurora(client: TestClient) -> Caller:
    """Clínica Aurora, with a key that has every scope."""
    return _clinic(client, "Clínica Aurora")


@pytest.fixture
def brisa(client: TestClient) -> Caller:
    """Clínica Brisa, another clinic with a key that has every scope."""
    return _clinic(client, "Clínica Brisa")


def _clinic(client: TestClient, name: str) -> Caller:
    clinic = clinics.create_clinic(name, "America/Sao_Paulo")
    _, text = clinics.create_api_key(clinic.clinic_id, "all", frozenset(Scope))
    return Caller(client, text, clinic.clinic_id)
