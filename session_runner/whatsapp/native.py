"""The native library itself: the only module that loads neonize, and the only one that calls its entry points.

The library's own ``connect()`` is not used: it needs a second thread per session that polls, and passes its caller's
``jid`` as the key of the session. Here each incarnation of a session is one call of the ``Neonize`` entry point on one
daemon thread, under a uuid of its own. The ctypes callbacks are the process's, kept for ever and told apart by uuid:
Go's threads may still call one after its session ended.
"""

import ctypes
import logging
import threading
import uuid as uuid_module
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from neonize import _binder
from neonize.events import INT_TO_EVENT
from neonize.proto import Neonize_pb2 as messages
from neonize.proto.waCompanionReg.WAWebProtobufsCompanionReg_pb2 import DeviceProps

from recado.kernel.masking import mask_phones_in
from session_runner.whatsapp.event_codes import SUBSCRIBED
from session_runner.whatsapp.gate import Gate

logger = logging.getLogger(__name__)
library = _binder.gocode

# Stop returns nothing, but neonize takes whatever the register holds for a text and frees it: on x86-64 that happens to
# be nothing, on arm64 it aborts the process ("double free or corruption").
del library.Stop.errcheck
library.Stop.restype = None

# Write-ahead logging lets a snapshot read while the session writes. "immediate" takes the write lock when a
# transaction begins, where waiting works; a deferred one that turns writer fails at once with SQLITE_BUSY.
_DATABASE_OPTIONS = "_journal_mode=WAL&_synchronous=NORMAL&_busy_timeout=10000&_txlock=immediate&_foreign_keys=on"
# INFO and DEBUG would log every stanza.
_LOG_LEVEL = b"WARN"
_LONGEST_LOG_LINE = 300
_DEVICE_NAME = "Recado"


def decode_event(code: int, payload: bytes) -> Any:
    """Return the protobuf of an event.

    Raises:
        google.protobuf.message.DecodeError: the payload is not of that event.
        KeyError: neonize knows no event of that number.
    """
    return INT_TO_EVENT[code].FromString(payload)


@dataclass(frozen=True, slots=True)
class Handlers:
    """What one incarnation wants to hear. All are called on its own thread and must not raise."""

    on_event: Callable[[int, bytes], None]
    on_end: Callable[[str], None]
    on_qr_code: Callable[[str], None]
    on_login_status: Callable[[str], None]


