"""One linked WhatsApp session, from the native call that starts it to the one that ends it.

An incarnation is used once: after a stop or a terminal event a new one takes its place, under an id of its own.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from neonize.proto import Neonize_pb2 as messages

from recado.kernel.clock import SystemClock
from session_runner.hosts.errors import HostError, NotSentError
from session_runner.whatsapp import native
from session_runner.whatsapp.gate import Gate
from session_runner.whatsapp.incoming import Incoming
from session_runner.whatsapp.lifecycle import Change, SessionState, end_reason
from session_runner.whatsapp.mapping import Fact
from session_runner.whatsapp.parties import Party, digits_of, party_of
from session_runner.whatsapp.sending import Quoted, address, call_failure, send_failure, text_message
from session_runner.whatsapp.session_files import Device, SessionStore, checkpoint, device_of

logger = logging.getLogger(__name__)

# A start has the gate for itself until it is connected (13 ms when WhatsApp answers), but no longer than this:
# the other sessions' sends wait meanwhile.
_GATE_SECONDS = 5.0
_START_SECONDS = 30.0
_QUIET_SECONDS = 0.15
_DRAIN_SECONDS = 15.0
_RETURN_SECONDS = 5.0
_PAIRING_CLIENT_TYPE = 1  # Chrome
_PAIRING_CLIENT_NAME = "Chrome (Linux)"  # WhatsApp refuses names that are not "Browser (System)"


@dataclass(frozen=True, slots=True)
class SessionKey:
    """Which session this is. ``incarnation`` is fresh for each start, ``proxy`` the URL it dials through."""

    clinic_id: str
    channel_id: str
    incarnation: str
    database: Path
    proxy: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class Starts:
    """What the sessions of a process share: the gate, and the right to start or stop, which one has at a time."""

    gate: Gate = field(default_factory=Gate)
    turn: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears of one incarnation. Called on the library's threads; must not raise."""

    record: Callable[[Fact], None]
    changed: Callable[["Session", Change], None]
    on_qr_code: Callable[[str], None] = lambda _code: None
    on_login_status: Callable[[str], None] = lambda _status: None


