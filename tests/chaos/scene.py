"""What the acts of a run share: the stack and its tasks, the traffic, the figures, and how to see that all is well."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.options import Options
from tests.chaos.records import Kill
from tests.chaos.tasks import Tasks
from tests.chaos.traffic import Traffic, connected
from tests.chaos.vault import Vault
from tests.support.running_stack import RunningStack

# The stated contract, docs/shard-lifecycle.md: what a dying process had acknowledged may be lost if it was not yet in
# its journal (host), or not yet in the ingest queue (task, whose disk goes with it).
HOST_WINDOW_SECONDS = 1.0
TASK_WINDOW_SECONDS = 3.0
# While SQS takes nothing: facts are spilled when they are five seconds old; they are looked for twice a second.
SPILL_WINDOW_SECONDS = 7.0
BACK_SECONDS = 150.0
_POLL_SECONDS = 0.05
_NOTICED_SECONDS = 3.0


@dataclass(slots=True)
class Figures:
    """What the acts measured."""

    host_kills: int = 0
    pairing_host_kills: int = 0
    supervisor_kills: int = 0
    supervisor_freezes: int = 0
    disk_fulls: int = 0
    orphans: int = 0
    task_losses: int = 0
    spilled_losses: int = 0
    spilled_batches: int = 0
    spilled_left: int = 0
    recovery_host: list[float] = field(default_factory=list)
    recovery_task: list[float] = field(default_factory=list)
    recovery_untold: list[float] = field(default_factory=list)
    recovery_supervisor: list[float] = field(default_factory=list)
    recovery_pause: list[float] = field(default_factory=list)
    drains: list[dict[str, Any]] = field(default_factory=list)
    displaced: int = 0
    stale_owners: int = 0
    stale_keepalives: int = 0
    outages: list[str] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)


class Scene:
    """Where the acts take place.

    Args:
        stack: the stack, with its fault proxy and without runners of its own.
        tasks: the shard's tasks.
        traffic: what goes on meanwhile.
        options: the run's.
        tell: prints a line.
    """

    def __init__(
        self, stack: RunningStack, tasks: Tasks, traffic: Traffic, options: Options, tell: Callable[[str], None]
    ) -> None:
        self.stack = stack
        self.tasks = tasks
        self.traffic = traffic
        self.options = options
        self.tell = tell
        self.vault = Vault(stack)
        self.figures = Figures()
        self._faults = httpx.AsyncClient(base_url=str(stack.described["faults_url"]), trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._faults.aclose()

    async def set_faults(self, changes: dict[str, Any]) -> None:
        """Set faults of AWS services."""
        (await self._faults.post("/faults", json=changes)).raise_for_status()

    def note(self, kill: Kill, seconds: float | None = None) -> None:
        """Take down that sessions went, and print after how long they were back."""
        self.figures.kills.append(kill)
        if seconds is not None:
            self.tell(f"  {kill.act}: {len(kill.numbers)} sessions down, all back after {seconds:.2f} s")

    async def note_new_owner(self, epoch: int) -> None:
        """Take note of the owner there is now, and wait for one if the last has fenced itself."""
        report = await self.tasks.present.report() if self.tasks.present else None
        if report is None or report["epoch"] != epoch:
            await self.tasks.until_running(above=epoch)
            self.tell("  the owner had fenced itself; a new one is there")

    async def until_back(self) -> frozenset[str]:
        """Wait until all sessions are connected; return which were seen without a connection.

        Raises:
            TimeoutError: they did not come back.
        """
        numbers, began = self.traffic.numbers, time.monotonic()
        down: frozenset[str] = frozenset()
        async with asyncio.timeout(BACK_SECONDS):
            while True:
                try:
                    missing = numbers - await connected(self.traffic.phones, numbers)
                except httpx.HTTPError:
                    missing = numbers
                down |= missing
                if not missing and (down or time.monotonic() - began > _NOTICED_SECONDS):
                    return down
                await asyncio.sleep(_POLL_SECONDS)

    async def until_logged_in(self, logins: int) -> None:
        """Wait for so many log-ins: a frozen owner's sockets are open, too, so that open ones tell nothing.

        Raises:
            TimeoutError: there are not so many.
        """
        async with asyncio.timeout(BACK_SECONDS):
            while (await self.counters())["logins"] < logins:  # noqa: ASYNC110 - another process
                await asyncio.sleep(_POLL_SECONDS)

    async def counters(self) -> dict[str, int]:
        """Return how many log-ins and keep-alives WhatsApp has seen."""
        counted = await self.traffic.phones.call("GET", "/counters")
        return {"logins": int(counted.get("login", 0)), "keepalives": int(counted.get("keepalive", 0))}
