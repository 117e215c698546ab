"""The fault proxy as a part of the stack: between runners and functions on one side and the emulator on the other."""

import asyncio
import sys

import aiohttp

from local.stack.environment import base_environment
from local.stack.part import Part
from local.stack.state import CHECKOUT, StateFolder

_READY_SECONDS = 15


def fault_proxy_part(state: StateFolder, emulator_url: str, port: int) -> Part:
    """Return the proxy, not yet started."""
    command = [sys.executable, "-m", "local.faults", "--upstream", emulator_url, "--port", str(port)]
    return Part("faults", command, environment=base_environment(), folder=CHECKOUT, logs=state.logs)


async def until_ready(part: Part, url: str) -> None:
    """Wait until the proxy answers.

    Raises:
        PartFailedError: it ended, or did not answer within 15 s.
    """
    async with aiohttp.ClientSession() as client:
        for _ in range(_READY_SECONDS * 20):
            if not part.running:
                raise part.failure("ended while starting")
            try:
                async with client.get(f"{url}/faults") as answer:
                    if answer.ok:
                        return
            except aiohttp.ClientError:
                pass  # not listening yet
            await asyncio.sleep(0.05)
    raise part.failure(f"did not answer within {_READY_SECONDS} s")
