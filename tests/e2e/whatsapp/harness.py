"""What the end-to-end tests hold in their hands: a running simulator, its control API, and real clients."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.whatsapp.redirect import client_environment

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
WAIT_S = 20.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class RunningSimulator:
    """The simulator in a process of its own, on a free port that it keeps over restarts."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.port = 0
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "local.whatsapp", "--port", str(self.port), "--state", str(self.state)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self.port = int(line.rsplit(":", 1)[1])

    def stop(self, number: int = signal.SIGTERM) -> None:
        self._process.send_signal(number)
        self._process.wait(WAIT_S)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method, data=data)
        try:
            with _DIRECT.open(request, timeout=WAIT_S) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def get(self, path: str) -> Any:
        status, answer = self.call("GET", path)
        assert status == 200, answer
        return answer

    def post(self, path: str, **body: Any) -> Any:
        status, answer = self.call("POST", path, body)
        assert status in (200, 201), answer
        return answer

    def texts(self, number: str) -> list[str]:
        return [message["text"] for message in self.get(f"/phones/{number}/messages")]

    def write(self, sender: str, to: str, text: str) -> str:
        return str(self.post(f"/phones/{sender}/messages", to=to, text=text)["id"])


class RealClient:
    """The unmodified client in a subprocess."""

    def __init__(self, simulator: RunningSimulator, database: Path) -> None:
        turned = client_environment(simulator.port, simulator.state, python_path=str(ROOT))
        environment = {**os.environ, **turned}  # noqa: TID251 - a child process inherits what this one has
        self._simulator = simulator
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "client_process.py"), str(database)],
            cwd=database.parent,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._reports: queue.Queue[dict[str, Any]] = queue.Queue()
        self._passed: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()
        self.begin("connect")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("@"):
                self._reports.put(json.loads(line[1:]))

    def begin(self, name: str, **arguments: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": name, **arguments}) + "\n")
        self._process.stdin.flush()

    def expect(self, matches: Callable[[dict[str, Any]], bool], what: str, wait_s: float = WAIT_S) -> dict[str, Any]:
        """The next report that matches; others stay for later."""
        for report in self._passed:
            if matches(report):
                self._passed.remove(report)
                return report
        end = time.monotonic() + wait_s
        while (left := end - time.monotonic()) > 0:
            try:
                report = self._reports.get(timeout=left)
            except queue.Empty:
                break
            if matches(report):
                return report
            self._passed.append(report)
        raise AssertionError(f"the client did not report {what}; it reported {self._passed}")

    def event(self, name: str, wait_s: float = WAIT_S, **fields: Any) -> dict[str, Any]:
        def matches(report: dict[str, Any]) -> bool:
            return report.get("event") == name and all(report.get(key) == value for key, value in fields.items())

        return self.expect(matches, f"{name} {fields}", wait_s)

    def do(self, name: str, **arguments: Any) -> Any:
        self.begin(name, **arguments)
        report = self.expect(lambda report: report.get("done") == name, f"the end of {name}")
        if "error" in report:
            raise RuntimeError(report["error"])
        return report["result"]

    def pair(self, number: str) -> None:
        """Scan the client's code with the phone of this number and wait until it is connected."""
        code = self.event("qr")["code"]
        assert self._simulator.post(f"/phones/{number}/scan", code=code)["linked"]
        self.event("Connected")

    def is_quiet(self, name: str, for_s: float) -> bool:
        """Whether no event of this name comes for a while."""
        try:
            self.event(name, wait_s=for_s)
        except AssertionError:
            return True
        return False

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(WAIT_S)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


def eventually(probe: Callable[[], Any], what: str, wait_s: float = WAIT_S) -> Any:
    """The first true value of ``probe``, asked again and again."""
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        value = probe()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"did not happen in {wait_s:g} s: {what}")
