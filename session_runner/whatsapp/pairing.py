"""Linking a device, watched from outside: the library never ends a pairing that did not succeed.

When the codes are used up, the phone refuses or the connection drops, the native call waits for ever and no call ends
it (whatsmeow has given up by then). So pairing runs in a process of its own, this watch says when it is over, and
the process exits.
"""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from recado.kernel.clock import to_text
from session_runner.hosts.errors import HostError

logger = logging.getLogger(__name__)

# whatsmeow shows the first code for 60 s and each of the five others for 20 s (qrchan.go).
_FIRST_CODE_SECONDS = 60.0
_NEXT_CODE_SECONDS = 20.0
_ALL_CODES_SECONDS = 160.0
_GRACE_SECONDS = 5.0
_FIRST_CODE_WITHIN_SECONDS = 60.0
# Login and the upload of 812 prekeys take 1.3 to 2.5 s against a fast server.
_CONNECTED_WITHIN_SECONDS = 90.0

_REASONS = {
    "timeout": "timeout",
    "err-client-outdated": "client_outdated",
    "err-scanned-without-multidevice": "not_multidevice",
    "err-unexpected-state": "unexpected_state",
    "error": "error",
}


class PairingMethod(StrEnum):
    """How the phone is told which device to link."""

    QR = "qr"
    CODE = "code"


class Pairing:
    """The watch over one attempt.

    Args:
        method: by QR code, or by a code of eight letters.
        phone: the number to link, as ``+5511…``; needed for a code.
        request_code: asks WhatsApp for the letters; blocks.
        notify: gives a notice: its kind and its fields.
        end: ends the process for the given reason; called once.
    """

    def __init__(
        self,
        method: PairingMethod,
        phone: str | None,
        request_code: Callable[[str], str],
        notify: Callable[[str, dict[str, Any]], None],
        end: Callable[[str], None],
    ) -> None:
        self._method = method
        self._phone = phone
        self._request_code = request_code
        self._notify = notify
        self._end = end
        self._lock = threading.Lock()
        self._codes = 0
        self._linked = False
        self._over = False
        self._timer: threading.Timer | None = None

    def begin(self) -> None:
        """Start the watch, before the session is started."""
        self._expect_within(_FIRST_CODE_WITHIN_SECONDS, "unreachable")

    def on_qr_code(self, code: str) -> None:
        """Take a new QR code, which holds a secret, from the library."""
        self._codes += 1
        shown = _FIRST_CODE_SECONDS if self._codes == 1 else _NEXT_CODE_SECONDS
        self._expect_within(shown + _GRACE_SECONDS, "timeout")
        if self._method is PairingMethod.QR:
            self._notify_code(code, shown)
        elif self._codes == 1:
            threading.Thread(target=self._ask_for_letters, name="pairing-code", daemon=True).start()

    def on_login_status(self, status: str) -> None:
        """Take the library's word on how the pairing ended."""
        if status == "success":
            self._linked = True
            self._expect_within(_CONNECTED_WITHIN_SECONDS, "not_connected")
            return
        if status == "code":
            return
        reason = "passkey_required" if "passkey" in status else _REASONS.get(status, "error")
        self.fail(reason)

    def connected(self) -> bool:
        """Take note that the session is connected, its prekeys uploaded; say whether that completes the pairing."""
        with self._lock:
            if self._over:
                return False
            self._over = True
            if self._timer is not None:
                self._timer.cancel()
        return True

    def fail(self, reason: str) -> None:
        """End the attempt, unless it is over."""
        with self._lock:
            if self._over:
                return
            self._over = True
            if self._timer is not None:
                self._timer.cancel()
        logger.warning("pairing ended: %s", reason)
        self._end(reason)

    def _ask_for_letters(self) -> None:
        try:
            code = self._request_code(self._phone or "")
        except HostError as error:
            logger.warning("WhatsApp gave no pairing code: %s", error)
            self.fail("rate_limited" if "429" in error.message else "code_refused")
            return
        self._notify_code(code, _ALL_CODES_SECONDS)

    def _notify_code(self, code: str, shown: float) -> None:
        expires_at = to_text(datetime.now(UTC) + timedelta(seconds=shown))
        self._notify("pairing_code", {"method": self._method, "code": code, "expires_at": expires_at})

    def _expect_within(self, seconds: float, reason: str) -> None:
        with self._lock:
            if self._over:
                return
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(seconds, self.fail, (reason,))
            self._timer.daemon = True
            self._timer.start()
