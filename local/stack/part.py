"""A child process of the stack: its log file, its start and its end."""

import asyncio
import ctypes
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

_TAIL_BYTES = 8_192
_TAIL_LINES = 20
_SET_PARENT_DEATH_SIGNAL = 1


class PartFailedError(Exception):
    """A part ended, or did not become ready, when it should run; carries the last lines of its log."""


class Part:
    """One process, in a process group of its own so that Ctrl-C reaches only the supervisor, which stops in order.

    Args:
        name: what it is called in messages; its log file is ``<name>.log``.
        command: what to execute.
        environment: its whole environment.
        folder: its working directory.
        logs: where its log file is.
        holding: the descriptor of a lock that is to be held until it has ended, whatever becomes of the supervisor.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        folder: Path,
        logs: Path,
        holding: int | None = None,
    ) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        self._command = [str(word) for word in command]
        self._environment = dict(environment)
        self._folder = folder
        self._holding = holding
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process id, None before the start."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start the process; what it prints goes to its log, the one before being kept as ``<name>.log.1``."""
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=self._environment,
                cwd=self._folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=() if self._holding is None else (self._holding,),
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )

    async def wait(self) -> int:
        """Wait for the process to end and return its exit status (negative: the signal that ended it)."""
        if self._process is None:
            raise PartFailedError(f"{self.name} was never started")
        return await self._process.wait()

    async def stop(self, patience: float) -> bool:
        """Ask the process to end with SIGTERM and kill it if it has not after so many seconds.

        Returns:
            Whether it ended by itself.
        """
        if self._process is None or not self.running:
            return True
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), patience)
        except TimeoutError:
            self.kill()
            await self._process.wait()
            return False
        return True

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None and self.running:
            with suppress(ProcessLookupError):
                self._process.kill()

    def kill_tree(self) -> None:
        """End the process and all that it has started at once, whatever sessions or groups they made for themselves."""
        if self._process is None or not self.running:
            return
        # Stopped first, so that none can start another one or act on another's end while they are being found.
        tree = [psutil.Process(self._process.pid)]
        for process in tree:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
                tree += process.children()
        for process in tree:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def failure(self, what: str) -> PartFailedError:
        """Return an error that says what happened and shows the end of the part's log."""
        return PartFailedError(f"{self.name} {what}; the end of {self.log}:\n{self.last_lines()}")

    def last_lines(self) -> str:
        """Return the end of the log, indented."""
        if not self.log.exists():
            return "  (no log)"
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join(f"  {line}" for line in lines) or "  (empty)"


def _end_with_parent() -> None:
    """Have the kernel send SIGTERM when the supervisor dies without having stopped its children (Linux's prctl)."""
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
