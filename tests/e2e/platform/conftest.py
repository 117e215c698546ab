"""Fixtures: two clinics of their own with linked numbers, their phones, and a server for their webhooks.

What a test breaks, it makes for itself: ``aurora`` and ``brisa`` stay connected for all tests of this folder.
"""

import itertools
from collections.abc import AsyncIterator, Callable

import pytest

from tests.bench.platform import Addresses, Phones, Receiver, receiver
from tests.bench.stack import addresses_of
from tests.e2e.platform.desk import Desk
from tests.e2e.platform.endpoint_server import EndpointServer, endpoint_server
from tests.support.running_stack import RunningStack

_NUMBERS = itertools.count(5511961000001)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def addresses(stack: RunningStack) -> Addresses:
    """Where the session's stack listens."""
    return addresses_of(stack)


@pytest.fixture(scope="session")
async def phones(addresses: Addresses) -> AsyncIterator[Phones]:
    """The simulator's phones."""
    opened = Phones(addresses.phones)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def number() -> Callable[[], str]:
    """Makes phone numbers (digits) that no other test uses."""
    return lambda: str(next(_NUMBERS))


@pytest.fixture(scope="session")
async def aurora(addresses: Addresses, phones: Phones, number: Callable[[], str]) -> AsyncIterator[Desk]:
    """A clinic with a connected channel."""
    desk = await Desk.create(addresses, "Clínica Aurora")
    await desk.pair(phones, number())
    yield desk
    await desk.close()


@pytest.fixture(scope="session")
async def brisa(addresses: Addresses, phones: Phones, number: Callable[[], str]) -> AsyncIterator[Desk]:
    """Another clinic with a connected channel."""
    desk = await Desk.create(addresses, "Clínica Brisa")
    await desk.pair(phones, number())
    yield desk
    await desk.close()


@pytest.fixture
async def own(addresses: Addresses, phones: Phones, number: Callable[[], str]) -> AsyncIterator[Desk]:
    """A clinic with a connected channel for one test alone, which may count on it or end it."""
    desk = await Desk.create(addresses, "Clínica própria")
    await desk.pair(phones, number())
    yield desk
    await desk.close()


@pytest.fixture
async def contact(phones: Phones, number: Callable[[], str]) -> str:
    """A person on WhatsApp to whom nobody has written yet; their number (digits)."""
    fresh = number()
    await phones.register(fresh)
    return fresh


@pytest.fixture
async def server() -> AsyncIterator[EndpointServer]:
    """The clinics' web server."""
    async with endpoint_server() as running:
        yield running


@pytest.fixture
async def hooks(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Receiver]:
    """The local webhook receiver in a process of its own, which can be killed and started again."""
    async with receiver(tmp_path_factory.mktemp("receiver") / "webhooks.jsonl") as running:
        yield running
