"""A stack that is stopped carries on; one that was torn down says what is gone."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.platform import Phones
from tests.e2e.platform.desk import Desk
from tests.e2e.platform.waiting import eventually
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]
_CHECKOUT = Path(__file__).resolve().parents[3]
_NUMBER, _PATIENT = "5511988880001", "5511977770001"


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[RunningStack]:
    """A stack that this test stops and tears down."""
    running = RunningStack(tmp_path / "state")
    yield running
    running.stop()


def _desk(stack: RunningStack) -> Desk:
    """Return the demo clinic at the stack's present address, with the key it has had from the start."""
    known = stack.described["clinics"]["aurora"]
    return Desk(stack.url, known["clinic_id"], known["api_key"])


def _phones(stack: RunningStack) -> Phones:
    return Phones(str(stack.described["phones_url"]))


async def test_a_stopped_stack_carries_on_and_a_torn_down_one_says_what_is_lost(own_stack: RunningStack) -> None:
    """After Ctrl-C: the same keys, the log, the link without a QR code, and what was accepted last is sent.

    After ``kill -9`` of supervisor and emulator, which then saves nothing: a sentence and an exit status instead of a
    stack that has forgotten its clinics; ``--fresh`` starts anew.
    """
    await asyncio.to_thread(own_stack.start)
    desk, phones = _desk(own_stack), _phones(own_stack)
    await desk.pair(phones, _NUMBER)
    first = await desk.send(_PATIENT, "antes")
    await desk.until_status(first, "delivered")
    accepted = await desk.send(_PATIENT, "aceita ao parar")
    assert await asyncio.to_thread(own_stack.signal, signal.SIGINT) == 0
    described = own_stack.described

    await asyncio.to_thread(own_stack.start)
    assert own_stack.described["clinics"] == described["clinics"]
    assert own_stack.admin_key == described["admin_key"]
    again, phones_again = _desk(own_stack), _phones(own_stack)
    again.channel_id, again.number = desk.channel_id, desk.number
    await again.until_state("connected")
    assert len((await phones_again.call("GET", f"/phones/{_NUMBER}"))["devices"]) == 1
    await again.until_status(accepted, "delivered")
    assert [message["message_id"] for message in await again.messages("outbound")] == [accepted, first]
    await phones_again.send(_PATIENT, _NUMBER, "depois")

    async def logged() -> list[str]:
        return [message["text"]["body"] for message in await again.messages("inbound")]

    assert await eventually(logged, "the answer is logged") == ["depois"]
    texts = [message["text"] for message in await phones_again.call("GET", f"/phones/{_PATIENT}/messages")]
    assert texts == ["antes", "aceita ao parar"]

    os.kill(own_stack.process_id("emulator"), signal.SIGKILL)
    await asyncio.to_thread(own_stack.signal, signal.SIGKILL)
    for closing in (desk, phones, again, phones_again):
        await closing.close()
    refused = await asyncio.to_thread(_start_again, own_stack.folder)
    assert refused.returncode not in {0, None}
    assert "clinics, keys, channels, messages" in refused.stdout
    assert "FRESH=1" in refused.stdout

    await asyncio.to_thread(own_stack.start, "--fresh")
    fresh = _desk(own_stack)
    assert (await fresh.call("GET", "/channels"))["data"] == []
    assert own_stack.described["clinics"] != described["clinics"]
    await fresh.close()


def _start_again(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local.stack", "--state", str(folder), "--any-ports"]
    return subprocess.run(
        command, cwd=_CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False
    )
