"""Child processes of the stack."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from local.stack import tasks
from local.stack.ecs import EcsRecords
from local.stack.part import Part
from local.stack.tasks import ProcessService


def _part(logs: Path, code: str, name: str = "part") -> Part:
    environment = {"PATH": os.defpath}
    return Part(name, [sys.executable, "-c", code], environment=environment, folder=logs, logs=logs)


def test_what_a_part_prints_is_in_its_log_and_in_its_failure(tmp_path: Path) -> None:
    """The person who reads of the failure sees the last lines without looking for them."""

    async def run() -> None:
        part = _part(tmp_path, "import sys; print('first'); sys.exit('no such table')")
        await part.start()
        assert await part.wait() == 1
        assert "no such table" in str(part.failure("ended"))
        assert "first" in part.log.read_text()

    asyncio.run(run())


def test_the_log_before_is_kept_once(tmp_path: Path) -> None:
    """A restart does not wipe out what explains it."""

    async def run() -> None:
        part = _part(tmp_path, "print('one run')")
        for _ in range(2):
            await part.start()
            await part.wait()
        assert (tmp_path / "part.log.1").read_text() == "one run\n"

    asyncio.run(run())


def test_a_part_is_asked_to_end_before_it_is_killed(tmp_path: Path) -> None:
    """SIGTERM lets it put things away."""

    async def run() -> None:
        code = """
import pathlib, signal, sys, time
def end(*_):
    pathlib.Path('ended').touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
pathlib.Path('ready').touch()
time.sleep(60)
"""
        part = _part(tmp_path, code)
        await part.start()
        await _until_exists(tmp_path / "ready")
        assert await part.stop(10)
        assert (tmp_path / "ended").exists()

    asyncio.run(run())


def test_a_part_that_does_not_end_is_killed(tmp_path: Path) -> None:
    """Stopping takes no longer than the patience given."""

    async def run() -> None:
        code = "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        part = _part(tmp_path, code + "pathlib.Path('ready').touch(); time.sleep(60)")
        await part.start()
        await _until_exists(tmp_path / "ready")
        assert not await part.stop(0.2)
        assert not part.running

    asyncio.run(run())


def test_a_terminals_interrupt_does_not_reach_parts(tmp_path: Path) -> None:
    """Ctrl-C goes to the supervisor's process group only: the supervisor stops the parts in order."""

    async def run() -> None:
        part = _part(tmp_path, "import time; time.sleep(60)")
        await part.start()
        assert part.pid is not None
        assert os.getpgid(part.pid) != os.getpgid(0)
        part.kill()
        await part.wait()

    asyncio.run(run())


def test_a_task_that_ends_is_replaced_on_an_empty_disk(tmp_path: Path) -> None:
    """As on Fargate: what the task before left on its disk is gone, and the end is reported with its last words."""

    async def run() -> list[str]:
        disk = tmp_path / "disk"
        code = f"""
import os, pathlib, sys, time
disk = pathlib.Path({str(disk)!r})
assert not list(disk.iterdir())
(disk / 'leftover').touch()
with open('starts', 'a') as starts: starts.write('x')
if len(pathlib.Path('starts').read_text()) < 2: sys.exit('broken')
pathlib.Path('steady').touch()
time.sleep(60)
"""
        reported: list[str] = []
        service = ProcessService(
            "shard",
            lambda *_: _part(tmp_path, code, "shard"),
            ecs=EcsRecords(),
            disk=disk,
            start_delay=0,
            report=reported.append,
            changed=lambda: None,
        )
        service.start()
        await _until_exists(tmp_path / "steady")
        first = service.pid
        await service.stop()
        assert first is not None
        assert service.pid is None
        assert (tmp_path / "starts").read_text() == "xx"
        return reported

    (report,) = asyncio.run(run())
    assert "broken" in report
    assert "status 1" in report


def test_stopping_a_service_before_its_task_started_leaves_none(tmp_path: Path) -> None:
    """The start delay is no hole through which a task slips."""

    async def run() -> None:
        service = ProcessService(
            "shard",
            lambda *_: _part(tmp_path, "open('started', 'w')"),
            ecs=EcsRecords(),
            disk=tmp_path / "disk",
            start_delay=0.1,
            report=lambda _: None,
            changed=lambda: None,
        )
        service.start()
        await asyncio.sleep(0)
        await service.stop()
        await asyncio.sleep(0.2)
        assert not (tmp_path / "started").exists()

    asyncio.run(run())


