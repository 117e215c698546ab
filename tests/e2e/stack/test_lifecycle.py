"""Starting, stopping, losing and carrying on: what a person with a terminal does to the stack."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from local.stack.ports import HOST
from tests.support.running_stack import RunningStack

pytestmark = pytest.mark.e2e


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RunningStack]:
    """A stack that a test may stop, break and start again; its folder's name has a space."""
    running = RunningStack(tmp_path / "own state")
    yield running
    running.stop()


def _make_channel(stack: RunningStack) -> str:
    aurora = stack.clinic("aurora")
    body = {"name": "Recepção", "external_id": "recepcao"}
    answer = aurora.api.post(f"{aurora.path}/channels", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["channel_id"])


def _channels(stack: RunningStack) -> list[str]:
    aurora = stack.clinic("aurora")
    answer = aurora.api.get(f"{aurora.path}/channels")
    assert answer.status_code == 200, answer.text
    return [channel["channel_id"] for channel in answer.json()["data"]]


def _pair(stack: RunningStack, channel_id: str, phone: str) -> None:
    aurora = stack.clinic("aurora")
    channel = f"{aurora.path}/channels/{channel_id}"
    assert aurora.api.post(f"{channel}/connect", json={"method": "qr"}).status_code == 202
    code = aurora.api.get(f"{channel}/qr", params={"wait": 20}).json()["code"]
    assert stack.phones().post(f"/phones/{phone}/scan", json={"code": code}).status_code == 200
    _wait_connected(stack, channel_id)


def _wait_connected(stack: RunningStack, channel_id: str) -> None:
    aurora = stack.clinic("aurora")
    for _ in range(6):
        answer = aurora.api.get(f"{aurora.path}/channels/{channel_id}", params={"wait_for": "connected"})
        if answer.json()["state"] == "connected":
            return
    raise AssertionError(f"never connected: {answer.text}")


def test_after_ctrl_c_the_next_start_carries_on_even_on_another_port(own: RunningStack) -> None:
    """Clinics, keys, channels and the linked phone are there again without a QR, and queues still lead somewhere."""
    own.start()
    before = own.described
    channel_id = _make_channel(own)
    _pair(own, channel_id, "5511988880001")
    assert own.signal(signal.SIGINT) == 0
    assert own.output.rstrip().endswith("stopped")
    assert not (own.folder / "stack.json").exists()
    emulator_port = int(before["emulator_url"].rpartition(":")[2])
    with closing(socket.socket()) as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind((HOST, emulator_port))
        squatter.listen()
        own.start()
        assert f"port {emulator_port} is taken" in own.output
        assert own.described["emulator_url"] != before["emulator_url"]
        assert own.described["clinics"] == before["clinics"]
        assert own.admin_key == before["admin_key"]
        assert _channels(own) == [channel_id]
        _wait_connected(own, channel_id)
        # A doorbell rung now reaches the runner, so the queue's address was carried over to the new port.
        aurora = own.clinic("aurora")
        body = {"to": "5511977770001", "type": "text", "text": {"body": "Olá"}}
        sent = aurora.api.post(f"{aurora.path}/channels/{channel_id}/messages", json=body)
        assert sent.status_code == 202, sent.text


def test_a_killed_emulator_ends_the_stack_and_the_loss_is_said(own: RunningStack) -> None:
    """It saves only when asked to end; the next start says what is gone, and does as it is told."""
    own.start("--no-runners")
    _make_channel(own)
    own.kill("emulator")
    assert own.signal(signal.SIGCONT) == 1
    assert "emulator ended with status -9" in own.output

    with pytest.raises(RuntimeError, match="FRESH=1") as refused:
        own.start("--no-runners")
    assert "AWS emulator's: clinics" in str(refused.value)

    own.start("--no-runners", "--resume")
    assert "going on without what was lost" in own.output
    assert _channels(own) == []
    channel_id = _make_channel(own)
    assert own.signal(signal.SIGHUP) == 0

    own.start("--no-runners")
    assert _channels(own) == [channel_id]
    assert own.signal(signal.SIGTERM) == 0

    own.start("--no-runners", "--fresh")
    assert _channels(own) == []


def test_a_killed_runner_is_replaced_and_a_killed_supervisor_loses_nothing(own: RunningStack) -> None:
    """A new task takes over, as on ECS. With the supervisor gone the kernel asks the parts to end: all is saved."""
    own.start()
    channel_id = _make_channel(own)
    killed = own.process_id("runner-shard-001")
    own.kill("runner-shard-001")
    _wait_replaced(own, killed)
    assert "runner-shard-001 ended with status -9" in own.output
    emulator_url = own.described["emulator_url"]
    own.signal(signal.SIGKILL)
    _wait_gone(emulator_url)
    own.start("--no-runners")
    assert _channels(own) == [channel_id]


def test_a_second_stack_in_the_same_folder_is_refused(stack: RunningStack) -> None:
    """Two would overwrite each other's state."""
    second = RunningStack(stack.folder)
    described = json.dumps(stack.described)
    with pytest.raises(RuntimeError, match="already running"):
        second.start()
    (stack.folder / "stack.json").write_text(described, encoding="utf-8")
    assert stack.client().get("/health").status_code == 200


def _wait_replaced(stack: RunningStack, killed: int) -> None:
    for _ in range(200):
        stack.read()
        if stack.described["processes"].get("runner-shard-001", killed) != killed:
            return
        time.sleep(0.1)
    raise AssertionError("no new task came")


def _wait_gone(url: str) -> None:
    for _ in range(300):
        try:
            httpx.get(f"{url}/_ministack/ready", trust_env=False)
        except httpx.HTTPError:
            return
    raise AssertionError("the emulator outlived its supervisor")
