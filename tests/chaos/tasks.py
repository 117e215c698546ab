"""The shard's tasks of a run: the service that ECS's stand-in keeps, a rival forced onto the same shard, pauses."""

import asyncio
import json
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

from local.stack.ecs import EcsRecords
from local.stack.part import Part
from local.stack.ports import HOST, free_port
from local.stack.tasks import ProcessService
from tests.chaos.records import Takeover

_CHECKOUT = Path(__file__).resolve().parents[2]
_POLL_SECONDS = 0.05


class Task:
    """One task as seen from outside: its process tree and its health check."""

    def __init__(self, part: Part, port: int) -> None:
        self.part = part
        self._url = f"http://{HOST}:{port}/health"

    @property
    def tree(self) -> list[psutil.Process]:
        """The supervisor and its hosts."""
        if self.part.pid is None:
            return []
        with suppress(psutil.NoSuchProcess):
            supervisor = psutil.Process(self.part.pid)
            return [supervisor, *supervisor.children(recursive=True)]
        return []

    async def report(self) -> dict[str, Any] | None:
        """Return what the health check says; None if it does not answer."""
        async with httpx.AsyncClient(trust_env=False, timeout=2) as http:
            with suppress(httpx.HTTPError, ValueError):
                found: dict[str, Any] = (await http.get(self._url)).json()
                return found
        return None

    def pause(self) -> list[psutil.Process]:
        """Stop every process of the task as a frozen machine would, and return them."""
        tree = self.tree
        for process in tree:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        return tree


class Tasks:
    """All tasks of the shard.

    Args:
        environment: the variables of a runner, without directory and port of its health check.
        folder: where tasks have their disks and logs.
        sessions_per_host: how many sessions share a host.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path, *, sessions_per_host: int) -> None:
        self._environment = {**environment, "RECADO_SESSIONS_PER_HOST": str(sessions_per_host)}
        self._folder = folder
        self._logs = folder / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._started = 0
        self._rival: Task | None = None
        self.present: Task | None = None
        self.ended: list[str] = []
        self.takeovers: list[Takeover] = []
        self.ecs = EcsRecords()
        self._rival_arn = ""
        self.service = ProcessService(
            "runner",
            self._make_present,
            ecs=self.ecs,
            disk=folder / "disk",
            start_delay=0.0,
            report=self.ended.append,
            changed=lambda: None,
        )

    async def start(self) -> None:
        """Have the service run its task."""
        await self.ecs.start()
        self.service.start()

    def _make_present(self, disk: Path, named: Mapping[str, str]) -> Part:
        self.present = self._make(disk, named)
        return self.present.part

    def _make(self, disk: Path, named: Mapping[str, str]) -> Task:
        self._started += 1
        port = free_port(0)
        environment = {
            **self._environment,
            **named,
            "RECADO_RUNNER_DIRECTORY": str(disk),
            "RECADO_HEALTH_PORT": str(port),
        }
        # A log of its own for every task: they are what explains a failed run.
        command: list[str | Path] = [sys.executable, "-m", "session_runner"]
        name = f"task-{self._started:03d}"
        return Task(Part(name, command, environment=environment, folder=_CHECKOUT, logs=self._logs), port)

    async def start_rival(self) -> Task:
        """Start a second runner of the same shard, with a disk of its own."""
        disk = self._folder / f"rival-{self._started}"
        await asyncio.to_thread(disk.mkdir, parents=True)
        name = self.ecs.begin()
        self._rival, self._rival_arn = self._make(disk, name.environment), name.arn
        await self._rival.part.start()
        return self._rival

    async def stop_rival(self) -> None:
        """Ask the rival to end in order; the service's task may then take over at once."""
        if self._rival is not None:
            await self._rival.part.stop(120)
            self.ecs.end(self._rival_arn)
            self._rival = None

    async def until_running(self, task: Task | None = None, *, above: int = 0, seconds: float = 120.0) -> Takeover:
        """Wait until a task (the service's by default) owns the shard under an epoch above this one.

        Raises:
            TimeoutError: it does not.
        """
        async with asyncio.timeout(seconds):
            while True:
                looked_at = task or self.present
                report = await looked_at.report() if looked_at else None
                if report and report["epoch"] is not None and report["epoch"] > above:
                    takeover = Takeover(int(report["epoch"]), datetime.now(UTC))
                    self.takeovers.append(takeover)
                    return takeover
                await asyncio.sleep(_POLL_SECONDS)

    @property
    def supervisor_pid(self) -> int:
        """The process id of the present task's supervisor.

        Raises:
            LookupError: no task runs.
        """
        if self.service.pid is None:
            raise LookupError("no task runs")
        return self.service.pid

    @property
    def epoch(self) -> int:
        """The highest epoch seen so far."""
        return max((takeover.epoch for takeover in self.takeovers), default=0)

    async def hosts(self, *, pairing: bool = False) -> list[int]:
        """Return the process ids of the present owner's hosts that hold sessions, or of its pairing hosts."""
        report = await self.present.report() if self.present else None
        found = report["hosts"] if report else []
        return sorted(host["pid"] for host in found if host["pairing"] is pairing and (pairing or host["sessions"]))

    async def stop(self) -> None:
        """End everything in order."""
        await self.stop_rival()
        await self.service.stop()
        await self.ecs.stop()

    def remove_disks(self) -> None:
        """Delete what the tasks left on their disks."""
        for disk in (self._folder / "disk", *self._folder.glob("rival-*")):
            shutil.rmtree(disk, ignore_errors=True)

    def complaints(self) -> dict[str, int]:
        """Return how often the runners logged each error, by its sentence."""
        counts: dict[str, int] = {}
        for log in sorted(self._logs.glob("task-*")):
            for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
                with suppress(ValueError):
                    entry = json.loads(line)
                    if isinstance(entry, dict) and entry.get("level") in {"ERROR", "CRITICAL"}:
                        sentence = str(entry.get("message"))[:120]
                        counts[sentence] = counts.get(sentence, 0) + 1
        return dict(sorted(counts.items()))
