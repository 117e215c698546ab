"""One incarnation from start to stop, with a stand-in for the native library."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from neonize.proto import Neonize_pb2 as n

from session_runner.hosts.errors import NotSentError
from session_runner.whatsapp import native
from session_runner.whatsapp import session as module
from session_runner.whatsapp.event_codes import SUBSCRIBED, EventCode
from session_runner.whatsapp.lifecycle import Change, SessionState
from session_runner.whatsapp.mapping import Fact
from session_runner.whatsapp.session import Listener, Session, SessionKey, Starts

CONNECTED = (EventCode.CONNECTED, n.Connected(status=True))


class FakeLibrary:
    """Does what the native library does with one session: blocks until stopped, and calls back."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.arguments: list[tuple[Any, ...]] = []
        self.events: list[tuple[int, Any]] = [CONNECTED]
        self.returns = b""
        self.ends_by_itself = False
        self.dialling = threading.Event()
        self.dialling.set()
        self.stopped = threading.Event()
        self.starting = 0
        self.most_starting = 0

    def Neonize(self, *arguments: Any) -> bytes:  # noqa: N802 - the library's name
        self.calls.append("Neonize")
        self.arguments.append(arguments)
        self.starting += 1
        self.most_starting = max(self.most_starting, self.starting)
        for code, event in self.events:
            self.emit(arguments[1], code, event)
        self.starting -= 1
        if not self.ends_by_itself:
            self.stopped.wait(20)
        return self.returns

    def Disconnect(self, _uuid: bytes) -> None:  # noqa: N802
        self.calls.append("Disconnect")
        self.dialling.wait(20)

    def Stop(self, _uuid: bytes) -> bytes:  # noqa: N802
        self.calls.append("Stop")
        self.stopped.set()
        return b""

    def emit(self, uuid: bytes, code: int, event: Any) -> None:
        native._handlers_by_uuid[uuid].on_event(code, event.SerializeToString())


class Opened:
    """A session and what it told."""

    def __init__(self, directory: Path, name: str = "one", starts: Starts | None = None) -> None:
        self.changes = list[Change]()
        self.facts = list[Fact]()
        self.stopped = threading.Event()
        key = SessionKey("cli_1", "chn_1", name, directory / f"{name}.db")
        self.session = Session(key, starts or Starts(), Listener(self.facts.append, self._changed))

    def _changed(self, _session: Session, change: Change) -> None:
        self.changes.append(change)
        if change.event == "stopped":
            self.stopped.set()


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeLibrary]:
    fake = FakeLibrary()
    monkeypatch.setattr(native, "library", fake)
    monkeypatch.setattr(module, "checkpoint", lambda _path: None)
    monkeypatch.setattr(module, "_GATE_SECONDS", 0.2)
    monkeypatch.setattr(module, "_START_SECONDS", 0.5)
    yield fake
    fake.dialling.set()
    fake.stopped.set()


def test_starts_with_what_the_library_needs(library: FakeLibrary, tmp_path: Path) -> None:
    """A fresh uuid each time, never a jid, warnings only, one file in write-ahead mode, our subscriptions."""
    for name in ("one", "other"):
        assert Opened(tmp_path, name).session.start() is SessionState.CONNECTED
    first, second = library.arguments
    assert first[1] != second[1]
    for arguments in (first, second):
        assert arguments[2:6] == (b"", 0, 0, b"WARN")
        assert b"_journal_mode=WAL" in arguments[0]
        assert arguments[10:12] == (SUBSCRIBED, len(SUBSCRIBED))
        assert arguments[14:] == (b"", 0, None)


def test_stops_in_order_and_takes_in_what_is_queued(library: FakeLibrary, tmp_path: Path) -> None:
    """Disconnect, then silence, then stop: an event that comes after the disconnect is not lost."""
    opened = Opened(tmp_path)
    opened.session.start()
    uuid = library.arguments[0][1]

    def late() -> None:
        time.sleep(0.1)
        library.calls.append("event")
        library.emit(uuid, 999, n.Connected(status=True))

    disconnect = library.Disconnect

    def disconnect_then_event(given: bytes) -> None:
        disconnect(given)
        threading.Thread(target=late).start()

    library.Disconnect = disconnect_then_event  # type: ignore[method-assign, assignment]
    assert opened.session.stop(5)
    assert library.calls == ["Neonize", "Disconnect", "event", "Stop"]
    assert [fact.kind for fact in opened.facts] == ["message.unmapped"]
    assert opened.session.state is SessionState.STOPPED
    assert not opened.session.thread_alive
    assert uuid not in native._handlers_by_uuid


