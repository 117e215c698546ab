"""The requests a host answers."""

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from recado.kernel.clock import to_text
from session_runner.host.fence import FENCED_STATUS, Fence
from session_runner.host.last_resort import LastResort
from session_runner.host.linking import begin_linking, device_data
from session_runner.host.process import end_process
from session_runner.host.recording import Recorder
from session_runner.host.registry import STOP_SECONDS, Registry
from session_runner.host.wire import Wire
from session_runner.host.withdrawal import WITHDRAWN_STATUS, Withdrawal
from session_runner.hosts.errors import HostError, NotSentError
from session_runner.lease.deadline import LeaseDeadline
from session_runner.whatsapp.lifecycle import SessionState
from session_runner.whatsapp.pairing import PairingMethod
from session_runner.whatsapp.sending import Quoted
from session_runner.whatsapp.session import Session, SessionKey
from session_runner.whatsapp.session_files import take_snapshot

logger = logging.getLogger(__name__)

_FLUSH_SECONDS = 2.0
_FENCED_FLUSH_SECONDS = 0.1
# Above the sessions, each of which can be inside a send that waits 75 s: room for starts, stops and questions.
_SPARE_THREADS = 8
# A send can take 75 s and the supervisor waits 90 s: one that starts later than this would be given up while it runs.
_QUEUED_SECONDS = 12.0

Payload = dict[str, Any]
Handler = Callable[[Payload], Payload]


