"""One whole local stack for all end-to-end tests of a session."""

from collections.abc import Iterator

import pytest

from tests.support.running_stack import RunningStack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A running stack: emulator, simulator, runner, front door, demo clinics. Tests make their own clinics in it."""
    running = RunningStack(tmp_path_factory.mktemp("stack"))
    running.start()
    yield running
    running.stop()
