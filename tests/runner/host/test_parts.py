"""The parts of a host: order of work, the wire, recording that does not give up, the lease's deadline."""

import json
import multiprocessing
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from session_runner.host.order import Ordered
from session_runner.host.recording import Recorder
from session_runner.host.settings import HostSettings, WrongEnvironmentError, read_settings, require_environment
from session_runner.host.wire import Wire
from session_runner.hosts.host import _exec_environment
from session_runner.journal.journal import Journal, JournalRow
from session_runner.lease.deadline import LeaseDeadline
from session_runner.whatsapp.mapping import Fact

FACT = Fact("message.received", ("chat", "A1"), datetime(2026, 11, 22, 13, 0, tzinfo=UTC), {"text": "Olá 😀"})


def test_one_sessions_work_keeps_its_order() -> None:
    """However many threads the pool has, and whoever submits."""
    with ThreadPoolExecutor(8) as pool:
        order, done = Ordered(pool), []
        for number in range(200):
            order.submit(lambda number=number: done.append(number))  # type: ignore[misc]
    assert done == list(range(200))


def test_a_slow_session_does_not_hold_up_another() -> None:
    """Each session has its own queue."""
    with ThreadPoolExecutor(2) as pool:
        release, done = threading.Event(), threading.Event()
        Ordered(pool).submit(lambda: (release.wait(10), None)[1])
        Ordered(pool).submit(done.set)
        assert done.wait(5)
        release.set()


class Lines:
    """The supervisor's end of a wire."""

    def __init__(self) -> None:
        self.own, theirs = socket.socketpair()
        self.wire = Wire(theirs)
        self._lines = self.own.makefile("rb")

    def next(self) -> dict[str, Any]:
        return json.loads(self._lines.readline())  # type: ignore[no-any-return]


def test_the_wire_carries_lines_of_json() -> None:
    """Requests in; answers, refusals and notices out; texts as they are."""
    lines = Lines()
    lines.own.sendall(b'{"id":1,"request":"status","payload":{}}\n{"id":2,')
    lines.own.sendall(b'"request":"x","payload":{"text":"ol\xc3\xa1"}}\n')
    lines.own.shutdown(socket.SHUT_WR)
    assert [request["id"] for request in lines.wire.receive()] == [1, 2]
    lines.wire.answer(1, {"text": "linha\ne 😀"})
    lines.wire.refuse(2, {"code": "x"})
    lines.wire.notify("paired", phone="+55")
    assert lines.next() == {"id": 1, "result": {"text": "linha\ne 😀"}}
    assert lines.next() == {"id": 2, "error": {"code": "x"}}
    assert lines.next() == {"notice": {"kind": "paired", "phone": "+55"}}


def test_many_writes_to_the_journal_make_few_notices() -> None:
    """The supervisor is told that there is something, not each time; a later write is told again."""
    lines = Lines()
    for _ in range(1000):
        lines.wire.notify_journal_written()
    lines.wire.flush(5)
    lines.wire.notify("end")
    notices = [lines.next()["notice"]["kind"]]
    while notices[-1] != "end":
        notices.append(lines.next()["notice"]["kind"])
    assert 1 <= notices.count("journal_written") < 1000
    lines.wire.notify_journal_written()
    assert lines.next()["notice"]["kind"] == "journal_written"


class FullDisk:
    """A journal that fails a few times."""

    def __init__(self, journal: Journal, failures: int) -> None:
        self._journal = journal
        self._failures = failures

    def append(self, *arguments: Any) -> JournalRow:
        if self._failures:
            self._failures -= 1
            raise sqlite3.OperationalError("database or disk is full")
        return self._journal.append(*arguments)


def test_a_fact_is_tried_until_it_is_on_the_disk(tmp_path: Path) -> None:
    """WhatsApp will not send it again: the callback waits, and the supervisor hears why."""
    lines = Lines()
    pauses: list[float] = []
    journal = Journal(tmp_path / "journal.sqlite")
    recorder = Recorder(FullDisk(journal, 8), lines.wire, pauses.append)  # type: ignore[arg-type]
    told: list[None] = []
    recorder.on_failure = lambda: told.append(None)
    recorder.record("cli_1", "chn_1", FACT)
    assert [row.data for row in journal.pending()] == [FACT.data]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 0.8, 0.8, 0.8, 0.8]
    assert told == [None] * 8
    assert lines.next()["notice"] == {"kind": "journal_failed", "channel_id": "chn_1", "error": "OperationalError"}


def _passed_in_a_child(path: str, answers: Any) -> None:
    answers.put(LeaseDeadline(Path(path)).passed())


def test_the_lease_deadline_is_shared_between_processes(tmp_path: Path) -> None:
    """A deadline never set has passed; an extension is seen by another process, and so is its end."""
    deadline = LeaseDeadline(tmp_path / "deadline")
    assert deadline.passed()
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    for until, expected in ((time.monotonic() + 60, False), (time.monotonic() - 1, True)):
        deadline.extend(until)
        assert deadline.passed() is expected
        child = context.Process(target=_passed_in_a_child, args=(str(tmp_path / "deadline"), answers))
        child.start()
        assert answers.get(timeout=20) is expected
        child.join()


def test_reads_its_command_line() -> None:
    """What Host.start passes is what the process gets."""
    least = ["--socket", "5", "--parent", "9", "--directory", "/d", "--journal", "/j", "--sessions", "50"]
    settings = read_settings([*least, "--pairing", "--deadline", "/x"])
    assert settings == HostSettings(5, 9, Path("/d"), Path("/j"), 50, True, Path("/x"))
    assert not read_settings(least).pairing


def test_refuses_to_run_without_the_bot_tag_off(tmp_path: Path) -> None:
    """Set later it would have no effect: the process's exec counts (this one was started without)."""
    if b"NEONIZE_BOT_TAG=off" in Path("/proc/self/environ").read_bytes().split(b"\0"):
        pytest.skip("these tests were started with NEONIZE_BOT_TAG=off")
    tmp_path.chmod(0o700)
    settings = HostSettings(0, os.getpid(), tmp_path, tmp_path / "journal", 1, pairing=False, deadline=None)
    with pytest.raises(WrongEnvironmentError, match="NEONIZE_BOT_TAG"):
        require_environment(settings)


def test_hosts_get_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host's environment is made, not inherited; the extra path comes first, the bot tag cannot be turned on."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    environment = _exec_environment({"PYTHONPATH": "/first", "HTTPS_PROXY": "http://x", "NEONIZE_BOT_TAG": "on"})
    assert "secret" not in environment.values()
    assert environment["PYTHONPATH"].startswith("/first:")
    assert environment["HTTPS_PROXY"] == "http://x"
    assert environment["NEONIZE_BOT_TAG"] == "off"


def test_the_supervisor_does_not_load_the_native_library() -> None:
    """Go's runtime lives in hosts only: the supervisor must survive what aborts it."""
    parts = ("hosts.host", "journal.journal", "lease.deadline", "whatsapp.restore")
    modules = ", ".join(f"session_runner.{part}" for part in parts)
    program = f"import sys, {modules}; sys.exit('neonize' in sys.modules)"
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == 0