class HostService:
    """Answers requests until the process ends.

    Args:
        sessions: how many sessions it takes.
        pairing: whether this is a disposable host that links one device.
        recorder: where facts go.
        wire: where answers and notices go.
        deadline: the lease's deadline; None if nobody fences.
    """

    def __init__(
        self, *, sessions: int, pairing: bool, recorder: Recorder, wire: Wire, deadline: LeaseDeadline | None
    ) -> None:
        self._is_pairing_host = pairing
        self._wire = wire
        self._deadline = deadline
        self._executor = ThreadPoolExecutor(sessions + _SPARE_THREADS, thread_name_prefix="call")
        self._registry = Registry(sessions, self._executor, recorder, wire)
        self._withdrawal = Withdrawal(self._registry.all, self._end_withdrawn)
        recorder.on_failure = self._withdrawal.begin
        self._handlers: dict[str, Handler] = {
            "start_session": self._start_session,
            "pair": self._pair,
            "stop_session": self._stop_session,
            "forget_session": self._forget_session,
            "snapshot": self._snapshot,
            "status": self._status,
            "send_text": self._send_text,
            "check_numbers": self._check_numbers,
            "mark_read": self._mark_read,
            "typing": self._typing,
            "logout": self._logout,
            "shutdown": self._shutdown,
        }

    def fence(self) -> None:
        """Have this host end by itself when the lease's deadline has passed."""
        if self._deadline is not None:
            # A device that is being linked holds nothing that was acknowledged, and must not come to be linked.
            sessions = list if self._is_pairing_host else self._registry.all
            Fence(self._deadline, sessions, self._end_fenced, LastResort().strike_at).begin()

    def accept(self, request: Payload) -> None:
        """Take a request; it is answered from another thread."""
        number, kind, payload = request["id"], request["request"], request["payload"]
        if kind == "send_text" and "channel_id" in payload:
            latest = time.monotonic() + _QUEUED_SECONDS
            self._registry.order(payload["channel_id"]).submit(partial(self._answer_send, latest, number, payload))
        else:
            self._executor.submit(self._answer, number, kind, payload)

    def _answer_send(self, latest: float, number: int, payload: Payload) -> None:
        if time.monotonic() > latest:
            self._wire.refuse(number, NotSentError("busy", "the sends before it took too long").to_data())
        else:
            self._answer(number, "send_text", payload)

    def _answer(self, number: int, kind: str, payload: Payload) -> None:
        try:
            result = self._handlers[kind](payload)
        except HostError as error:
            self._wire.refuse(number, error.to_data())
        except (KeyError, TypeError, ValueError) as error:
            logger.exception("%s was asked wrongly", kind)
            self._wire.refuse(number, HostError("invalid_request", type(error).__name__).to_data())
        except Exception as error:
            logger.exception("%s failed", kind)
            self._wire.refuse(number, HostError("internal_error", type(error).__name__).to_data())
        else:
            self._wire.answer(number, result)
            if kind == "shutdown":
                self._end()

    def _start_session(self, payload: Payload) -> Payload:
        if self._is_pairing_host:
            raise HostError("wrong_host", "this host only links a device")
        self._require_lease()
        session = self._registry.admit(_key(payload))
        state = session.start()
        waiting = state in {SessionState.STARTING, SessionState.DISCONNECTED}
        return {"state": "connecting" if waiting else state, **device_data(session)}

    def _pair(self, payload: Payload) -> Payload:
        if not self._is_pairing_host:
            raise HostError("wrong_host", "a device is linked in a host of its own")
        self._require_lease()
        method = PairingMethod(payload["method"])
        begin_linking(self._registry, _key(payload), method, payload.get("phone"), self._end)
        return {}

    def _stop_session(self, payload: Payload) -> Payload:
        if not self._session(payload).stop(STOP_SECONDS):
            raise HostError("timeout", "the library has not let go yet; the stop goes on")
        return {}

    def _forget_session(self, payload: Payload) -> Payload:
        self._registry.forget(self._session(payload))
        return {}

    def _snapshot(self, payload: Payload) -> Payload:
        self._require_lease()
        snapshot = take_snapshot(self._session(payload).key.database, Path(payload["path"]))
        return {
            "path": str(snapshot.path),
            "size": snapshot.size,
            "sha256": snapshot.sha256,
            "fingerprint": snapshot.fingerprint,
        }

    def _status(self, _payload: Payload) -> Payload:
        sessions = {session.key.channel_id: _session_status(session) for session in self._registry.all()}
        descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only counted
        return {"sessions": sessions, "threads": threading.active_count(), "descriptors": descriptors}

    def _send_text(self, payload: Payload) -> Payload:
        self._require_lease()
        quoted = Quoted(**payload["quoted"]) if payload.get("quoted") else None
        session = self._registry.get(payload["channel_id"])
        if session is None:
            raise NotSentError("not_running", "no such session in this host")
        whatsapp_id, timestamp, party = session.send_text(payload["to_jid"], payload["text"], quoted)
        return {"whatsapp_id": whatsapp_id, "timestamp": to_text(timestamp), **party.to_data()}

    def _check_numbers(self, payload: Payload) -> Payload:
        return {"results": self._session(payload).check_numbers(payload["numbers"])}

    def _mark_read(self, payload: Payload) -> Payload:
        self._require_lease()
        chat = payload["chat"]
        self._session(payload).mark_read(payload["whatsapp_ids"], chat, payload.get("sender") or chat)
        return {}

    def _typing(self, payload: Payload) -> Payload:
        self._require_lease()
        self._session(payload).show_typing(payload["to_jid"], composing=payload["state"] == "composing")
        return {}

    def _logout(self, payload: Payload) -> Payload:
        self._require_lease()
        session = self._session(payload)
        session.logout()
        session.stop(STOP_SECONDS)
        return {}

    def _shutdown(self, _payload: Payload) -> Payload:
        stops = [
            threading.Thread(target=session.stop, args=(STOP_SECONDS,), daemon=True) for session in self._registry.all()
        ]
        for stop in stops:
            stop.start()
        for stop in stops:
            stop.join()
        return {}

    def _end(self) -> None:
        self._wire.flush(_FLUSH_SECONDS)
        end_process(0)

    def _end_fenced(self) -> None:
        self._wire.flush(_FENCED_FLUSH_SECONDS)
        end_process(FENCED_STATUS)

    def _end_withdrawn(self) -> None:
        self._wire.flush(_FLUSH_SECONDS)
        end_process(WITHDRAWN_STATUS)

    def _session(self, payload: Payload) -> Session:
        session = self._registry.get(payload["channel_id"])
        if session is None:
            raise HostError("unknown_session", "no such session in this host")
        return session

    def _require_lease(self) -> None:
        if self._deadline is not None and self._deadline.passed():
            raise NotSentError("lease_passed", "the shard's lease may be another's")
        if self._withdrawal.begun:
            raise NotSentError("disk_full", "this host is about to end: it cannot write")


def _session_status(session: Session) -> Payload:
    incoming = session.incoming
    running = session.state in {SessionState.CONNECTED, SessionState.DISCONNECTED}
    return {
        "incarnation": session.key.incarnation,
        "state": session.state,
        "connected": session.connected,
        "logged_in": session.connected,
        "thread_alive": session.thread_alive,
        "last_event_at": to_text(incoming.last_event_at) if incoming.last_event_at else None,
        "connected_at": to_text(incoming.connected_at) if incoming.connected_at else None,
        "keepalive_failures": incoming.keepalive_failures,
        "fingerprint": session.fingerprint() if running else None,
        "ignored": dict(incoming.ignored),
    }


def _key(payload: Payload) -> SessionKey:
    return SessionKey(
        clinic_id=payload["clinic_id"],
        channel_id=payload["channel_id"],
        incarnation=payload["incarnation"],
        database=Path(payload["database"]),
        proxy=payload.get("proxy"),
    )
