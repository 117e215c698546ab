"""Closing all connections of a host for good, and seeing that what they held has been written down."""

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from session_runner.whatsapp.session import Session


def close_connections(sessions: "Sequence[Session]", seconds: float) -> int:
    """Disconnect all sessions side by side; return how many have not let go after so many seconds."""
    closing = [threading.Thread(target=session.cut_off, daemon=True) for session in sessions]
    for thread in closing:
        thread.start()
    latest = time.monotonic() + seconds
    for thread in closing:
        thread.join(max(0.0, latest - time.monotonic()))
    return sum(thread.is_alive() for thread in closing)


def still_writing(sessions: "Sequence[Session]", quiet_seconds: float) -> int:
    """Return how many sessions are writing an event down, or have been until less than so many seconds ago."""
    return sum(session.incoming.quiet_seconds < quiet_seconds for session in sessions)
