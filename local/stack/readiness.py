"""Waiting for a part that has been started to answer."""

import asyncio

import aiohttp

from local.stack.part import Part

_READY_SECONDS = 30


async def until_answers(part: Part, url: str) -> None:
    """Wait until a part answers a GET of this address with success.

    Raises:
        PartFailedError: it ended, or did not answer within 30 s.
    """
    async with aiohttp.ClientSession() as client:
        for _ in range(_READY_SECONDS * 20):
            if not part.running and part.pid is not None:
                raise part.failure("ended while starting")
            try:
                async with client.get(url) as answer:
                    if answer.ok:
                        return
            except aiohttp.ClientError:
                pass  # not listening yet
            await asyncio.sleep(0.05)
    raise part.failure(f"did not answer within {_READY_SECONDS} s")
