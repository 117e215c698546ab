"""A stand-in for ECS: keeps one task of a shard's service running, the way Fargate would.

A task starts after a delay, on an empty disk, is asked to end by SIGTERM and killed 120 s later (the longest that
Fargate grants), and is replaced, after growing pauses, when it ends by itself. It counts as stopped when its last
process has ended.
"""

import asyncio
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import psutil

from local.stack.ecs import EcsRecords
from local.stack.part import Part

STOP_SECONDS = 120.0
_PAUSES_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_STEADY_SECONDS = 60.0
_LEFT_SECONDS = 5.0
_LOOK_SECONDS = 0.05


class TaskService(Protocol):
    """What the stack asks of whatever runs a shard's task."""

    def start(self) -> None:
        """Want one task."""
        ...

    async def stop(self) -> None:
        """Want none, and wait until it is gone."""
        ...


class ProcessService:
    """Runs a service's task as a process of this machine.

    Args:
        name: the service's name, in messages.
        make_part: makes the process, given the task's disk and the variables that ECS gives it.
        ecs: where the tasks are known.
        disk: the folder for the tasks' disks.
        start_delay: seconds from wanting a task to its start.
        report: told in a sentence what happens.
        changed: called when the task's process id has changed.
    """

    def __init__(
        self,
        name: str,
        make_part: Callable[[Path, Mapping[str, str]], Part],
        *,
        ecs: EcsRecords,
        disk: Path,
        start_delay: float,
        report: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self.name = name
        self._make_part = make_part
        self._ecs = ecs
        self._disk = disk
        self._start_delay = start_delay
        self._report = report
        self._changed = changed
        self._part: Part | None = None
        self._wanted = False
        self._lost = False
        self._keeping: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the running task."""
        return self._part.pid if self._part and self._part.running else None

    def start(self) -> None:
        """Want one task."""
        self._wanted = True
        self._keeping = asyncio.create_task(self._keep(), name=f"keep {self.name}")

    async def stop(self) -> None:
        """Want none: SIGTERM, and SIGKILL 120 s later."""
        self._wanted = False
        if self._part is not None and not await self._part.stop(STOP_SECONDS):
            self._report(f"{self.name} did not end within {STOP_SECONDS:.0f} s and was killed")
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)

    def kill(self) -> None:
        """End the task at once."""
        if self._part is not None:
            self._part.kill()

    def lose(self) -> None:
        """Have the machine under the task fail: all its processes and its disk are gone at once, without a word.

        A new task follows as soon as one can start: what happened is not the task's failure, so there is no pause.
        """
        if self._part is None or not self._part.running:
            return
        self._lost = True
        self._part.kill_tree()
        shutil.rmtree(self._disk, ignore_errors=True)

    async def _keep(self) -> None:
        failures = 0
        while self._wanted:
            await asyncio.sleep(self._start_delay)
            started = asyncio.get_running_loop().time()
            name = self._ecs.begin()
            self._part = self._make_part(self._empty_disk(), name.environment)
            await self._part.start()
            self._changed()
            status = await self._ended(self._part, name.arn)
            if not self._wanted:
                return
            steady = asyncio.get_running_loop().time() - started > _STEADY_SECONDS
            failures = 0 if steady or self._lost else failures + 1
            self._lost = False
            pause = _PAUSES_SECONDS[min(failures, len(_PAUSES_SECONDS)) - 1] if failures else 0.0
            self._report(f"{self._part.failure(f'ended with status {status}')}\n  a new task follows in {pause:g} s")
            await asyncio.sleep(pause)

    async def _ended(self, part: Part, arn: str) -> int:
        """Wait until nothing of the task is left and return the status of its first process."""
        try:
            return await part.wait()
        finally:
            await asyncio.shield(asyncio.create_task(self._clear_away(arn)))

    async def _clear_away(self, arn: str) -> None:
        end = asyncio.get_running_loop().time() + _LEFT_SECONDS
        while left := await asyncio.to_thread(_processes_on, self._disk):
            if asyncio.get_running_loop().time() > end:
                # As the container's end would.
                self._report(f"{self.name} left {len(left)} processes behind, which are killed")
                for process in left:
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
            await asyncio.sleep(_LOOK_SECONDS)
        self._ecs.end(arn)

    def _empty_disk(self) -> Path:
        shutil.rmtree(self._disk, ignore_errors=True)
        self._disk.mkdir(mode=0o700, parents=True)
        return self._disk


def _processes_on(disk: Path) -> list[psutil.Process]:
    """Return the processes that were told of a place on this disk: some outlive the first of their task."""
    inside = f"{disk}/"
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if any(word.startswith(inside) for word in process.info["cmdline"] or ())]
