"""Memory and CPU of the supervisor and its hosts when nothing happens, with so many sessions."""

import asyncio
from typing import TypedDict

from tests.bench.platform import Addresses, Clinic, Phones
from tests.bench.processes import cpu_percent, hosts, pss_mib, runner

_QUIET_SECONDS = 20.0
_SETTLE_SECONDS = 5.0


class Idle(TypedDict):
    """What idle sessions cost: proportional set size of all runner processes and their CPU in percent of a core."""

    pss_mib: float
    cpu_percent: float
    hosts: int


async def idle(addresses: Addresses, clinic: Clinic, phones: Phones, sessions: list[int]) -> dict[str, Idle]:
    """Measure with each number of sessions, in rising order; the clinic's own session is the first one."""
    measured, linked = {}, 1
    for wanted in sessions:
        for number in range(linked, wanted):
            channel = Clinic.beside(clinic)
            await channel.pair(phones, f"55118{60000000 + number}")
        linked = wanted
        await asyncio.sleep(_SETTLE_SECONDS)
        supervisor = runner(addresses.state)
        processes = [supervisor, *hosts(supervisor)]
        cpu = await asyncio.to_thread(cpu_percent, processes, _QUIET_SECONDS)
        measured[str(wanted)] = Idle(pss_mib=pss_mib(processes), cpu_percent=cpu, hosts=len(processes) - 1)
    return measured