def test_a_stop_is_done_once(library: FakeLibrary, tmp_path: Path) -> None:
    """However often and from wherever it is asked for."""
    opened = Opened(tmp_path)
    opened.session.start()
    threads = [threading.Thread(target=opened.session.stop, args=(5,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert library.calls.count("Stop") == 1
    assert [change.event for change in opened.changes].count("stopped") == 1


def test_starts_go_one_at_a_time(library: FakeLibrary, tmp_path: Path) -> None:
    """Starts of one process never overlap: the library's maps have no lock."""
    starts = Starts()
    slow = library.emit

    def emit(*arguments: Any) -> None:
        time.sleep(0.02)
        slow(*arguments)

    library.emit = emit  # type: ignore[method-assign, assignment]
    sessions = [Opened(tmp_path, str(number), starts).session for number in range(6)]
    threads = [threading.Thread(target=session.start) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert library.most_starting == 1
    assert all(session.connected for session in sessions)


def test_a_start_that_hangs_lets_the_others_send_and_start(library: FakeLibrary, tmp_path: Path) -> None:
    """Without an answer the gate opens after a while, and the turn goes on to the next after a longer one."""
    library.events = []
    starts = Starts()
    hanging = Opened(tmp_path, "hanging", starts).session
    thread = threading.Thread(target=hanging.start)
    thread.start()
    time.sleep(0.05)
    with starts.gate.shared():
        assert thread.is_alive()
    thread.join(5)
    assert hanging.state is SessionState.STARTING
    library.events = [CONNECTED]
    assert Opened(tmp_path, "next", starts).session.start() is SessionState.CONNECTED


def test_a_pump_that_ends_unasked_is_told(library: FakeLibrary, tmp_path: Path) -> None:
    """The native call returned though nobody stopped it: the incarnation is over, with the reason."""
    library.ends_by_itself = True
    library.returns = b"proto: required field neonize.ConnectFailure.Reason not set for 5511988880001"
    opened = Opened(tmp_path)
    opened.session.start()
    opened.session._client.join(5)
    assert opened.session.state is SessionState.PUMP_ENDED
    assert opened.changes[-1] == Change("pump_ended", SessionState.PUMP_ENDED, {"reason": "unencodable_event"})
    assert opened.session.stop(5)
    assert opened.session.state is SessionState.PUMP_ENDED


def test_the_first_end_of_an_incarnation_is_its_state(library: FakeLibrary, tmp_path: Path) -> None:
    """What comes after a log-out does not make it anything else."""
    library.events = [
        CONNECTED,
        (EventCode.LOGGED_OUT, n.LoggedOut(OnConnect=False, Reason=n.ConnectFailureReason.LOGGED_OUT)),
        (EventCode.DISCONNECTED, n.Disconnected(status=True)),
    ]
    opened = Opened(tmp_path)
    opened.session.start()
    eventually(lambda: len(opened.changes) == 3)
    assert opened.session.state is SessionState.LOGGED_OUT


def test_a_stop_while_dialling_goes_on_in_the_background(library: FakeLibrary, tmp_path: Path) -> None:
    """The library blocks while it dials; the caller is told in time, and the stop is done when it can be."""
    opened = Opened(tmp_path)
    opened.session.start()
    library.dialling.clear()
    assert not opened.session.stop(0.05)
    assert "Stop" not in library.calls
    library.dialling.set()
    assert opened.stopped.wait(5)


def test_a_session_stopped_before_its_turn_never_starts(library: FakeLibrary, tmp_path: Path) -> None:
    """A shutdown that overtakes a waiting start leaves nothing running."""
    opened = Opened(tmp_path)
    opened.session.stop(5)
    opened.session.start()
    assert "Neonize" not in library.calls


@pytest.mark.parametrize("call", [
    lambda session: session.send_text("5511977770001@s.whatsapp.net", "oi", None),
    lambda session: session.check_numbers(["+5511977770001"]),
    lambda session: session.mark_read(["A"], "1234567@lid", "1234567@lid"),
    lambda session: session.show_typing("1234567@lid", composing=True),
    lambda session: session.logout(),
])  # fmt: skip
def test_nothing_is_called_without_a_connection(
    library: FakeLibrary, tmp_path: Path, call: Callable[[Session], object]
) -> None:
    """Certainly not sent, without bothering the library."""
    library.events = [(EventCode.DISCONNECTED, n.Disconnected(status=True))]
    opened = Opened(tmp_path)
    opened.session.start()
    with pytest.raises(NotSentError, match="not_connected"):
        call(opened.session)
    assert library.calls == ["Neonize"]


def eventually(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.01)
