"""Counts of what passed through the simulator since it started."""

from __future__ import annotations

from collections import Counter


class Counters:
    """Named counters, e.g. ``stanza.message``, ``login``, ``keepalive``, ``prekeys.uploaded``."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, name: str, amount: int = 1) -> None:
        """Count something."""
        self._counts[name] += amount

    def set(self, name: str, value: int) -> None:
        """Set a gauge, such as the number of open sockets."""
        self._counts[name] = value

    def all(self) -> dict[str, int]:
        """All counters by name."""
        return dict(sorted(self._counts.items()))
