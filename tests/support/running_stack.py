"""A whole local stack in a folder of its own, and handles on what answers there."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx

from local.stack.clients import emulator_clients

_CHECKOUT = Path(__file__).resolve().parents[2]
_START_SECONDS = 180
_STOP_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Clinic:
    """A demo clinic and a client that carries its key."""

    clinic_id: str
    api_key: str
    api: httpx.Client

    @property
    def path(self) -> str:
        """The path of the clinic in the API."""
        return f"/v1/clinics/{self.clinic_id}"


class RunningStack:
    """One stack, started by ``start`` and described by what it wrote into its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: list[httpx.Client] = []
        self.described: dict[str, Any] = {}

    def start(self, *options: str) -> None:
        """Start the stack on free ports and return when it is ready.

        Raises:
            RuntimeError: it ended, or was not ready in time; carries what it printed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "stack.json").unlink(missing_ok=True)
        output = self.folder / "output.log"
        with output.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "local.stack", "--state", self.folder, "--any-ports", *options],
                cwd=_CHECKOUT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not (self.folder / "stack.json").exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"the stack did not start: {output.read_text(errors='replace')}")
            time.sleep(0.1)
        self.read()

    def read(self) -> None:
        """Read the description anew, as after a task was replaced."""
        self.described = json.loads((self.folder / "stack.json").read_text(encoding="utf-8"))

    def signal(self, number: signal.Signals) -> int:
        """Send the supervisor a signal, wait for its end and return its exit status."""
        process = cast("subprocess.Popen[bytes]", self._process)
        process.send_signal(number)
        return process.wait(_STOP_SECONDS)

    def stop(self) -> None:
        """Stop the stack cleanly, and kill it if that takes too long."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def output(self) -> str:
        """What the supervisor has printed so far."""
        return (self.folder / "output.log").read_text(encoding="utf-8", errors="replace")

    @property
    def url(self) -> str:
        """The API's address."""
        return str(self.described["url"])

    @property
    def admin_key(self) -> str:
        """The platform's key."""
        return str(self.described["admin_key"])

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables with which the domain package works on this stack's tables and queues."""
        return cast("Mapping[str, str]", self.described["environment"])

    def process_id(self, part: str) -> int:
        """Return the process id of a part: ``emulator``, ``whatsapp``, ``runner-shard-001``."""
        self.read()
        return int(self.described["processes"][part])

    def kill(self, part: str) -> None:
        """Kill a part without warning."""
        os.kill(self.process_id(part), signal.SIGKILL)

    def client(self, key: str | None = None) -> httpx.Client:
        """Return an HTTP client for the API, carrying a key if one is given; closed with the stack."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        client = httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)
        self._clients.append(client)
        return client

    def admin(self) -> httpx.Client:
        """Return an HTTP client with the platform's key."""
        return self.client(self.admin_key)

    def clinic(self, name: str) -> Clinic:
        """Return a demo clinic, ``aurora`` or ``brisa``."""
        known = self.described["clinics"][name]
        return Clinic(known["clinic_id"], known["api_key"], self.client(known["api_key"]))

    def phones(self) -> httpx.Client:
        """Return an HTTP client for the WhatsApp simulator's phones."""
        client = httpx.Client(base_url=str(self.described["phones_url"]), timeout=60, trust_env=False)
        self._clients.append(client)
        return client

    def aws(self, service: str) -> Any:
        """Return a boto3 client of the emulator."""
        return emulator_clients(str(self.described["emulator_url"]))(service)
