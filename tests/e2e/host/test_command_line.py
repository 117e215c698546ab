"""The command line: pair, send and watch one session by hand."""

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from tests.e2e.host.harness import CLINIC, PATIENT, HostBench
from tests.e2e.whatsapp.harness import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]


async def run(bench: HostBench, *arguments: str) -> Process:
    environment = {
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "layers/core/python"))),
        "RECADO_WHATSAPP_ENVIRONMENT": json.dumps(dict(bench.environment())),
    }
    command, *rest = arguments
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "session_runner.whatsapp", command, "--directory", str(bench.directory), *rest),
        stdout=PIPE,
        env=environment,
    )


async def read_until(process: Process, pattern: str) -> re.Match[str]:
    assert process.stdout is not None
    async with asyncio.timeout(20):
        while line := await process.stdout.readline():
            if found := re.search(pattern, line.decode()):
                return found
    raise AssertionError(f"no {pattern} in its output")


async def test_pairs_sends_and_watches(bench: HostBench, tmp_path: Path) -> None:
    """The whole way by hand, against the simulator."""
    await bench.call("POST", "/phones", number=PATIENT, name="Ana")
    pairing = await run(bench, "pair")
    code = (await read_until(pairing, r"^(https://wa\.me/\S+)"))[1]
    await bench.phone(CLINIC, "scan", code=code)
    await read_until(pairing, re.escape(f"linked as +{CLINIC}"))
    assert await pairing.wait() == 0

    sending = await run(bench, "send", f"+{PATIENT}", "Olá do terminal")
    await read_until(sending, r'"whatsapp_id": "3EB0')
    assert await sending.wait() == 0
    assert [message["text"] for message in await bench.received(PATIENT)] == ["Olá do terminal"]

    watching = await run(bench, "watch")
    await read_until(watching, r'"event": "connected"')
    await bench.write(PATIENT, CLINIC, "Olá de volta")
    await read_until(watching, r'"kind": "message.received".*Olá de volta')
    watching.send_signal(signal.SIGINT)
    assert await watching.wait() == 130


async def test_says_why_it_failed(bench: HostBench) -> None:
    """Without a linked phone there is nothing to send with."""
    sending = await run(bench, "send", f"+{PATIENT}", "Olá")
    await read_until(sending, "failed: not_paired")
    assert await sending.wait() == 1
