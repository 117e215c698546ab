"""A host at the lease's deadline: sockets first, then what they held, then the end; all of it bounded."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from session_runner.host import fence as module
from session_runner.host.fence import Fence
from session_runner.lease.deadline import LeaseDeadline

ROOT = Path(__file__).parents[3]


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
        self.kills: list[float] = []
        Fence(self.deadline, lambda: sessions, self._end, self.kills.append).begin()  # type: ignore[arg-type,return-value]

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
    # Moved with the deadline; and in the end from the moment at which the host itself noticed.
    renewed, noticed = bench.kills
    assert renewed > noticed


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


def _in_a_process(code: str) -> subprocess.Popen[bytes]:
    program = f"import time\nfrom session_runner.host.last_resort import LastResort\nlast = LastResort()\n{code}"
    return subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE)


def test_the_last_resort_kills_a_process_that_is_frozen() -> None:
    """It need not run, not even a signal handler of it: so nothing of it goes on after the freeze."""
    process = _in_a_process("last.strike_at(time.monotonic() + 0.5); print('set', flush=True); time.sleep(30)")
    assert process.stdout is not None
    assert process.stdout.readline() == b"set\n"
    os.kill(process.pid, signal.SIGSTOP)
    assert process.wait(5) == -signal.SIGKILL


def test_the_last_resort_can_be_put_off_again_and_again() -> None:
    """As often as the lease is renewed; and a moment that is past strikes at once."""
    process = _in_a_process(
        "for _ in range(6): last.strike_at(time.monotonic() + 0.3); time.sleep(0.1)\n"
        "print('alive', flush=True); last.strike_at(0.0); time.sleep(30)"
    )
    out, _ = process.communicate(timeout=5)
    assert (out, process.returncode) == (b"alive\n", -signal.SIGKILL)