def test_parts_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    """The emulator then still saves its state: the kernel sends it SIGTERM (Linux)."""
    if sys.platform != "linux":
        return  # other systems have no such signal

    async def run() -> None:
        code = f"""
import asyncio, os, pathlib
from local.stack.part import Part
async def main():
    part = Part('child', [{sys.executable!r}, '-c', 'import time; time.sleep(60)'],
                environment={{}}, folder=pathlib.Path('.'), logs=pathlib.Path('.'))
    await part.start()
    pathlib.Path('pid.new').write_text(str(part.pid)); os.rename('pid.new', 'pid')
    await asyncio.sleep(60)
asyncio.run(main())
"""
        supervisor = _part(tmp_path, code)
        await supervisor.start()
        await _until_exists(tmp_path / "pid")
        child = int((tmp_path / "pid").read_text())
        supervisor.kill()
        await supervisor.wait()
        for _ in range(100):
            if not _alive(child):
                return
            await asyncio.sleep(0.05)
        os.kill(child, signal.SIGKILL)
        raise AssertionError("the child outlived its supervisor")

    asyncio.run(run())


def _alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def _until_exists(path: Path) -> None:
    for _ in range(400):
        if await asyncio.to_thread(path.exists):
            return
        await asyncio.sleep(0.05)
    logs = {log.name: log.read_text() for log in path.parent.glob("*.log")}
    raise AssertionError(f"{path.name} never came: {logs}")


def test_a_lost_task_takes_its_processes_and_its_disk_along_and_is_replaced_at_once(tmp_path: Path) -> None:
    """As when the machine under it fails: also a child in a session of its own is gone, and nobody waits."""

    async def run() -> None:
        code = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
pathlib.Path("disk/child").write_text(str(child.pid))
time.sleep(60)
"""
        told: list[str] = []
        service = ProcessService(
            "task",
            lambda *_: _part(tmp_path, code),
            ecs=EcsRecords(),
            disk=tmp_path / "disk",
            start_delay=0.0,
            report=told.append,
            changed=lambda: None,
        )
        service.start()
        child = int(await _written(tmp_path / "disk" / "child"))
        service.lose()
        assert not (tmp_path / "disk" / "child").exists()
        assert int(await _written(tmp_path / "disk" / "child")) != child
        assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
        assert "a new task follows in 0 s" in told[0]
        service.lose()
        await service.stop()

    asyncio.run(run())


def test_a_task_has_stopped_only_when_its_last_process_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that outlives the first process keeps its task from being stopped, and is killed in the end."""
    monkeypatch.setattr(tasks, "_LEFT_SECONDS", 0.5)

    async def run() -> None:
        code = f"""
import pathlib, subprocess, sys, time
if not pathlib.Path("child").exists():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", {str(tmp_path / "disk/x")!r}])
    pathlib.Path("child").write_text(str(child.pid))
    sys.exit(1)
time.sleep(60)
"""
        told: list[str] = []
        ecs = Ended()
        service = ProcessService(
            "task",
            lambda *_: _part(tmp_path, code),
            ecs=ecs,
            disk=tmp_path / "disk",
            start_delay=0.0,
            report=told.append,
            changed=lambda: None,
        )
        service.start()
        child = int(await _written(tmp_path / "child"))
        while not told:
            assert _alive(child)
            assert not ecs.ended
            await asyncio.sleep(0.02)
        await asyncio.wait_for(ecs.last, 5)
        assert not _alive(child)
        assert "left 1 processes behind" in told[0]
        await service.stop()

    asyncio.run(run())


class Ended(EcsRecords):
    """Remembers what has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[str] = []
        self.last: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(self, arn: str) -> None:
        self.ended.append(arn)
        if not self.last.done():
            self.last.set_result(None)


async def _written(path: Path) -> str:
    for _ in range(400):
        if text := await asyncio.to_thread(lambda: path.read_text() if path.exists() else ""):
            return text
        await asyncio.sleep(0.02)
    raise AssertionError(f"{path.name} was never written")
