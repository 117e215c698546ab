"""A host at the lease's deadline: sockets first, then what they held, then the end; all of it bounded."""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from session_runner.deadline import LeaseDeadline
from session_runner.host import fence as module
from session_runner.host.fence import Fence


@dataclass
class FakeIncoming:
    """Writes events for some time after the socket was closed."""

    until: float = 0.0

    @property
    def quiet_seconds(self) -> float:
        return max(0.0, time.monotonic() - self.until)


@dataclass
class FakeSession:
    """A session whose library lets go of the socket, or dials."""

    closing_seconds: float = 0.0
    writing_seconds: float = 0.0
    incoming: FakeIncoming = field(default_factory=FakeIncoming)
    closed: bool = False

    def cut_off(self) -> None:
        time.sleep(self.closing_seconds)
        self.closed = True
        self.incoming.until = time.monotonic() + self.writing_seconds


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.2)
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.05)
    monkeypatch.setattr(module, "DRAIN_SECONDS", 0.6)


class Bench:
    """A fence round some sessions."""

    def __init__(self, folder: Path, sessions: list[FakeSession]) -> None:
        self.deadline = LeaseDeadline(folder / "deadline")
        self.sessions = sessions
        self.ended = threading.Event()
        self.written = False
        Fence(self.deadline, lambda: sessions, self._end).begin()  # type: ignore[arg-type,return-value]

    def _end(self) -> None:
        self.written = all(session.incoming.quiet_seconds > 0 for session in self.sessions)
        self.ended.set()

    def strike(self) -> float:
        """Let the deadline pass and return how long the end took."""
        self.deadline.extend(time.monotonic() + 60)
        assert not self.ended.wait(0.05)
        self.deadline.extend(0.0)
        began = time.monotonic()
        assert self.ended.wait(5)
        return time.monotonic() - began


def test_it_ends_when_all_is_written_and_not_before(tmp_path: Path) -> None:
    """Every socket is closed, all at once, and the last event of the slowest session is in the journal."""
    bench = Bench(tmp_path, [FakeSession(0.1, 0.3), FakeSession(0.1, 0.0), FakeSession(0.1, 0.2)])
    assert bench.strike() >= 0.35
    assert all(session.closed for session in bench.sessions)
    assert bench.written


@pytest.mark.parametrize("session", [FakeSession(closing_seconds=3.0), FakeSession(writing_seconds=3.0)])
def test_nothing_keeps_it_for_ever(tmp_path: Path, session: FakeSession) -> None:
    """Neither a library that does not let go of its socket nor one that goes on telling."""
    assert Bench(tmp_path, [session]).strike() < 2.0


def test_a_deadline_that_is_not_set_yet_is_none(tmp_path: Path) -> None:
    """A host may be there before the lease is."""
    bench = Bench(tmp_path, [FakeSession()])
    assert not bench.ended.wait(0.2)
    bench.deadline.extend(time.monotonic() + 0.1)
    assert bench.ended.wait(5)
