"""Waiting for what the platform does a moment later."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Found = TypeVar("Found")

PATIENCE_SECONDS = 60.0
"""How long a busy machine may take for what takes a second on a quiet one."""


async def eventually(
    probe: Callable[[], Awaitable[Found | None]], what: str, seconds: float = PATIENCE_SECONDS
) -> Found:
    """Return the first true answer of ``probe``, asked again and again.

    Raises:
        AssertionError: there was none in time; names what was waited for and the last answer.
    """
    end = time.monotonic() + seconds
    while True:
        if found := await probe():
            return found
        if time.monotonic() > end:
            raise AssertionError(f"did not happen in {seconds:g} s: {what}; last seen: {found!r}")
        await asyncio.sleep(0.1)
