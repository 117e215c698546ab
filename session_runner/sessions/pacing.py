"""Spacing in time: no more than so many starts a second, however many ask at once."""

import asyncio


class Pacer:
    """Lets callers pass one after another, ``per_second`` of them; after a pause the first few pass at once.

    Args:
        per_second: the rate.
        burst: how many may pass without waiting after a pause.
    """

    def __init__(self, per_second: float, burst: int = 1) -> None:
        self._gap = 1.0 / per_second
        self._burst = burst
        self._following = 0.0

    async def pass_through(self) -> None:
        """Wait for our turn."""
        now = asyncio.get_running_loop().time()
        self._following = max(self._following, now - self._gap * (self._burst - 1)) + self._gap
        wait = self._following - self._gap - now
        if wait > 0:
            await asyncio.sleep(wait)
