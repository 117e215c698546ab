"""What the platform counts and keeps, compared with what happened."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.bench.platform import Phones
from tests.e2e.platform.desk import Desk
from tests.e2e.platform.waiting import eventually
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]
_OUT, _IN, _TYPED = 5, 3, 2

# As an operator would: with the stack's own environment, in a process of its own.
_VERIFY = """
import json, sys
from recado.backups import service
from recado.kernel.clock import from_text

manifest = service.load_manifest(sys.argv[1], from_text(sys.argv[2]))
print(json.dumps({
    "found": manifest is not None,
    "items": manifest.configuration_items if manifest else 0,
    "objects": [one.source_key for one in manifest.objects] if manifest else [],
    "differences": [str(one) for one in service.verify(manifest)] if manifest else [],
}))
"""


async def test_the_volume_is_what_was_sent_and_received(
    own: Desk, brisa: Desk, phones: Phones, contact: str, number: Callable[[], str]
) -> None:
    """Sent by API and typed on the phone count as outbound, received ones as inbound, failed ones and others' not."""
    for place in range(_OUT):
        await own.send(contact, f"fora {place}")
    for place in range(_IN):
        await phones.send(contact, own.number, f"dentro {place}")
    for place in range(_TYPED):
        await phones.send(own.number, contact, f"do telefone {place}")
    await own.until_status(await own.send(number(), "a ninguém"), "failed")
    await brisa.send(contact, "de outra clínica")

    async def complete() -> bool:
        return await own.volume() == {"inbound": _IN, "outbound": _OUT + _TYPED}

    await eventually(complete, "all messages are counted")
    log = {direction: await own.messages(direction) for direction in ("inbound", "outbound")}
    assert len(log["inbound"]) == _IN
    assert sorted(message["source"] for message in log["outbound"]) == ["api"] * (_OUT + 1) + ["phone"] * _TYPED


async def test_a_backup_holds_every_clinics_configuration_and_session_and_verifies(
    stack: RunningStack, aurora: Desk, brisa: Desk
) -> None:
    """Each hour's manifest names what is in the bucket to the byte; damage shows, and a second run adds nothing."""
    hour = "2030-01-02T03:00:00Z"
    first = await _invoke(stack, hour)
    assert first["backed_up"] >= 2
    assert (first["failed"], first["left"], first["present"]) == (0, 0, 0)
    for desk in (aurora, brisa):
        verified = await _verify(stack, desk, hour)
        assert (verified["found"], verified["differences"]) == (True, [])
        assert verified["items"] >= 3  # the clinic, its key, its channel
        assert [key for key in verified["objects"] if desk.channel_id in key]
        assert all(key.startswith(f"clinic/{desk.clinic_id}/") for key in verified["objects"])
    again = await _invoke(stack, hour)
    assert (again["backed_up"], again["present"], again["failed"]) == (0, first["backed_up"], 0)
    await _damage_one_object(stack, brisa)
    assert (await _verify(stack, aurora, hour))["differences"] == []
    assert len((await _verify(stack, brisa, hour))["differences"]) == 1


async def _invoke(stack: RunningStack, hour: str) -> dict[str, int]:
    answer = await asyncio.to_thread(
        stack.aws("lambda").invoke, FunctionName="recado-local-backup", Payload=json.dumps({"time": hour}).encode()
    )
    counts = json.loads(await asyncio.to_thread(answer["Payload"].read))
    assert "FunctionError" not in answer, counts
    return {str(name): int(number) for name, number in counts.items()}


async def _verify(stack: RunningStack, desk: Desk, hour: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _VERIFY, desk.clinic_id, hour, env=dict(stack.environment), stdout=subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    verified: dict[str, Any] = json.loads(printed)
    return verified


async def _damage_one_object(stack: RunningStack, desk: Desk) -> None:
    s3, bucket = stack.aws("s3"), stack.environment["RECADO_BACKUP_BUCKET"]
    listed = await asyncio.to_thread(s3.list_objects_v2, Bucket=bucket, Prefix=f"clinic/{desk.clinic_id}/")
    copies = [one["Key"] for one in listed["Contents"] if desk.channel_id in one["Key"]]
    await asyncio.to_thread(s3.put_object, Bucket=bucket, Key=copies[0], Body=b"damaged")
