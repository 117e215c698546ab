"""A clock that stands still until told to move."""

from datetime import UTC, datetime, timedelta


class FixedClock:
    """Starts at a round moment; ``advance`` moves wall clock and monotonic seconds alike."""

    def __init__(self, now: datetime | None = None, monotonic: float = 1000.0) -> None:
        self._now = now or datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
        self._monotonic = monotonic

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float = 0, **duration: float) -> datetime:
        """Move on by seconds and/or the arguments of timedelta; return the new moment."""
        step = timedelta(seconds=seconds, **duration)
        self._now += step
        self._monotonic += step.total_seconds()
        return self._now
