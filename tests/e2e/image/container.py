"""A container of the runner's image, without an engine: its own root, user and environment, this machine's network."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from infra.container import HEALTH_PORT, WRITABLE_FOLDER
from local.image.building import TAG

_RUNNER = ["python", "-m", "session_runner"]
# Of this machine, not of the platform: the image has its own.
_OWN = frozenset({"HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "LIBRARY_PATH", "MAGIC", "PATH", "TERM", "TZ", "USER"})
_SIMULATOR = "/simulator"


class RunnerContainer:
    """One container.

    Args:
        folder: for its log and for what is empty in it.
        environment: the variables that a runner's process of the local stack has.
        redirect: the package that turns the client towards the simulator.
        authority: the certificates of the simulator.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], *, redirect: Path, authority: Path) -> None:
        self.log = folder / "container.log"
        self._empty = folder / "empty"
        self._empty.mkdir()
        self._mounts = {redirect: f"{_SIMULATOR}/redirect", authority: f"{_SIMULATOR}/authority.pem"}
        self._environment = _inside(environment)
        self._container = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, with nothing writable but the image's volume, as the task definition says."""
        made = subprocess.run(["buildah", "from", "--pull-never", TAG], check=True, stdout=subprocess.PIPE, text=True)
        self._container = made.stdout.strip()
        mounts = [f"{source}:{target}:ro" for source, target in self._mounts.items()]
        # All else is root's: with these two the container's user finds no other place to write.
        mounts += [f"{self._empty}:{place}:ro" for place in ("/tmp", "/var/tmp")]
        command = ["buildah", "run", "--isolation", "chroot"]
        command += [part for mount in mounts for part in ("--volume", mount)]
        command += [part for name, value in self._environment.items() for part in ("--env", f"{name}={value}")]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, self._container, "--", *_RUNNER], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run another command in the same image, as the same user."""
        return subprocess.run(
            ["buildah", "run", "--isolation", "chroot", self._container, "--", *command],
            check=False,
            capture_output=True,
            text=True,
        )

    def until(self, holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Wait until something holds.

        Raises:
            AssertionError: the container ended, or it took too long; carries the end of its log.
        """
        deadline = time.monotonic() + seconds
        while not holds():
            ended = self._process is None or self._process.poll() is not None
            assert not ended, f"the container ended before {what}: {self.last_lines()}"
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}: {self.last_lines()}"
            time.sleep(0.2)

    def terminate(self) -> int:
        """Send the runner SIGTERM, as ECS does, and return how the container ended; killed after Fargate's 120 s."""
        assert self._process is not None
        for runner in self._runners():
            runner.send_signal(signal.SIGTERM)
        return self._process.wait(120)

    def remove(self) -> None:
        """End and remove it."""
        if self._process is not None and self._process.poll() is None:
            for runner in self._runners():
                runner.kill()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
        if self._container:
            subprocess.run(["buildah", "rm", self._container], check=True, stdout=subprocess.DEVNULL)

    def last_lines(self) -> str:
        """Return the end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-2_000:]

    def _runners(self) -> list[psutil.Process]:
        found = []
        for process in psutil.Process(self._process.pid).children(recursive=True) if self._process else ():
            with suppress(psutil.Error):
                if process.cmdline()[1:] == _RUNNER[1:]:
                    found.append(process)
        return found


def _inside(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what the container is told: as the stack's runner, with the task definition's folders."""
    own = {"HOME": WRITABLE_FOLDER, "TMPDIR": WRITABLE_FOLDER}
    client = json.loads(environment["RECADO_WHATSAPP_ENVIRONMENT"]) | own
    client |= {"PYTHONPATH": f"{_SIMULATOR}/redirect", "SSL_CERT_FILE": f"{_SIMULATOR}/authority.pem"}
    return {
        **{name: value for name, value in environment.items() if name not in _OWN},
        **own,
        "RECADO_WHATSAPP_ENVIRONMENT": json.dumps(client),
        "RECADO_RUNNER_DIRECTORY": WRITABLE_FOLDER,
        "RECADO_HEALTH_PORT": str(HEALTH_PORT),
    }
