"""Bounded waiting: how a request holds on until something has happened elsewhere."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

_STEP_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Patience:
    """The clock and the sleep that waiting uses; tests pass a pair that takes no time."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def until(self, look: Callable[[], T | None], seconds: float) -> T | None:
        """Look again and again until something is there; look at least once.

        Args:
            look: returns what is waited for, or None while it is not there.
            seconds: how long to go on looking.

        Returns:
            What ``look`` found, or None when the time was up.
        """
        deadline = self.monotonic() + seconds
        while True:
            found = look()
            left = deadline - self.monotonic()
            if found is not None or left <= 0:
                return found
            self.sleep(min(_STEP_SECONDS, left))


def patience() -> Patience:
    """Return the real clock's patience; a dependency, so that tests can override it."""
    return Patience()