class NativeClient:
    """One incarnation of a session inside the library.

    Args:
        database: its SQLite file; one session a file.
        gate: the process's gate.
        handlers: who is told what happens.
        proxy: URL of the proxy that it dials through; None: as the process's environment says.
    """

    def __init__(self, database: Path, gate: Gate, handlers: Handlers, proxy: str | None = None) -> None:
        self._gate = gate
        self._proxy = _binder.ProxySettings(proxy) if proxy else None
        self._handlers = handlers
        self._name = f"{quote(str(database))}?{_DATABASE_OPTIONS}&x=".encode()
        self._uuid = uuid_module.uuid4().hex.encode()
        self._thread = threading.Thread(target=self._run, name=f"session-{database.parent.name}", daemon=True)

    def launch(self) -> None:
        """Enter the native call on a thread of its own. Hold the gate exclusively round it."""
        _handlers_by_uuid[self._uuid] = self._handlers
        self._thread.start()

    def is_running(self) -> bool:
        """Say whether the native call has not returned."""
        return self._thread.is_alive()

    def join(self, timeout: float) -> bool:
        """Wait for the native call to return; say whether it did, or was never entered."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def disconnect(self) -> None:
        """Close the connection; queued events still come. Blocks while the library is dialling (up to 60 s)."""
        with self._gate.shared():
            library.Disconnect(self._uuid)

    def stop(self) -> None:
        """Forget the client inside the library. Hold the gate exclusively round it; disconnect first."""
        library.Stop(self._uuid)

    def forget(self) -> None:
        """Hear nothing more of it."""
        _handlers_by_uuid.pop(self._uuid, None)

    def send_message(self, recipient: Any, message: Any) -> Any:
        """Send a message; return ``SendMessageReturnFunction``. Blocks up to 75 s."""
        to, body = recipient.SerializeToString(), message.SerializeToString()
        with self._gate.shared():
            answer = library.SendMessage(self._uuid, to, len(to), body, len(body))
        return messages.SendMessageReturnFunction.FromString(answer)

    def pair_phone(self, parameters: Any) -> Any:
        """Ask for a pairing code; return ``PairPhoneReturnFunction``. Possible once the first QR code came."""
        body = parameters.SerializeToString()
        with self._gate.shared():
            answer = library.PairPhone(self._uuid, body, len(body))
        return messages.PairPhoneReturnFunction.FromString(answer)

    def are_on_whatsapp(self, numbers: list[str]) -> Any:
        """Ask whether numbers are registered; return ``IsOnWhatsAppReturnFunction``."""
        body = " ".join(numbers).encode()
        with self._gate.shared():
            answer = library.IsOnWhatsApp(self._uuid, body, len(body))
        return messages.IsOnWhatsAppReturnFunction.FromString(answer)

    def mark_read(self, whatsapp_ids: list[str], timestamp: int, chat: Any, sender: Any) -> str:
        """Send read receipts; return the error's text or an empty one."""
        in_chat, by_sender = chat.SerializeToString(), sender.SerializeToString()
        joined = " ".join(whatsapp_ids).encode()
        with self._gate.shared():
            answer: bytes = library.MarkRead(
                self._uuid, joined, timestamp, in_chat, len(in_chat), by_sender, len(by_sender), b"read"
            )
        return answer.decode()

    def send_chat_presence(self, chat: Any, state: int) -> str:
        """Say that we are typing (0) or have paused (1); return the error's text or an empty one."""
        to = chat.SerializeToString()
        with self._gate.shared():
            answer: bytes = library.SendChatPresence(self._uuid, to, len(to), state, 0)
        return answer.decode()

    def logout(self) -> str:
        """Unlink the device and delete its row; return the error's text or an empty one."""
        with self._gate.shared():
            answer: bytes = library.Logout(self._uuid)
        return answer.decode()

    def _run(self) -> None:
        properties = DeviceProps(os=_DEVICE_NAME, platformType=DeviceProps.PlatformType.DESKTOP).SerializeToString()
        proxy = self._proxy._to_c_struct() if self._proxy else None  # noqa: SLF001 - the library offers nothing else
        try:
            answer: bytes = library.Neonize(
                self._name,
                self._uuid,
                b"",
                0,
                0,
                _LOG_LEVEL,
                _qr_code_callback,
                _login_status_callback,
                _event_callback,
                _log_callback,
                SUBSCRIBED,
                len(SUBSCRIBED),
                properties,
                len(properties),
                b"",
                0,
                ctypes.byref(proxy) if proxy else None,
            )
            reason = answer.decode(errors="replace")
        except Exception as error:
            logger.exception("the native call failed")
            reason = repr(error)
        self._handlers.on_end(reason)


_handlers_by_uuid: dict[bytes, Handlers] = {}


def _on_qr_code(uuid: int, code: int) -> None:
    if handlers := _handlers_by_uuid.get(ctypes.string_at(uuid)):
        handlers.on_qr_code(ctypes.string_at(code).decode())


def _on_login_status(uuid: int, status: int) -> None:
    if handlers := _handlers_by_uuid.get(ctypes.string_at(uuid)):
        handlers.on_login_status(ctypes.string_at(status).decode())


def _on_event(uuid: bytes, payload: int, size: int, code: int) -> None:
    if handlers := _handlers_by_uuid.get(uuid):
        handlers.on_event(code, ctypes.string_at(payload, size) if size else b"")


def _on_log(payload: int, size: int) -> None:
    try:
        entry = messages.LogEntry.FromString(ctypes.string_at(payload, size))
    except Exception:
        logger.exception("a log line of the library cannot be read")
        return
    level = logging.ERROR if entry.Level.upper() == "ERROR" else logging.WARNING
    logger.log(level, "whatsmeow %s: %s", entry.Name, loggable(entry.Message))


def loggable(text: str) -> str:
    """Return a text of the library without stanzas and numbers: what follows a ``<`` is a stanza."""
    return mask_phones_in(text.partition("<")[0])[:_LONGEST_LOG_LINE]


_qr_code_callback = _binder.func_string(_on_qr_code)
_login_status_callback = _binder.func_string(_on_login_status)
_event_callback = _binder.func_callback_bytes(_on_event)
_log_callback = _binder.func_callback_bytes2(_on_log)
