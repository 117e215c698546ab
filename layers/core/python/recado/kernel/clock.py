"""The clock that rules take as an argument, and the one way in which moments are written."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What rules may know of time."""

    def now(self) -> datetime:
        """Return the moment in UTC; may jump when the machine's clock is set."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards, comparable only within this process."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the moment in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the process's monotonic seconds."""
        return time.monotonic()


def to_text(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC with milliseconds, as in ``2026-11-22T13:00:00.000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_text(text: str) -> datetime:
    """Read a moment written as RFC 3339.

    Raises:
        ValueError: the text is no moment, or names no time zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return moment.astimezone(UTC)
