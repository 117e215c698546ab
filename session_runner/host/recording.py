"""Facts into the journal, whatever it takes: the event callback that waits for it is the back-pressure."""

import logging
import sqlite3
import time
from collections.abc import Callable

from session_runner.host.wire import Wire
from session_runner.journal.journal import Journal
from session_runner.whatsapp.mapping import Fact

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.1
# Not for long once there is room again: what waits here is lost with the process.
_LONGEST_PAUSE_SECONDS = 0.8


class Recorder:
    """Writes facts and tells the supervisor.

    A fact that cannot be written is tried again for as long as the process lives: the library has acknowledged it to
    WhatsApp, which will not send it again.

    Attributes:
        on_failure: called whenever a fact could not be written.
    """

    def __init__(self, journal: Journal, wire: Wire, sleep: Callable[[float], None] = time.sleep) -> None:
        self._journal = journal
        self._wire = wire
        self._sleep = sleep
        self.on_failure: Callable[[], None] = lambda: None

    def record(self, clinic_id: str, channel_id: str, fact: Fact) -> None:
        """Return once the fact is on the disk."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                self._journal.append(clinic_id, channel_id, fact.kind, fact.identity, fact.fact_at, fact.data)
            except sqlite3.Error as error:
                logger.exception("the journal cannot be written; trying again in %.1f s", pause)
                self.on_failure()
                self._wire.notify("journal_failed", channel_id=channel_id, error=type(error).__name__)
                self._sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            else:
                self._wire.notify_journal_written()
                return
