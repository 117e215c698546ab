"""Where a stack keeps what it must find again: one folder, by default ``.local`` in the checkout."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import psutil

_LEFT_BEHIND_SECONDS = 150.0
CHECKOUT = Path(__file__).resolve().parents[2]


class StackRunningError(Exception):
    """Another stack is running in the same folder."""


@dataclass(frozen=True, slots=True)
class StateFolder:
    """Names the parts of a stack's folder.

    Attributes:
        root: the folder; made with access for its owner only, since it holds keys and sessions.
    """

    root: Path

    def make(self) -> None:
        """Make the folders."""
        for folder in (self.root, self.emulator, self.whatsapp, self.runner, self.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def emulator(self) -> Path:
        """What the AWS emulator saves."""
        return self.root / "emulator"

    @property
    def whatsapp(self) -> Path:
        """What the WhatsApp simulator saves."""
        return self.root / "whatsapp"

    @property
    def runner(self) -> Path:
        """The disks of the runners' tasks; emptied at each start."""
        return self.root / "runner"

    @property
    def logs(self) -> Path:
        """One log file per part."""
        return self.root / "logs"

    @property
    def shell_file(self) -> Path:
        """What a shell sources to know addresses and keys."""
        return self.root / "env"

    @property
    def description(self) -> Path:
        """Addresses, keys and process ids of the running stack, as JSON; absent while none is ready."""
        return self.root / "stack.json"

    @property
    def demo(self) -> Path:
        """The demo clinics and their keys, as JSON."""
        return self.root / "demo.json"

    @property
    def generation(self) -> Path:
        """The mark that every part's state carries, as JSON."""
        return self.root / "generation"

    @contextmanager
    def held(self) -> Iterator[int]:
        """Hold the folder for this process and for every child that inherits the descriptor that is yielded.

        A run whose supervisor was killed leaves parts behind that are still saving what they hold; they are waited for,
        since what they have not saved yet would be lost to this run.

        Raises:
            StackRunningError: another process holds it.
        """
        self.make()
        with (self.root / "lock").open("a+") as lock:
            deadline = time.monotonic() + _LEFT_BEHIND_SECONDS
            told = False
            while not _locked(lock):
                lock.seek(0)
                holder = lock.read().strip()
                if _runs(holder) or time.monotonic() > deadline:
                    raise StackRunningError(f"a stack is already running here (process {holder})")
                if not told:
                    print("waiting for what the last run left behind to save its state and end", flush=True)
                    told = True
                time.sleep(0.1)
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield lock.fileno()


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _runs(process: str) -> bool:
    return process.isdigit() and psutil.pid_exists(int(process))


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file, or None if there is no such file."""
    if not path.is_file():
        return None
    return cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    fresh = path.with_name(path.name + ".fresh")
    fresh.touch(mode=0o600)
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
