"""What a host does when its journal cannot be written, as on a full disk: it stops listening to WhatsApp.

The library needs the disk as much as we do. Without it it cannot decrypt what comes, tells WhatsApp so a few times,
and then lets the message go; and it sends nothing. With the connections closed WhatsApp's server keeps the messages.
The host waits for as long as it takes until what it had taken is written, and ends; its sessions are then started on
another one.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from session_runner.host.closing import close_connections, still_writing

if TYPE_CHECKING:
    from session_runner.whatsapp.session import Session

logger = logging.getLogger(__name__)

WITHDRAWN_STATUS = 74
CLOSE_SECONDS = 1.0
QUIET_SECONDS = 0.3


class Withdrawal:
    """Happens once.

    Args:
        sessions: the sessions that run here.
        end: ends the process.
    """

    def __init__(self, sessions: Callable[[], "Sequence[Session]"], end: Callable[[], object]) -> None:
        self._sessions = sessions
        self._end = end
        self._begun = threading.Event()

    @property
    def begun(self) -> bool:
        """Whether this host takes nothing on any more."""
        return self._begun.is_set()

    def begin(self) -> None:
        """Close the connections and end once all is written, in a thread of its own."""
        if not self._begun.is_set():
            self._begun.set()
            threading.Thread(target=self._run, name="withdrawal", daemon=True).start()

    def _run(self) -> None:
        sessions = list(self._sessions())
        open_still = close_connections(sessions, CLOSE_SECONDS)
        logger.error("the journal cannot be written: connections closed, %d are not", open_still)
        while still_writing(sessions, QUIET_SECONDS):
            time.sleep(QUIET_SECONDS / 5)
        logger.error("all that was taken is written: ending")
        self._end()
