"""Times as the control API and the ledger write them."""

from __future__ import annotations

import datetime as dt
import time


def now_text() -> str:
    """The present moment, e.g. ``2026-09-21T12:34:56.789Z``."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def epoch_text() -> str:
    """Whole seconds since 1970, as stanzas carry them."""
    return str(int(time.time()))
