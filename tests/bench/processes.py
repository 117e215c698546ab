"""Looks at the runner's processes from outside: who they are, what memory they hold and what CPU they use."""

import time
from pathlib import Path

import psutil


def runner(state: Path) -> psutil.Process:
    """Return the supervisor of the stack whose state lies in this folder.

    Raises:
        LookupError: no runner belongs to it.
    """
    for process in psutil.process_iter(["cmdline", "environ"]):
        command = process.info["cmdline"] or []
        environment = process.info["environ"] or {}
        directory = environment.get("RECADO_RUNNER_DIRECTORY", "")
        if command[-2:] == ["-m", "session_runner"] and directory.startswith(str(state)):
            return process
    raise LookupError(f"no runner of {state}")


def hosts(supervisor: psutil.Process) -> list[psutil.Process]:
    """Return the supervisor's host processes."""
    return [child for child in supervisor.children() if "session_runner.host" in " ".join(child.cmdline())]


def pss_mib(processes: list[psutil.Process]) -> float:
    """Return the processes' proportional set size together: shared pages are counted once."""
    total = 0
    for process in processes:
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return round(total / 1024, 1)


def cpu_percent(processes: list[psutil.Process], seconds: float) -> float:
    """Return the CPU they use together over the next seconds, in percent of one core."""

    def used() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    before, started = used(), time.monotonic()
    time.sleep(seconds)
    return round(100 * (used() - before) / (time.monotonic() - started), 2)
