"""The lease keeper: waits for the lease, and ends everything no later than 20 s after its last renewal began."""

import asyncio
import time
from pathlib import Path

import pytest
from aws_lambda_powertools import Logger

from recado.kernel.errors import ServiceUnavailableError
from session_runner.lease import keeping as module
from session_runner.lease.deadline import LeaseDeadline
from session_runner.lease.keeping import LeaseKeeper
from tests.runner.fakes import until


class Lease:
    """A lease that does what a test says."""

    epoch = 3

    def __init__(self) -> None:
        self.acquired_after = 0
        self.renewals: list[bool | Exception] = []
        self.renewed = 0
        self.released = False
        self.until = time.monotonic() + 20
        self.rival: str | None = None

    def try_acquire(self, *, stopped_owner: str | None = None) -> bool:
        self.acquired_after -= 1
        return self.acquired_after < 0 or (stopped_owner is not None and stopped_owner == self.rival)

    def renew(self) -> bool:
        self.renewed += 1
        answer = self.renewals.pop(0) if self.renewals else True
        if isinstance(answer, Exception):
            raise answer
        return answer

    def deadline_monotonic(self) -> float:
        return self.until

    def release(self) -> None:
        self.released = True


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.02)
    monkeypatch.setattr(module, "ACQUIRE_SECONDS", 0.01)
    monkeypatch.setattr(module, "FENCE_CHECK_SECONDS", 0.01)


@pytest.fixture
def lost() -> list[str]:
    return []


@pytest.fixture
def deadline(tmp_path: Path) -> LeaseDeadline:
    return LeaseDeadline(tmp_path / "deadline")


def keeper(lease: Lease, deadline: LeaseDeadline, lost: list[str]) -> LeaseKeeper:
    quiet = Logger(service="test", level="CRITICAL")
    return LeaseKeeper(lease, deadline, lost.append, quiet)  # type: ignore[arg-type]


def test_it_waits_for_the_lease_and_lets_hosts_act_only_then(deadline: LeaseDeadline, lost: list[str]) -> None:
    async def whole() -> None:
        lease = Lease()
        lease.acquired_after = 3
        kept = keeper(lease, deadline, lost)
        assert not kept.held()
        assert deadline.passed()
        await kept.acquire()
        assert kept.held()
        assert not deadline.passed()
        assert kept.epoch == 3
        await kept.release()
        assert lease.released
        assert not kept.held()
        assert deadline.passed()

    asyncio.run(whole())
    assert lost == []


def test_it_does_not_wait_for_an_owner_whose_task_has_stopped(deadline: LeaseDeadline, lost: list[str]) -> None:
    """The evidence is asked for after each refusal, about the owner found then."""
    asked: list[str] = []

    class Known:
        def stopped(self, owner: str) -> bool:
            asked.append(owner)
            return len(asked) > 2

    async def whole() -> None:
        lease = Lease()
        lease.acquired_after, lease.rival = 1000, "the one before"
        kept = LeaseKeeper(lease, deadline, lost.append, Logger(service="test", level="CRITICAL"), Known())  # type: ignore[arg-type]
        await kept.acquire()
        assert kept.held()
        await kept.release()

    asyncio.run(whole())
    assert asked == ["the one before"] * 3


def test_a_lease_taken_by_another_ends_everything(deadline: LeaseDeadline, lost: list[str]) -> None:
    async def whole() -> None:
        lease = Lease()
        lease.renewals = [True, False]
        kept = keeper(lease, deadline, lost)
        await kept.acquire()
        await kept.keep()
        assert not kept.held()
        assert deadline.passed()

    asyncio.run(whole())
    assert lost == ["another task has taken the lease"]


def test_a_store_that_does_not_answer_is_no_loss_before_the_deadline(deadline: LeaseDeadline, lost: list[str]) -> None:
    async def whole() -> None:
        lease = Lease()
        lease.renewals = [ServiceUnavailableError(), ServiceUnavailableError(), RuntimeError("odd")]
        kept = keeper(lease, deadline, lost)
        await kept.acquire()
        keeping = asyncio.create_task(kept.keep())
        await until(lambda: lease.renewed > 5, "renewed again")
        assert kept.held()
        keeping.cancel()
        await kept.release()

    asyncio.run(whole())
    assert lost == []


def test_a_deadline_that_passes_ends_everything_even_if_the_event_loop_hangs(
    deadline: LeaseDeadline, lost: list[str]
) -> None:
    async def whole() -> None:
        lease = Lease()
        lease.until = time.monotonic() + 0.05
        kept = keeper(lease, deadline, lost)
        await kept.acquire()
        time.sleep(0.3)  # noqa: ASYNC251 - the loop hangs
        assert lost == ["not renewed in time"]
        assert not kept.held()

    asyncio.run(whole())
