"""``python -m session_runner`` as the stack runs it: told to end, killed, and replaced by the next task."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psutil
import pytest

from tests.support.running_stack import RunningStack

pytestmark = pytest.mark.e2e
RUNNER = "runner-shard-001"
NUMBER, PATIENT = "5511988880007", "5511977770007"
WAIT_SECONDS = 90.0


class Clinic:
    """A clinic of this test's own, with one channel."""

    def __init__(self, stack: RunningStack) -> None:
        self.stack = stack
        admin = stack.admin()
        body = {"name": "Clínica do Teste", "time_zone": "America/Sao_Paulo"}
        self.clinic_id = admin.post("/v1/clinics", json=body).json()["clinic_id"]
        scopes = ["channels:read", "channels:write", "messages:read", "messages:send"]
        key = admin.post(f"/v1/clinics/{self.clinic_id}/api-keys", json={"name": "teste", "scopes": scopes}).json()
        self.api = stack.client(key["api_key"])
        self.phones = stack.phones()
        self.path = f"/v1/clinics/{self.clinic_id}/channels"
        self.path += "/" + self.api.post(self.path, json={"name": "Recepção"}).json()["channel_id"]

    def link(self) -> None:
        self.api.post(f"{self.path}/connect", json={"method": "qr"})
        code = self.api.get(f"{self.path}/qr", params={"wait": 20}).json()["code"]
        assert self.phones.post(f"/phones/{NUMBER}/scan", json={"code": code}).json()["linked"]
        eventually(lambda: self.channel()["state"] == "connected", "connected")

    def channel(self) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(self.path).json()
        return found

    def send(self, text: str) -> str:
        body = {"to": f"+{PATIENT}", "type": "text", "text": {"body": text}}
        return str(self.api.post(f"{self.path}/messages", json=body).json()["message_id"])

    def status(self, message_id: str) -> str:
        return str(self.api.get(f"{self.path}/messages/{message_id}").json()["status"])

    def texts(self) -> list[str]:
        return [message["text"] for message in self.phones.get(f"/phones/{PATIENT}/messages").json()]


def eventually(probe: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        if value := probe():
            return value
        time.sleep(0.1)
    raise AssertionError(f"did not happen: {what}")


def replaced(stack: RunningStack, pid: int) -> int:
    def other() -> int:
        present = stack.process_id(RUNNER)
        return present if present != pid and psutil.pid_exists(present) else 0

    return int(eventually(other, "a new task runs"))


def hosts_of(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children() if "session_runner.host" in child.cmdline()]


def health(stack: RunningStack) -> dict[str, Any]:
    """The newest runner's health, at the port it logged."""
    lines = (stack.folder / "logs" / f"{RUNNER}.log").read_text().splitlines()
    ports = [entry["health_port"] for entry in map(_entry, lines) if "health_port" in entry]
    answer: dict[str, Any] = httpx.get(f"http://127.0.0.1:{ports[-1]}/health", trust_env=False).json()
    return answer


def _entry(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@pytest.fixture(scope="module")
def clinic(stack: RunningStack) -> Iterator[Clinic]:
    made = Clinic(stack)
    made.link()
    yield made
    made.api.delete(made.path)


def test_health_tells_shard_epoch_sessions_and_hosts(stack: RunningStack, clinic: Clinic) -> None:
    report = health(stack)
    assert report["status"] == "running"
    assert report["shard_id"] == "shard-001"
    assert report["epoch"] >= 1
    assert report["sessions"]["connected"] >= 1
    assert any(host["sessions"] for host in report["hosts"])
    assert report["journal_pending"] >= 0


def test_a_terminated_task_is_followed_at_once_by_one_that_needs_no_qr(stack: RunningStack, clinic: Clinic) -> None:
    pid, before = stack.process_id(RUNNER), clinic.texts()
    epoch = health(stack)["epoch"]
    os.kill(pid, signal.SIGTERM)
    sent = clinic.send("durante a troca")
    replaced(stack, pid)
    eventually(lambda: clinic.status(sent) == "delivered", "sent by the new task")
    assert clinic.texts()[len(before) :] == ["durante a troca"]
    assert health(stack)["epoch"] == epoch + 1
    assert clinic.channel()["state"] == "connected"


def test_a_killed_task_takes_its_hosts_along_and_loses_no_message(stack: RunningStack, clinic: Clinic) -> None:
    pid, before = stack.process_id(RUNNER), clinic.texts()
    hosts = hosts_of(pid)
    assert hosts
    stack.kill(RUNNER)
    eventually(lambda: not any(host.is_running() for host in hosts), "the hosts are gone")
    sent = [clinic.send(f"depois da queda {number}") for number in range(3)]
    clinic.phones.post(f"/phones/{PATIENT}/messages", json={"to": NUMBER, "text": "enquanto isso"})
    replaced(stack, pid)
    eventually(lambda: {clinic.status(message) for message in sent} == {"delivered"}, "all are sent by the new task")
    assert clinic.texts()[len(before) :] == [f"depois da queda {number}" for number in range(3)]

    def received() -> bool:
        found = clinic.api.get(f"{clinic.path}/messages", params={"direction": "inbound"}).json()["data"]
        return any(message["text"]["body"] == "enquanto isso" for message in found)

    eventually(received, "what came meanwhile is there")
