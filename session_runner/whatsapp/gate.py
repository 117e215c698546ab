"""A reader/writer gate round the native calls.

The library keeps its clients in Go maps without a lock: a start or stop that writes them while any call reads them
aborts the whole process (``fatal error: concurrent map read and map write``), which nothing can catch.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# A call looks its client up in the map as its first step. A send can then wait 75 s for the server; waiting for it
# would stop every start and stop of the process, so a call counts as past the map after this long.
_SETTLED_SECONDS = 1.0


class Gate:
    """Many calls at once, or one start or stop alone; those who wait to be alone go before new calls."""

    def __init__(
        self, settled_seconds: float = _SETTLED_SECONDS, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._settled_seconds = settled_seconds
        self._monotonic = monotonic
        self._condition = threading.Condition()
        self._entered: dict[object, float] = {}
        self._waiting_alone = 0
        self._alone = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the gate together with other calls."""
        token = object()
        with self._condition:
            self._condition.wait_for(lambda: not self._alone and self._waiting_alone == 0)
            self._entered[token] = self._monotonic()
        try:
            yield
        finally:
            with self._condition:
                del self._entered[token]
                self._condition.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the gate alone: no call is before or in its look-up of the maps."""
        with self._condition:
            self._waiting_alone += 1
            try:
                while self._alone or self._unsettled_seconds() > 0:
                    self._condition.wait(None if self._alone else self._unsettled_seconds())
                self._alone = True
            finally:
                self._waiting_alone -= 1
                self._condition.notify_all()
        try:
            yield
        finally:
            with self._condition:
                self._alone = False
                self._condition.notify_all()

    def _unsettled_seconds(self) -> float:
        if not self._entered:
            return 0.0
        return max(self._entered.values()) + self._settled_seconds - self._monotonic()
