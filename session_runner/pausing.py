"""Waiting for a while that an event can cut short."""

import asyncio


async def pause(event: asyncio.Event, seconds: float) -> None:
    """Wait until the event is set, at most so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
