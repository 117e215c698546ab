"""Runs the bare client of ``bare_client`` in its own process and asks it things."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any


class BareProcess:
    """The bare client's process, linked to the phone with this number (digits)."""

    def __init__(self, phones_url: str, number: str, directory: Path, environment: dict[str, str]) -> None:
        self.number = number
        self._command = [sys.executable, "-m", "tests.bench.bare_client", phones_url, number, str(directory)]
        self._environment = {**os.environ, **environment}  # noqa: TID251 - the child needs all of ours

    async def start(self) -> None:
        """Start it and wait until it is linked and connected.

        Raises:
            RuntimeError: it ended instead.
        """
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environment,
            limit=2**24,
        )
        await self._answer()

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Put one request and return its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        await self._process.stdin.drain()
        return await self._answer()

    async def stop(self) -> None:
        """End it."""
        self._process.kill()
        await self._process.wait()

    async def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the bare client ended")
        return dict(json.loads(line))
