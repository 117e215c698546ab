"""What a host does when the lease's deadline passes: it closes its sockets, writes down what they held, and ends.

WhatsApp may have the acknowledgement of everything that its library took from a socket, and will not tell it again:
killed at once, a host would lose what waits between the library and the journal. With the socket closed nothing more is
taken or acknowledged, and the rest is written within moments. Sends, snapshots and starts are refused from the deadline
on.

Nobody has to tell it: supervisor and hosts share the deadline, and each looks for itself. A host that cannot, because
it is frozen or hangs, is killed by the kernel a little later, well before another task may begin.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from session_runner.host.closing import close_connections, still_writing
from session_runner.lease.deadline import LeaseDeadline

if TYPE_CHECKING:
    from session_runner.whatsapp.session import Session

logger = logging.getLogger(__name__)

FENCED_STATUS = 70
LOOK_SECONDS = 0.1
# A library that is dialling does not let go of its socket; nobody waits for it.
CLOSE_SECONDS = 1.0
QUIET_SECONDS = 0.3
DRAIN_SECONDS = 3.0
# From the deadline to the kernel's SIGKILL: as long as all of the above may take, and half of the ten seconds that lie
# between the deadline and the earliest take-over.
GRACE_SECONDS = 5.0


class Fence:
    """Watches the deadline in a thread of its own.

    Args:
        deadline: the lease's deadline.
        sessions: the sessions that run here.
        end: ends the process; called with whatever was written.
        kill_at: sets the moment (of ``time.monotonic``) at which the kernel kills the process.
    """

    def __init__(
        self,
        deadline: LeaseDeadline,
        sessions: Callable[[], "Sequence[Session]"],
        end: Callable[[], object],
        kill_at: Callable[[float], None],
    ) -> None:
        self._deadline = deadline
        self._sessions = sessions
        self._end = end
        self._kill_at = kill_at

    def begin(self) -> None:
        """Watch from now on."""
        threading.Thread(target=self._watch, name="fence", daemon=True).start()

    def _watch(self) -> None:
        # Until it is set for the first time there is nothing to lose.
        while self._deadline.passed():
            time.sleep(LOOK_SECONDS)
        armed = 0.0
        while not self._deadline.passed():
            if (until := self._deadline.until) > armed:
                self._kill_at(until + GRACE_SECONDS)
                armed = until
            time.sleep(LOOK_SECONDS)
        self._strike()

    def _strike(self) -> None:
        self._kill_at(time.monotonic() + GRACE_SECONDS)
        sessions = list(self._sessions())
        logger.warning("the lease's deadline has passed: closing %d connections", len(sessions))
        open_still = close_connections(sessions, CLOSE_SECONDS)
        noisy = self._drained(sessions)
        logger.warning("fenced with %d connections not closed and %d not drained", open_still, noisy)
        self._end()

    def _drained(self, sessions: "Sequence[Session]") -> int:
        """Wait until no session writes anything any more; return how many still do when that takes too long."""
        began = time.monotonic()
        while time.monotonic() - began < QUIET_SECONDS or still_writing(sessions, QUIET_SECONDS):
            if time.monotonic() - began > DRAIN_SECONDS:
                break
            time.sleep(LOOK_SECONDS / 5)
        return still_writing(sessions, QUIET_SECONDS)
