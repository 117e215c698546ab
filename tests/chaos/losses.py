"""Losing whole tasks, ending them in order, and having one come back from the dead."""

import asyncio
import random
import time
from collections.abc import Iterable
from datetime import UTC, datetime

import psutil

from tests.chaos.options import Act, Step
from tests.chaos.records import Kill
from tests.chaos.scene import HOST_WINDOW_SECONDS, SPILL_WINDOW_SECONDS, TASK_WINDOW_SECONDS, Scene
from tests.chaos.tasks import Task
from tests.chaos.traffic import connected

_WATCH_STALE_SECONDS = 5.0
_STALE_ENDS_SECONDS = 20.0
_SPILLED_SECONDS = 30.0


class Losses:
    """Acts on tasks.

    Args:
        scene: what all acts share.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    async def lose(self, step: Step, chance: random.Random) -> None:
        """Lose the task with its disk, with or without ECS telling of it, while a service is away or not."""
        scene, tasks, figures = self._scene, self._scene.tasks, self._scene.figures
        epoch = tasks.epoch
        if step.service:
            await scene.set_faults({step.service: {"mode": "down"}})
            await asyncio.sleep(1)
        if step.act is Act.TASK_LOSS_SPILLED:
            figures.spilled_batches += await self._until_spilled()
        tasks.ecs.silent = step.act is Act.TASK_LOSS_UNTOLD
        killed, at = time.monotonic(), datetime.now(UTC)
        tasks.service.lose()
        window = SPILL_WINDOW_SECONDS if step.service == "sqs" else TASK_WINDOW_SECONDS
        scene.note(Kill(step.act, at, scene.traffic.numbers, window))
        if step.act is Act.TASK_LOSS_SPILLED:
            await scene.set_faults({step.service: None})
        await tasks.until_running(above=epoch)
        await scene.until_back()
        seconds = time.monotonic() - killed
        tasks.ecs.silent = False
        how = f" while {step.service} was down" if step.service else ""
        if step.act is Act.TASK_LOSS_UNTOLD:
            figures.recovery_untold.append(seconds)
            how = " and ECS did not tell"
        else:
            figures.recovery_task.append(seconds)
        figures.task_losses += 1
        scene.tell(f"  task lost{how}; all back after {seconds:.1f} s")
        if step.act is Act.TASK_LOSS_SPILLED:
            figures.spilled_losses += 1
            figures.spilled_left += await self._left_spilled()
        elif step.service:
            await scene.set_faults({step.service: None})

    async def _until_spilled(self) -> int:
        """Wait until something lies in S3, and for one more batch."""
        async with asyncio.timeout(_SPILLED_SECONDS):
            while (found := await asyncio.to_thread(self._scene.vault.spilled)) < 2:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.2)
        return found

    async def _left_spilled(self) -> int:
        """Wait until the new owner has handed on what lay in S3; return what is left when that takes too long."""
        end = time.monotonic() + _SPILLED_SECONDS
        while left := await asyncio.to_thread(self._scene.vault.spilled):
            if time.monotonic() > end:
                break
            await asyncio.sleep(0.2)
        return left

    async def drain(self, step: Step, chance: random.Random) -> None:
        epoch, numbers = self._scene.tasks.epoch, self._scene.traffic.numbers
        await self._scene.set_faults({"s3": {"latency_ms": self._scene.options.drain_latency_ms}})
        began = time.monotonic()
        await self._scene.tasks.service.stop()
        seconds = time.monotonic() - began
        await self._scene.set_faults({"s3": None})
        clean = await asyncio.to_thread(
            self._scene.vault.clean, [channel.channel_id for channel in self._scene.traffic.channels]
        )
        drained = {"sessions": len(numbers), "seconds": round(seconds, 2), "unclean": len(numbers) - clean}
        self._scene.figures.drains.append(drained)
        self._scene.tasks.service.start()
        await self._scene.tasks.until_running(above=epoch)
        await self._scene.until_back()
        self._scene.tell(
            f"  drained {drained}; all back {time.monotonic() - began - seconds:.1f} s after the next start"
        )

    async def stale_owner(self, step: Step, chance: random.Random) -> None:
        """Freeze the owner until another one has taken over, let it go on, and watch that it does nothing.

        It goes on either when all sessions are the new owner's, or already when the lease is: its sockets are then
        still good, so that it is fenced while it reads what they hold.
        """
        stale, numbers = self._scene.tasks.present, self._scene.traffic.numbers
        if stale is None:
            raise LookupError("no task to freeze")
        frozen, at = time.monotonic(), datetime.now(UTC)
        tree = stale.pause()
        self._scene.note(Kill(step.act, at, numbers, HOST_WINDOW_SECONDS))
        try:
            early = chance.random() < 0.5
            logins = (await self._scene.counters())["logins"] + len(numbers)
            rival = await self._scene.tasks.start_rival()
            takeover = await self._scene.tasks.until_running(rival, above=self._scene.tasks.epoch)
            if not early:
                await self._scene.until_logged_in(logins)
                await asyncio.sleep(1)
        finally:
            before = await self._scene.counters()
            self._resume(tree, chance)
        resumed = datetime.now(UTC)
        if early:
            await self._scene.until_logged_in(logins)
            before = await self._scene.counters()
        self._scene.figures.recovery_pause.append(time.monotonic() - frozen)
        displaced, ended = await self._watch_new_owner(stale, rival, takeover.epoch)
        after = await self._scene.counters()
        # What it had acknowledged and not handed on when it was fenced is gone with it.
        self._scene.note(Kill(step.act, ended, numbers, (ended - resumed).total_seconds() + HOST_WINDOW_SECONDS))
        self._scene.figures.displaced += displaced + max(0, after["logins"] - before["logins"])
        self._scene.figures.stale_keepalives += after["keepalives"] - before["keepalives"]
        self._scene.figures.stale_owners += 1
        self._scene.tell(
            f"  frozen, thawed {'early' if early else 'late'}; "
            f"the new owner had all sessions after {self._scene.figures.recovery_pause[-1]:.1f} s; "
            f"displaced {displaced}, logins in the meantime {after['logins'] - before['logins']}"
        )
        await self._scene.tasks.stop_rival()
        await self._scene.tasks.until_running(above=takeover.epoch)
        await self._scene.until_back()

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
        numbers, seen = self._scene.traffic.numbers, 0
        watched = time.monotonic()
        ended: datetime | None = None
        while time.monotonic() - watched < _WATCH_STALE_SECONDS or ended is None:
            if ended is None and not stale.part.running:
                ended = datetime.now(UTC)
            if ended is None and time.monotonic() - watched > _STALE_ENDS_SECONDS:
                raise TimeoutError("the stale owner did not end")
            seen += len(numbers) - len(await connected(self._scene.traffic.phones, numbers))
            report = await rival.report()
            if report is None or report["epoch"] != epoch:
                seen += 1
            await asyncio.sleep(0.1)
        return seen, ended
