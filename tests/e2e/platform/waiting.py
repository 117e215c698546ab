"""Waiting for what the platform does a moment later."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Found = TypeVar("Found")

PATIENCE_SECONDS = 60.0
"""How long a busy machine may take for what takes a second on a quiet one."""


async def eventually(
    probe: Callable[[], Awaitable[Found | None]], what: str | Callable[[], str], seconds: float = PATIENCE_SECONDS
) -> Found:
    """Return the first true answer of ``probe``, asked again and again.

    Args:
        probe: looks, and answers something false as long as it has not happened.
        what: is waited for, in words; called in the end if it depends on what was seen last.
        seconds: how long to wait.

    Raises:
        AssertionError: there was none in time; tells what was waited for.
    """
    end = time.monotonic() + seconds
    while True:
        if found := await probe():
            return found
        if time.monotonic() > end:
            raise AssertionError(f"did not happen in {seconds:g} s: {what if isinstance(what, str) else what()}")
        await asyncio.sleep(0.1)