class Session:
    """One incarnation of a session."""

    def __init__(self, key: SessionKey, starts: Starts, listener: Listener) -> None:
        self.key = key
        self.state = SessionState.STARTING
        self._starts = starts
        self._listener = listener
        self._settled = threading.Event()
        self._stop_asked = threading.Event()
        self._stop_lock = threading.Lock()
        self._stopper: threading.Thread | None = None
        self._store: SessionStore | None = None
        self._store_lock = threading.Lock()
        self.incoming = Incoming(self, listener.record, self._change, SystemClock())
        self._client = native.NativeClient(
            key.database,
            starts.gate,
            native.Handlers(
                on_event=self.incoming.handle,
                on_end=self._ended,
                on_qr_code=listener.on_qr_code,
                on_login_status=listener.on_login_status,
            ),
            key.proxy,
        )

    def start(self, *, wait: bool = True) -> SessionState:
        """Start it, one at a time in the process, and return where it stands.

        Args:
            wait: wait for the first connection event, at most 30 s; off while it has yet to be paired.
        """
        with self._starts.turn:
            if self._stop_asked.is_set():
                return self.state
            with self._starts.gate.exclusive():
                self._client.launch()
                if wait:
                    self._settled.wait(_GATE_SECONDS)
            if wait:
                self._settled.wait(_START_SECONDS - _GATE_SECONDS)
        return self.state

    def stop(self, timeout: float) -> bool:
        """Disconnect, let the queued events in, stop; say whether that was done within ``timeout`` seconds.

        It goes on in the background when it was not: the library blocks while it is dialling.
        """
        with self._stop_lock:
            if self._stopper is None:
                self._stopper = threading.Thread(target=self._stop, name="stop", daemon=True)
                self._stopper.start()
        self._stopper.join(timeout)
        return not self._stopper.is_alive()

    def cut_off(self) -> None:
        """Close the connection for good and leave it at that: what the library took before still comes.

        It is not stopped, nothing is saved, and it does not connect again. Blocks while the library is dialling.
        """
        self._stop_asked.set()
        self._settled.set()
        self._client.disconnect()

    @property
    def connected(self) -> bool:
        """Say whether it is connected and logged in, as far as the library has told."""
        return self.state is SessionState.CONNECTED

    @property
    def thread_alive(self) -> bool:
        """Say whether the native call has not returned."""
        return self._client.is_running()

    def device(self) -> Device | None:
        """Return the linked device; None before pairing and after a log-out."""
        return device_of(self.key.database)

    def fingerprint(self) -> str:
        """Return a text that changes whenever a new snapshot is worth taking."""
        return self._opened_store().fingerprint()

    def lid_of(self, phone_digits: str) -> str | None:
        """Return the digits of the LID that belongs to a phone number."""
        return self._opened_store().lid_of(phone_digits)

    def phone_of(self, lid_digits: str) -> str | None:
        """Return the digits of the phone number that belongs to a LID."""
        return self._opened_store().phone_of(lid_digits)

    def send_text(self, recipient: str, body: str, quoted: Quoted | None) -> tuple[str, datetime, Party]:
        """Send a text and return its WhatsApp id, WhatsApp's time for it and the recipient's addresses.

        Blocks up to 75 s. There is no id before it returns: neonize takes none from its caller.

        Args:
            recipient: a JID text of a person.
            body: the text.
            quoted: the message it answers to.

        Raises:
            NotSentError: it certainly never left.
            RefusedError: WhatsApp refused it.
            UnknownOutcomeError: it may have left.
        """
        to = address(recipient)
        message = text_message(body, quoted)
        self._require_connection()
        answer = self._client.send_message(to, message)
        if answer.Error:
            raise send_failure(answer.Error)
        response = answer.SendResponse
        return response.ID, datetime.fromtimestamp(response.Timestamp, UTC), party_of(to, response.Chat, self)

    def check_numbers(self, numbers: list[str]) -> list[dict[str, Any]]:
        """Ask which numbers (``+5511…``) are on WhatsApp; answers are in the order of the questions.

        Each answer is ``{"e164", "on_whatsapp", "registered_e164", "lid"}``; the registered number can differ from the
        one asked for (Brazil's ninth digit).
        """
        self._require_connection()
        answer = self._client.are_on_whatsapp(numbers)
        if answer.Error:
            raise call_failure(answer.Error)
        found = {digits_of(response.Query.lstrip("+")): response for response in answer.IsOnWhatsAppResponse}
        return [self._check_result(number, found.get(number.lstrip("+"))) for number in numbers]

    def mark_read(self, whatsapp_ids: list[str], chat: str, sender: str) -> None:
        """Tell a sender that their messages were read."""
        self._require_connection()
        now = int(datetime.now(UTC).timestamp())
        if error := self._client.mark_read(whatsapp_ids, now, address(chat), address(sender)):
            raise call_failure(error)

    def show_typing(self, chat: str, *, composing: bool) -> None:
        """Show the other side that we are typing, or no longer."""
        self._require_connection()
        if error := self._client.send_chat_presence(address(chat), 0 if composing else 1):
            raise call_failure(error)

    def logout(self) -> None:
        """Unlink the device: WhatsApp is told and the device row deleted. The session still has to be stopped."""
        self._require_connection()
        if error := self._client.logout():
            raise call_failure(error)
        # The library sends no event for a log-out of our own.
        self.state = SessionState.LOGGED_OUT

    def request_pairing_code(self, phone: str) -> str:
        """Ask WhatsApp for the code ``ABCD-EFGH`` to enter on the phone with that number; after the first QR code.

        Raises:
            HostError: WhatsApp refused.
        """
        answer = self._client.pair_phone(
            messages.PairPhoneParams(
                phone=phone.lstrip("+"),
                clientDisplayName=_PAIRING_CLIENT_NAME,
                clientType=_PAIRING_CLIENT_TYPE,
                showPushNotification=True,
            )
        )
        if answer.Error:
            raise call_failure(answer.Error)
        return str(answer.Code)

    def _check_result(self, number: str, response: Any | None) -> dict[str, Any]:
        if response is None or not response.IsIn:
            return {"e164": number, "on_whatsapp": False, "registered_e164": None, "lid": None}
        party = party_of(response.JID, response.JID, self)
        return {"e164": number, "on_whatsapp": True, "registered_e164": party.e164 or number, "lid": party.lid}

    def _require_connection(self) -> None:
        if self.state is not SessionState.CONNECTED:
            raise NotSentError("not_connected", f"the session is {self.state}")

    def _opened_store(self) -> SessionStore:
        # Only once the library has made the schema; the file must exist.
        with self._store_lock:
            if self._store is None:
                if not self.key.database.exists():
                    raise HostError("not_paired", "there is no session file")
                self._store = SessionStore(self.key.database)
            return self._store

    def _change(self, change: Change) -> None:
        if change.state is SessionState.CONNECTED and not self.incoming.own.canonical and (device := self.device()):
            # A session that was linked just now began without an account.
            self.incoming.own = device.party
        if change.state is not None and not self.state.is_over:
            self.state = change.state
            # A disconnect while starting (maintenance) counts too: the library goes on by itself, the next may start.
            self._settled.set()
        self._listener.changed(self, change)

    def _ended(self, text: str) -> None:
        if self._stop_asked.is_set():
            return
        reason = end_reason(text, through_proxy=self.key.proxy is not None)
        logger.error("the event pump ended unasked (%s): %s", reason, native.loggable(text))
        self._change(Change("pump_ended", SessionState.PUMP_ENDED, {"reason": reason}))

    def _stop(self) -> None:
        if self.connected and not self.incoming.wait_for_history():
            logger.warning("a part of the phone's history was announced and has not come")
        self.cut_off()
        if not self.incoming.wait_until_quiet(_QUIET_SECONDS, _DRAIN_SECONDS):
            logger.error("events still come %d s after the disconnect; those left are lost", _DRAIN_SECONDS)
        with self._starts.turn, self._starts.gate.exclusive():
            self._client.stop()
        if not self._client.join(_RETURN_SECONDS):
            logger.error("the native call did not return after the stop")
        self._client.forget()
        with self._store_lock:
            if self._store is not None:
                self._store.close()
                self._store = None
        checkpoint(self.key.database)
        if not self.state.is_over:
            self.state = SessionState.STOPPED
        self._listener.changed(self, Change("stopped"))
