"""What the tests of webhooks share."""

from collections.abc import Callable

import pytest

from recado.webhooks import service
from recado.webhooks.model import Endpoint
from tests.support.aws import EmulatedAws
from tests.support.clock import FixedClock
from tests.unit.webhooks.scene import CLINIC, PUBLIC


@pytest.fixture
def make_endpoint(aws: EmulatedAws, clock: FixedClock) -> Callable[..., Endpoint]:
    """Registers an endpoint, by default for everything that happens in CLINIC."""

    def make(clinic_id: str = CLINIC, url: str = "https://example.com/hook", **details: object) -> Endpoint:
        arguments: dict[str, object] = {"event_types": ["message.*", "channel.*"]} | details
        endpoint, _ = service.create_endpoint(clinic_id, url=url, clock=clock, guard=PUBLIC, **arguments)  # type: ignore[arg-type]
        return endpoint

    return make
