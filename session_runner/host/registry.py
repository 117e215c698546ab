"""The sessions of a host: at most one per channel, each started only on a file it can be started on."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any

from recado.kernel.clock import SystemClock, to_text
from session_runner.host.order import Ordered
from session_runner.host.recording import Recorder
from session_runner.host.wire import Wire
from session_runner.hosts.errors import HostError
from session_runner.whatsapp.lifecycle import Change
from session_runner.whatsapp.session import Listener, Session, SessionKey, Starts
from session_runner.whatsapp.session_files import device_of

logger = logging.getLogger(__name__)

STOP_SECONDS = 20.0


class Registry:
    """Holds the sessions.

    Args:
        capacity: how many it takes.
        executor: where sends and stops run.
        recorder: where facts go.
        wire: where notices go.
    """

    def __init__(self, capacity: int, executor: Executor, recorder: Recorder, wire: Wire) -> None:
        self._capacity = capacity
        self._executor = executor
        self._recorder = recorder
        self._wire = wire
        self._clock = SystemClock()
        self._starts = Starts()
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._orders: dict[str, Ordered] = {}

    def admit(self, key: SessionKey) -> Session:
        """Make a session that resumes a linked device; the caller starts it.

        Raises:
            HostError: ``not_paired``, ``already_running`` or ``full``.
        """
        if device_of(key.database) is None:
            # Started all the same, it would wait for a QR scan for ever and could not be stopped.
            raise HostError("not_paired", "the session file holds no device")
        return self._put(Session(key, self._starts, self._listener(key, self._stop_when_over)))

    def admit_unpaired(
        self,
        key: SessionKey,
        changed: Callable[[Session, Change], None],
        on_qr_code: Callable[[str], None],
        on_login_status: Callable[[str], None],
    ) -> Session:
        """Make a session that has yet to be linked; the caller starts it.

        Args:
            key: the session; its file must hold no device.
            changed: is told of connection events, after the supervisor.
            on_qr_code: takes QR codes.
            on_login_status: takes the library's word on the pairing.

        Raises:
            HostError: ``already_paired``, ``already_running`` or ``full``.
        """
        if device_of(key.database) is not None:
            raise HostError("already_paired", "the session file holds a device")
        return self._put(Session(key, self._starts, self._listener(key, changed, on_qr_code, on_login_status)))

    def get(self, channel_id: str) -> Session | None:
        """Return the channel's session, running or stopped."""
        with self._lock:
            return self._sessions.get(channel_id)

    def all(self) -> list[Session]:
        """Return all sessions, running or stopped."""
        with self._lock:
            return list(self._sessions.values())

    def order(self, channel_id: str) -> Ordered:
        """Return the channel's queue of work that keeps its order."""
        with self._lock:
            return self._orders.setdefault(channel_id, Ordered(self._executor))

    def forget(self, session: Session) -> None:
        """Drop a stopped session.

        Raises:
            HostError: ``already_running`` - it is not stopped.
        """
        if session.thread_alive:
            raise HostError("already_running", "the session is not stopped")
        with self._lock:
            if self._sessions.get(session.key.channel_id) is session:
                del self._sessions[session.key.channel_id]
                self._orders.pop(session.key.channel_id, None)

    def notify(self, key: SessionKey, kind: str, fields: dict[str, Any]) -> None:
        """Give a notice about one incarnation."""
        self._wire.notify(kind, channel_id=key.channel_id, incarnation=key.incarnation, **fields)

    def _put(self, session: Session) -> Session:
        channel_id = session.key.channel_id
        former = self.get(channel_id)
        if former is not None:
            if not former.state.is_over:
                raise HostError("already_running", "the channel's session runs in this host")
            if not former.stop(STOP_SECONDS):
                # Two incarnations at once would throw each other off WhatsApp.
                raise HostError("timeout", "the library has not let go of the former session")
        with self._lock:
            if self._sessions.get(channel_id) is not former:
                raise HostError("already_running", "the channel's session is being started")
            if former is None and len(self._sessions) >= self._capacity:
                raise HostError("full", f"this host holds {self._capacity} sessions")
            self._sessions[channel_id] = session
        return session

    def _listener(
        self,
        key: SessionKey,
        changed: Callable[[Session, Change], None],
        on_qr_code: Callable[[str], None] = lambda _code: None,
        on_login_status: Callable[[str], None] = lambda _status: None,
    ) -> Listener:
        return Listener(
            record=partial(self._recorder.record, key.clinic_id, key.channel_id),
            changed=partial(self._tell, changed),
            on_qr_code=on_qr_code,
            on_login_status=on_login_status,
        )

    def _tell(self, changed: Callable[[Session, Change], None], session: Session, change: Change) -> None:
        fields = {"event": change.event, "observed_at": to_text(self._clock.now()), **change.details}
        self.notify(session.key, "session_event", fields)
        changed(session, change)

    def _stop_when_over(self, session: Session, change: Change) -> None:
        if change.state is not None and change.state.is_over:
            # The library keeps a dead session's thread, memory and files until it is stopped.
            self._executor.submit(session.stop, STOP_SECONDS)
