"""What one session does with each event of the library: journal it, tell it, or count it. Nothing is dropped unseen."""

import base64
import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

from recado.kernel.clock import Clock
from recado.kernel.masking import mask_phones_in
from session_runner.whatsapp.event_codes import COUNTED_ONLY, EventCode
from session_runner.whatsapp.history import announces_history, map_history
from session_runner.whatsapp.lifecycle import Change, change_of
from session_runner.whatsapp.mapping import Fact, Ignored, View, map_message, map_receipt, map_undecryptable
from session_runner.whatsapp.native import decode_event
from session_runner.whatsapp.parties import AddressBook, Party, digits_of, party_from_digits

logger = logging.getLogger(__name__)

_LARGEST_RAW_BYTES = 48 * 1024
_QUIET_POLL_SECONDS = 0.02
# For how long after it was announced a chunk of the phone's history may be on its way: it is fetched from the media
# service meanwhile, and a chunk that cannot be fetched is never told.
_HISTORY_SECONDS = 5.0
_MAPPERS: dict[int, Callable[[Any, View], Fact | Ignored]] = {
    EventCode.MESSAGE: map_message,
    EventCode.RECEIPT: map_receipt,
    EventCode.UNDECRYPTABLE_MESSAGE: map_undecryptable,
}


class Incoming:
    """The event callback of one incarnation.

    The library takes what it hands us as done (it has acknowledged it to WhatsApp), so ``handle`` returns only when the
    fact is on the disk, and blocking it is the back-pressure.

    Args:
        book: the session's pairs of phone number and LID.
        record: writes a fact to the journal and returns when it is safe; does not raise.
        changed: is told of connection events; does not raise.
        clock: the clock.
    """

    def __init__(
        self, book: AddressBook, record: Callable[[Fact], None], changed: Callable[[Change], None], clock: Clock
    ) -> None:
        self.own = Party()
        self.ignored: Counter[str] = Counter()
        self.last_event_at: datetime | None = None
        self.connected_at: datetime | None = None
        self.keepalive_failures = 0
        self._book = book
        self._record = record
        self._changed = changed
        self._clock = clock
        self._catching_up = False
        self._handling = 0
        self._idle_since = time.monotonic()
        self._history_awaited = 0
        self._history_until = time.monotonic()

    def handle(self, code: int, payload: bytes) -> None:
        """Handle one event; never raises.

        Args:
            code: the event's number.
            payload: its protobuf.
        """
        self._handling += 1
        self.last_event_at = self._clock.now()
        try:
            self._handle(code, payload)
        except Exception as error:  # noqa: BLE001 - raised into Go it would be lost; it goes to the journal as it is
            logger.error("event %d cannot be mapped: %s", code, type(error).__name__)  # noqa: TRY400 - may hold a text
            self._record(_unmapped(code, payload, error, self._clock.now()))
        finally:
            self._idle_since = time.monotonic()
            self._handling -= 1

    @property
    def quiet_seconds(self) -> float:
        """For how long no event has come; 0 while one is being handled."""
        return 0.0 if self._handling else time.monotonic() - self._idle_since

    def wait_until_quiet(self, quiet_seconds: float, timeout: float) -> bool:
        """Wait until no event came for a while; say whether that was reached within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        since = time.monotonic()
        while time.monotonic() < deadline:
            if self._handling == 0 and time.monotonic() - max(self._idle_since, since) >= quiet_seconds:
                return True
            time.sleep(_QUIET_POLL_SECONDS)
        return False

    def wait_for_history(self) -> bool:
        """Wait for the chunks of history that were announced and have not come; say whether all came.

        Bounded: at most five seconds after the last was announced. The announcement is acknowledged to WhatsApp, so
        that whoever disconnects before the chunk is fetched has lost it.
        """
        while self._history_awaited > 0 and time.monotonic() < self._history_until:
            time.sleep(_QUIET_POLL_SECONDS)
        return self._history_awaited == 0

    def _handle(self, code: int, payload: bytes) -> None:
        if reason := COUNTED_ONLY.get(code):
            self.ignored[reason] += 1
            return
        if code == EventCode.HISTORY_SYNC:
            self._history_awaited = max(self._history_awaited - 1, 0)
        event = decode_event(code, payload)
        if code == EventCode.MESSAGE and announces_history(event):
            self._history_until = time.monotonic() + _HISTORY_SECONDS
            self._history_awaited += 1
        if mapper := _MAPPERS.get(code):
            outcome = mapper(event, self._view())
            if isinstance(outcome, Fact):
                self._record(outcome)
            else:
                self.ignored[outcome.reason] += 1
            return
        if code == EventCode.HISTORY_SYNC:
            self._take_history(event)
            return
        self._note(code, event)
        if change := change_of(code, event):
            self._changed(change)

    def _take_history(self, event: Any) -> None:
        history = map_history(event, self._view())
        for fact in history.facts:
            self._record(fact)
        self.ignored.update(history.ignored)

    def _note(self, code: int, event: Any) -> None:
        match code:
            case EventCode.DEVICE:
                self.own = party_from_digits(digits_of(event.JID.User), digits_of(event.LID.User))
            case EventCode.CONNECTED:
                self.connected_at = self._clock.now()
                self.keepalive_failures = 0
            case EventCode.DISCONNECTED:
                self.connected_at = None
                self._catching_up = False
            case EventCode.OFFLINE_SYNC_PREVIEW:
                self._catching_up = event.Total > 0
            case EventCode.OFFLINE_SYNC_COMPLETED:
                self._catching_up = False
            case EventCode.KEEPALIVE_TIMEOUT:
                self.keepalive_failures = event.ErrorCount
            case EventCode.KEEPALIVE_RESTORED:
                self.keepalive_failures = 0

    def _view(self) -> View:
        live_since = None if self._catching_up else self.connected_at
        return View(own=self.own, book=self._book, now=self._clock.now(), live_since=live_since)


def _unmapped(code: int, payload: bytes, error: Exception, now: datetime) -> Fact:
    # A chunk of history is a person's past; nothing of it is kept, least of all what cannot be understood.
    kept = len(payload) <= _LARGEST_RAW_BYTES and code != EventCode.HISTORY_SYNC
    raw = base64.b64encode(payload).decode() if kept else None
    data = {"event_code": code, "reason": mask_phones_in(repr(error))[:200], "raw": raw}
    return Fact("message.unmapped", (str(code), hashlib.sha256(payload).hexdigest()), now, data)
