"""What is done to the platform, one act at a time; each returns when all sessions are connected again."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import psutil

from tests.chaos.options import Act, Options, Step
from tests.chaos.records import Kill
from tests.chaos.tasks import Task, Tasks
from tests.chaos.traffic import Traffic, connected
from tests.chaos.vault import Vault
from tests.support.running_stack import RunningStack

# The stated contract, docs/shard-lifecycle.md: what a dying process had acknowledged may be lost if it was not yet in
# its journal (host), or not yet in the ingest queue (task, whose disk goes with it).
HOST_WINDOW_SECONDS = 1.0
TASK_WINDOW_SECONDS = 6.0
_POLL_SECONDS = 0.05
_BACK_SECONDS = 150.0
_NOTICED_SECONDS = 3.0
_WATCH_STALE_SECONDS = 5.0
_STALE_ENDS_SECONDS = 15.0


@dataclass(slots=True)
class Figures:
    """What the acts measured."""

    host_kills: int = 0
    pairing_host_kills: int = 0
    task_losses: int = 0
    recovery_host: list[float] = field(default_factory=list)
    recovery_task: list[float] = field(default_factory=list)
    recovery_pause: list[float] = field(default_factory=list)
    drains: list[dict[str, Any]] = field(default_factory=list)
    displaced: int = 0
    stale_owners: int = 0
    stale_keepalives: int = 0
    outages: list[str] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)


class Acts:
    """Does what a plan says.

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
        self._stack = stack
        self._tasks = tasks
        self._traffic = traffic
        self._options = options
        self._tell = tell
        self._faults = httpx.AsyncClient(base_url=str(stack.described["faults_url"]), trust_env=False)
        self._vault = Vault(stack)
        self.figures = Figures()

    async def close(self) -> None:
        """Close the connections."""
        await self._faults.aclose()

    async def do(self, step: Step) -> None:
        """Do one act.

        Raises:
            TimeoutError: the sessions did not come back.
        """
        acts: dict[Act, Callable[[Step, random.Random], Awaitable[None]]] = {
            Act.HOST_KILL: self._kill_host,
            Act.PAIRING_HOST_KILL: self._kill_pairing_host,
            Act.TASK_LOSS: self._lose_task,
            Act.DRAIN: self._drain,
            Act.STALE_OWNER: self._stale_owner,
            Act.OUTAGE: self._outage,
            Act.FLAKY: self._flaky,
            Act.DROP: self._drop,
            Act.SILENCE: self._silence,
            Act.WHATSAPP_KILL: self._kill_whatsapp,
        }
        await acts[step.act](step, random.Random(step.draw))  # noqa: S311 - replayable on purpose

    async def set_faults(self, changes: dict[str, Any]) -> None:
        """Set faults of AWS services."""
        (await self._faults.post("/faults", json=changes)).raise_for_status()

    # Kills.

    async def _kill_host(self, step: Step, chance: random.Random) -> None:
        down: frozenset[str] = frozenset()
        while not down:
            pids = await self._tasks.hosts()
            killed, at = time.monotonic(), datetime.now(UTC)
            os.kill(chance.choice(pids), signal.SIGKILL)
            # A host that held no session of the talk (one being deleted, say) does not count: another has to go.
            down = await self._until_back()
        self.figures.recovery_host.append(time.monotonic() - killed)
        self._note(Kill(step.act, at, down, HOST_WINDOW_SECONDS), self.figures.recovery_host[-1])
        self.figures.host_kills += 1

    async def _kill_pairing_host(self, step: Step, chance: random.Random) -> None:
        """Kill the host in which a device is being linked, then link it with the next code all the same."""
        channel, number = await self._traffic.spare_channel()
        made = await channel.call("POST", "/channels", {"name": "chaos pairing"})
        channel.channel_id = made["channel_id"]
        await channel.call("POST", f"/channels/{channel.channel_id}/connect", {"method": "qr"})
        first = await channel.call("GET", f"/channels/{channel.channel_id}/qr?wait=20")
        for pid in await self._tasks.hosts(pairing=True):
            os.kill(pid, signal.SIGKILL)
        self.figures.pairing_host_kills += 1
        killed = time.monotonic()
        async with asyncio.timeout(_BACK_SECONDS):
            while True:
                await asyncio.sleep(0.2)
                shown = await channel.channel()
                if shown["state"] not in {"pairing", "connecting"}:
                    await channel.call("POST", f"/channels/{channel.channel_id}/connect", {"method": "qr"})
                answer = await channel.call("GET", f"/channels/{channel.channel_id}/qr?wait=20")
                if answer["code"] != first["code"]:
                    break
        await self._traffic.phones.call("POST", f"/phones/{number}/scan", {"code": answer["code"]})
        async with asyncio.timeout(_BACK_SECONDS):
            while (await channel.channel("?wait_for=connected"))["state"] != "connected":
                pass
        self._tell(f"  pairing host killed; linked with the next code {time.monotonic() - killed:.1f} s after")
        await channel.call("DELETE", f"/channels/{channel.channel_id}")

    async def _lose_task(self, step: Step, chance: random.Random) -> None:
        epoch = self._tasks.epoch
        if step.service:
            await self.set_faults({step.service: {"mode": "down"}})
            await asyncio.sleep(1)
        killed, at = time.monotonic(), datetime.now(UTC)
        self._tasks.service.lose()
        self._note(Kill(step.act, at, self._traffic.numbers, TASK_WINDOW_SECONDS))
        await self._tasks.until_running(above=epoch)
        await self._until_back()
        self.figures.recovery_task.append(time.monotonic() - killed)
        self.figures.task_losses += 1
        during = f" while {step.service} was down" if step.service else ""
        self._tell(f"  task lost{during}; all back after {self.figures.recovery_task[-1]:.1f} s")
        if step.service:
            await self.set_faults({step.service: None})

    # Ends in order, and owners that come back from the dead.

    async def _drain(self, step: Step, chance: random.Random) -> None:
        epoch, numbers = self._tasks.epoch, self._traffic.numbers
        await self.set_faults({"s3": {"latency_ms": self._options.drain_latency_ms}})
        began = time.monotonic()
        await self._tasks.service.stop()
        seconds = time.monotonic() - began
        await self.set_faults({"s3": None})
        clean = await asyncio.to_thread(self._vault.clean, [channel.channel_id for channel in self._traffic.channels])
        drained = {"sessions": len(numbers), "seconds": round(seconds, 2), "unclean": len(numbers) - clean}
        self.figures.drains.append(drained)
        self._tasks.service.start()
        await self._tasks.until_running(above=epoch)
        await self._until_back()
        self._tell(f"  drained {drained}; all back {time.monotonic() - began - seconds:.1f} s after the next start")

    async def _stale_owner(self, step: Step, chance: random.Random) -> None:
        """Freeze the owner until another one has taken over, let it go on, and watch that it does nothing.

        It goes on either when all sessions are the new owner's, or already when the lease is: its sockets are then
        still good, so that it is fenced while it reads what they hold.
        """
        stale, numbers = self._tasks.present, self._traffic.numbers
        if stale is None:
            raise LookupError("no task to freeze")
        frozen, at = time.monotonic(), datetime.now(UTC)
        tree = stale.pause()
        self._note(Kill(step.act, at, numbers, HOST_WINDOW_SECONDS))
        try:
            early = chance.random() < 0.5
            logins = (await self._counters())["logins"] + len(numbers)
            rival = await self._tasks.start_rival()
            takeover = await self._tasks.until_running(rival, above=self._tasks.epoch)
            if not early:
                await self._until_logged_in(logins)
                await asyncio.sleep(1)
        finally:
            before = await self._counters()
            self._resume(tree, chance)
        resumed = datetime.now(UTC)
        if early:
            await self._until_logged_in(logins)
            before = await self._counters()
        self.figures.recovery_pause.append(time.monotonic() - frozen)
        displaced, ended = await self._watch_new_owner(stale, rival, takeover.epoch)
        after = await self._counters()
        # What it had acknowledged and not handed on when it was fenced is gone with it.
        self._note(Kill(step.act, ended, numbers, (ended - resumed).total_seconds() + HOST_WINDOW_SECONDS))
        self.figures.displaced += displaced + max(0, after["logins"] - before["logins"])
        self.figures.stale_keepalives += after["keepalives"] - before["keepalives"]
        self.figures.stale_owners += 1
        self._tell(
            f"  frozen, thawed {'early' if early else 'late'}; "
            f"the new owner had all sessions after {self.figures.recovery_pause[-1]:.1f} s; "
            f"displaced {displaced}, logins in the meantime {after['logins'] - before['logins']}"
        )
        await self._tasks.stop_rival()
        await self._tasks.until_running(above=takeover.epoch)
        await self._until_back()

    def _resume(self, tree: Iterable[psutil.Process], chance: random.Random) -> None:
        processes = list(tree)
        # The order in which a thawed machine runs its processes is nobody's to choose.
        chance.shuffle(processes)
        for process in processes:
            try:
                process.resume()
            except psutil.NoSuchProcess:
                continue

    async def _watch_new_owner(self, stale: Task, rival: Task, epoch: int) -> tuple[int, datetime]:
        """Return how often a session of the new owner was seen without its connection, and when the stale one ended."""
        numbers, seen = self._traffic.numbers, 0
        watched = time.monotonic()
        ended: datetime | None = None
        while time.monotonic() - watched < _WATCH_STALE_SECONDS or ended is None:
            if ended is None and not stale.part.running:
                ended = datetime.now(UTC)
            if ended is None and time.monotonic() - watched > _STALE_ENDS_SECONDS:
                raise TimeoutError("the stale owner did not end")
            seen += len(numbers) - len(await connected(self._traffic.phones, numbers))
            report = await rival.report()
            if report is None or report["epoch"] != epoch:
                seen += 1
            await asyncio.sleep(0.1)
        return seen, ended

    # Services and the network.

    async def _outage(self, step: Step, chance: random.Random) -> None:
        epoch = self._tasks.epoch
        began = time.monotonic()
        await self.set_faults({step.service: {"mode": "down"}})
        await asyncio.sleep(self._options.outage_seconds)
        await self.set_faults({step.service: None})
        self.figures.outages.append(step.service)
        await self._note_new_owner(epoch)
        await self._until_back()
        self._tell(f"  {step.service} was down; all well {time.monotonic() - began:.1f} s after its begin")

    async def _flaky(self, step: Step, chance: random.Random) -> None:
        lost = {"mode": "answer_lost", "probability": 0.1}
        await self.set_faults(
            {
                "dynamodb": lost,
                "s3": lost,
                "sqs": {"mode": "failed_entries", "probability": 0.2},
                "events": {"mode": "failed_entries", "probability": 0.3},
            }
        )
        await asyncio.sleep(self._options.outage_seconds)
        await self.set_faults({"dynamodb": None, "s3": None, "sqs": None, "events": None})
        await self._until_back()
        self._tell("  answers of dynamodb and s3 were lost, entries of sqs and events failed")

    async def _drop(self, step: Step, chance: random.Random) -> None:
        numbers = sorted(self._traffic.numbers)
        chosen = chance.sample(numbers, max(1, len(numbers) // 2))
        at = datetime.now(UTC)
        await asyncio.gather(*(self._traffic.phones.call("POST", f"/phones/{number}/drop") for number in chosen))
        self._note(Kill(step.act, at, frozenset(chosen), 0.0))
        await self._until_back()
        self._tell(f"  {len(chosen)} sockets dropped")

    async def _silence(self, step: Step, chance: random.Random) -> None:
        number = chance.choice(sorted(self._traffic.numbers))
        await self._traffic.phones.call("POST", f"/phones/{number}/silence", {"seconds": 5})
        await asyncio.sleep(5)
        self._tell("  one session heard nothing for 5 s")

    async def _kill_whatsapp(self, step: Step, chance: random.Random) -> None:
        at = datetime.now(UTC)
        await asyncio.to_thread(self._stack.kill, "whatsapp")
        self._note(Kill(step.act, at, self._traffic.numbers, 0.0))
        await self._until_back()
        self._tell("  WhatsApp's simulator was killed and is there again")

    # Looking.

    def _note(self, kill: Kill, seconds: float | None = None) -> None:
        self.figures.kills.append(kill)
        if seconds is not None:
            self._tell(f"  {kill.act}: {len(kill.numbers)} sessions down, all back after {seconds:.2f} s")

    async def _note_new_owner(self, epoch: int) -> None:
        """Take note of the owner there is now, and wait for one if the last has fenced itself."""
        report = await self._tasks.present.report() if self._tasks.present else None
        if report is None or report["epoch"] != epoch:
            await self._tasks.until_running(above=epoch)
            self._tell("  the owner had fenced itself; a new one is there")

    async def _until_back(self) -> frozenset[str]:
        """Wait until all sessions are connected; return which were seen without a connection."""
        numbers, began = self._traffic.numbers, time.monotonic()
        down: frozenset[str] = frozenset()
        async with asyncio.timeout(_BACK_SECONDS):
            while True:
                try:
                    missing = numbers - await connected(self._traffic.phones, numbers)
                except httpx.HTTPError:
                    missing = numbers
                down |= missing
                if not missing and (down or time.monotonic() - began > _NOTICED_SECONDS):
                    return down
                await asyncio.sleep(_POLL_SECONDS)

    async def _until_logged_in(self, logins: int) -> None:
        # The frozen owner's sockets are open, too: only the count of logins tells that the new owner has its own.
        async with asyncio.timeout(_BACK_SECONDS):
            while True:
                if (await self._counters())["logins"] >= logins:
                    return
                await asyncio.sleep(_POLL_SECONDS)

    async def _counters(self) -> dict[str, int]:
        counted = await self._traffic.phones.call("GET", "/counters")
        return {"logins": int(counted.get("login", 0)), "keepalives": int(counted.get("keepalive", 0))}
