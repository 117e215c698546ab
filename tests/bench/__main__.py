"""``python -m tests.bench``: every measurement against one fresh stack; the last line is one JSON object.

Its keys are explained in ``docs/benchmarks.md``. The machine should have nothing else to do.
"""

import argparse
import asyncio
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from local.whatsapp.redirect import client_environment
from tests.bench.bare_process import BareProcess
from tests.bench.host_kill import host_kill
from tests.bench.idle import idle
from tests.bench.latency import Latency
from tests.bench.platform import Addresses, Clinic, Phones, receiver
from tests.bench.stack import running_stack

_CLINIC_PHONE, _BARE_PHONE = "5511988880001", "5511988880002"
_CONTACTS = [f"55119777700{number:02}" for number in range(1, 21)]
_REPOSITORY = Path(__file__).resolve().parents[2]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure a fresh local stack.")
    parser.add_argument("--messages", type=int, default=100, help="paced messages in each direction")
    parser.add_argument("--burst", type=int, default=100, help="messages at once in each direction")
    parser.add_argument("--gap", type=float, default=0.2, help="seconds between paced messages")
    parser.add_argument("--kill-seconds", type=float, default=20.0, help="length of the traffic around the host kill")
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 50], help="numbers of idle sessions, rising")
    return parser.parse_args()


async def _measure(addresses: Addresses, chosen: argparse.Namespace) -> dict[str, Any]:
    async with AsyncExitStack() as parts:
        phones = Phones(addresses.phones)
        parts.push_async_callback(phones.close)
        hooks = await parts.enter_async_context(receiver(addresses.state / "webhooks.jsonl"))
        clinic = await Clinic.create(addresses, "Bench")
        parts.push_async_callback(clinic.close)
        await clinic.pair(phones, _CLINIC_PHONE)
        for contact in _CONTACTS:
            await phones.register(contact)
        measured: dict[str, Any] = {"idle": await idle(addresses, clinic, phones, [1])}
        await clinic.subscribe(hooks, ["message.*"])
        bare = await _bare(addresses, parts)
        latency = Latency(phones, clinic, bare, hooks, _CONTACTS)
        _say("sending")
        measured["send"] = await latency.send(chosen.messages, chosen.burst, chosen.gap)
        _say("receiving")
        measured["receive"] = await latency.receive(chosen.messages, chosen.burst, chosen.gap)
        _say("killing a host in traffic")
        measured["host_kill"] = await host_kill(addresses, phones, clinic, _CONTACTS, seconds=chosen.kill_seconds)
        _say("idle sessions")
        measured["idle"] |= await idle(addresses, clinic, phones, [count for count in chosen.sessions if count > 1])
    return measured


async def _bare(addresses: Addresses, parts: AsyncExitStack) -> BareProcess:
    directory = addresses.state / "bare"
    directory.mkdir()
    port = int(addresses.phones.rpartition(":")[2])
    environment = client_environment(port, addresses.state / "whatsapp", python_path=str(_REPOSITORY))
    bare = BareProcess(addresses.phones, _BARE_PHONE, directory, environment)
    await bare.start()
    parts.push_async_callback(bare.stop)
    return bare


async def _aws_calls() -> dict[str, Any]:
    # A process of its own: it works against moto, and everything above against the emulator.
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.aws_calls", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    output, _ = await process.communicate()
    return dict(json.loads(output.splitlines()[-1]))


def _say(what: str) -> None:
    print(f"measuring: {what}", flush=True)


def main() -> None:
    """Measure everything and print the figures."""
    chosen = _arguments()
    with running_stack() as addresses:
        measured = asyncio.run(_measure(addresses, chosen))
    measured["aws_calls"] = asyncio.run(_aws_calls())
    print(json.dumps({key: measured[key] for key in ("send", "receive", "aws_calls", "host_kill", "idle")}))


if __name__ == "__main__":
    main()
