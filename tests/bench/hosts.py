"""``python -m tests.bench.hosts``: what a host costs and what its death takes down, by the sessions it holds.

Real client, real hosts, the runner's sessions; the simulator beside it; AWS in memory (``crowd``). The last line is
one JSON object, explained in ``docs/benchmarks.md``. The machine should have nothing else to do.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import psutil

from local.whatsapp.redirect import client_environment
from recado.channels.model import Channel
from tests.bench.crowd import Crowd, linked_channels, vault_of
from tests.bench.processes import cpu_percent, pss_mib
from tests.e2e.whatsapp.harness import ROOT, RunningSimulator
from tests.runner.fakes import MemoryVault

_SETTLE_SECONDS = 5.0


class PerHost(TypedDict):
    """Figures at one number of sessions in a host; memory is the proportional set size of the hosts alone."""

    hosts: int
    pss_mib: float
    pss_mib_per_session: float
    idle_cpu_percent: float
    start_s: float
    lost_sessions: int
    recovery_p50_s: float
    recovery_s: float


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.hosts", description="Measure hosts by their sessions.")
    parser.add_argument("--per-host", type=int, nargs="+", default=[25, 50, 100, 200], help="sessions in a host")
    parser.add_argument("--sessions", type=int, default=200, help="sessions in all")
    parser.add_argument("--quiet", type=float, default=20.0, help="seconds over which idle CPU is measured")
    parser.add_argument("--starts", type=float, default=20.0, help="as RECADO_SESSION_STARTS_PER_SECOND")
    return parser.parse_args()


def _link(simulator: RunningSimulator, directory: Path, count: int, environment: Mapping[str, str]) -> None:
    _say(f"linking {count} devices")
    command = [sys.executable, "-m", "tests.bench.link_many", f"http://127.0.0.1:{simulator.port}", str(directory)]
    subprocess.run(
        [*command, str(count)],
        env={**os.environ, **environment},  # noqa: TID251 - the child needs all of ours
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
        cwd=ROOT,
    )


async def _measure(crowd: Crowd, quiet: float) -> PerHost:
    start = await crowd.start()
    await crowd.spare_ready()
    await asyncio.sleep(_SETTLE_SECONDS)
    processes = [psutil.Process(seat.host.pid) for seat in crowd.carriers()]
    cpu = await asyncio.to_thread(cpu_percent, processes, quiet)
    pss = pss_mib(processes)
    back = await crowd.kill_fullest()
    await crowd.spare_ready()  # one that is just being started would not end in order
    await crowd.stop()
    return PerHost(
        hosts=len(processes),
        pss_mib=pss,
        pss_mib_per_session=round(pss / len(crowd.sessions), 2),
        idle_cpu_percent=cpu,
        start_s=round(start, 2),
        lost_sessions=len(back),
        recovery_p50_s=round(statistics.median(back), 2),
        recovery_s=round(back[-1], 2),
    )


def _all(
    chosen: argparse.Namespace,
    folder: Path,
    environment: Mapping[str, str],
    vault: MemoryVault,
    channels: Mapping[str, Channel],
) -> dict[str, PerHost]:
    measured = {}
    for per_host in dict.fromkeys(chosen.per_host):
        _say(f"{per_host} sessions in a host")
        directory = folder / f"per-host-{per_host}"
        directory.mkdir()
        crowd = Crowd(directory, environment, vault, channels, per_host, chosen.starts)
        measured[str(per_host)] = asyncio.run(_measure(crowd, chosen.quiet))
        _say(json.dumps(measured[str(per_host)]))
    return measured


def _say(what: str) -> None:
    print(f"measuring: {what}", flush=True)


def main() -> None:
    """Measure and print the figures."""
    chosen = _arguments()
    with tempfile.TemporaryDirectory(prefix="recado-bench-") as name:
        folder = Path(name)
        simulator = RunningSimulator(folder / "simulator")
        try:
            environment = client_environment(simulator.port, simulator.state, python_path=str(ROOT))
            linked = folder / "linked"
            linked.mkdir()
            _link(simulator, linked, chosen.sessions, environment)
            vault, channels = vault_of(linked, chosen.sessions), linked_channels(chosen.sessions)
            measured = _all(chosen, folder, environment, vault, channels)
        finally:
            simulator.stop()
    print(json.dumps({"sessions": chosen.sessions, "starts_per_s": chosen.starts, "per_host": measured}))


if __name__ == "__main__":
    main()
