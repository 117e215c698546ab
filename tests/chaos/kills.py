"""Killing and stopping processes of a task, one kind at a time, and filling up its disk."""

import asyncio
import os
import random
import resource
import signal
import time
from datetime import UTC, datetime, timedelta

import psutil

from tests.chaos.options import Step
from tests.chaos.records import Kill
from tests.chaos.scene import BACK_SECONDS, HOST_WINDOW_SECONDS, TASK_WINDOW_SECONDS, Scene

# The kernel sends the hosts their signal at once; that they are gone takes as long as tearing down their memory.
_ORPHAN_SECONDS = 1.0
_FENCED_SECONDS = 30.0
_POLL_SECONDS = 0.02
_DISK_FULL_SECONDS = 4.0
_DISK_FULL_NOTICED_SECONDS = 2.0


class Kills:
    """Acts on processes.

    Args:
        scene: what all acts share.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    async def host(self, step: Step, chance: random.Random) -> None:
        down: frozenset[str] = frozenset()
        while not down:
            pids = await self._scene.tasks.hosts()
            killed, at = time.monotonic(), datetime.now(UTC)
            os.kill(chance.choice(pids), signal.SIGKILL)
            # A host that held no session of the talk (one being deleted, say) does not count: another has to go.
            down = await self._scene.until_back()
        self._scene.figures.recovery_host.append(time.monotonic() - killed)
        self._scene.note(Kill(step.act, at, down, HOST_WINDOW_SECONDS), self._scene.figures.recovery_host[-1])
        self._scene.figures.host_kills += 1

    async def pairing_host(self, step: Step, chance: random.Random) -> None:
        """Kill the host in which a device is being linked, then link it with the next code all the same."""
        channel, number = await self._scene.traffic.spare_channel()
        made = await channel.call("POST", "/channels", {"name": "chaos pairing"})
        channel.channel_id = made["channel_id"]
        await channel.call("POST", f"/channels/{channel.channel_id}/connect", {"method": "qr"})
        first = await channel.call("GET", f"/channels/{channel.channel_id}/qr?wait=20")
        for pid in await self._scene.tasks.hosts(pairing=True):
            os.kill(pid, signal.SIGKILL)
        self._scene.figures.pairing_host_kills += 1
        killed = time.monotonic()
        async with asyncio.timeout(BACK_SECONDS):
            while True:
                await asyncio.sleep(0.2)
                shown = await channel.channel()
                if shown["state"] not in {"pairing", "connecting"}:
                    await channel.call("POST", f"/channels/{channel.channel_id}/connect", {"method": "qr"})
                answer = await channel.call("GET", f"/channels/{channel.channel_id}/qr?wait=20")
                if answer["code"] != first["code"]:
                    break
        await self._scene.traffic.phones.call("POST", f"/phones/{number}/scan", {"code": answer["code"]})
        async with asyncio.timeout(BACK_SECONDS):
            while (await channel.channel("?wait_for=connected"))["state"] != "connected":
                pass
        self._scene.tell(f"  pairing host killed; linked with the next code {time.monotonic() - killed:.1f} s after")
        await channel.call("DELETE", f"/channels/{channel.channel_id}")

    async def supervisor(self, step: Step, chance: random.Random) -> None:
        """Kill the supervisor alone: its hosts must go with it, and the task is over."""
        tasks, figures = self._scene.tasks, self._scene.figures
        epoch, hosts = tasks.epoch, await self._all_hosts()
        killed, at = time.monotonic(), datetime.now(UTC)
        os.kill(tasks.supervisor_pid, signal.SIGKILL)
        self._scene.note(Kill(step.act, at, self._scene.traffic.numbers, TASK_WINDOW_SECONDS))
        figures.orphans += await self._left_of(hosts, _ORPHAN_SECONDS)
        await tasks.until_running(above=epoch)
        await self._scene.until_back()
        figures.recovery_supervisor.append(time.monotonic() - killed)
        figures.supervisor_kills += 1
        self._scene.tell(f"  supervisor killed; all back after {figures.recovery_supervisor[-1]:.1f} s")

    async def freeze_supervisor(self, step: Step, chance: random.Random) -> None:
        """Freeze the supervisor alone until its hosts have ended by themselves at the deadline, then thaw it."""
        tasks, figures = self._scene.tasks, self._scene.figures
        epoch, hosts = tasks.epoch, await self._all_hosts()
        frozen, at = time.monotonic(), datetime.now(UTC)
        supervisor = psutil.Process(tasks.supervisor_pid)
        supervisor.suspend()
        # What is under way when the supervisor stops has no one to take its answer.
        self._scene.note(Kill(step.act, at, self._scene.traffic.numbers, 0.0))
        try:
            figures.orphans += await self._left_of(hosts, _FENCED_SECONDS)
            ended = datetime.now(UTC)
        finally:
            supervisor.resume()
        self._scene.note(Kill(step.act, ended, self._scene.traffic.numbers, HOST_WINDOW_SECONDS))
        await tasks.until_running(above=epoch)
        await self._scene.until_back()
        figures.supervisor_freezes += 1
        seconds = (ended - at).total_seconds()
        self._scene.tell(
            f"  supervisor frozen; its hosts had ended {seconds:.1f} s later, all back after "
            f"{time.monotonic() - frozen:.1f} s"
        )

    async def fill_disk(self, step: Step, chance: random.Random) -> None:
        """Let no file of the hosts grow for some seconds, as on a full disk; no right to mount anything is needed."""
        hosts = await self._scene.tasks.hosts()
        at = datetime.now(UTC)
        before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in hosts}
        for pid, (_, most) in before.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, most))
        await asyncio.sleep(_DISK_FULL_SECONDS)
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
        # Until a host notices, by the first fact that it cannot write, what comes cannot be decrypted and is told so.
        noticed = at + timedelta(seconds=_DISK_FULL_NOTICED_SECONDS)
        self._scene.note(Kill(step.act, noticed, self._scene.traffic.numbers, _DISK_FULL_NOTICED_SECONDS))
        await self._scene.until_back()
        self._scene.figures.disk_fulls += 1
        self._scene.tell(f"  nothing could be written for {_DISK_FULL_SECONDS:.0f} s")

    async def _all_hosts(self) -> list[int]:
        return [*await self._scene.tasks.hosts(), *await self._scene.tasks.hosts(pairing=True)]

    async def _left_of(self, pids: list[int], seconds: float) -> int:
        """Wait until these processes have ended, at most so long; return how many have not."""
        end = time.monotonic() + seconds
        while left := [pid for pid in pids if _runs(pid)]:
            if time.monotonic() > end:
                break
            await asyncio.sleep(_POLL_SECONDS)
        return len(left)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
