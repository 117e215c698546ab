"""A disk that is full: a host lets WhatsApp keep the messages, writes down what it has taken, and ends."""

import asyncio
import resource

import pytest

from session_runner.host.withdrawal import WITHDRAWN_STATUS
from session_runner.hosts.host import NotSentError
from tests.e2e.host.harness import CLINIC, PATIENT, HostBench, eventually, jid_of

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]
CHANNEL = "chn_clinic"


async def test_a_full_disk_closes_the_connection_and_loses_nothing_that_was_taken(clinic: HostBench) -> None:
    """What was acknowledged is written once there is room; the rest comes when the session is started again."""
    running = await clinic.connected()
    await clinic.write(PATIENT, CLINIC, "antes")
    await running.row("message.received")
    unlimited, most = resource.prlimit(running.host.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(running.host.pid, resource.RLIMIT_FSIZE, (0, most))
    with pytest.raises(NotSentError, match="disk_full"):
        await running.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text="nunca")
    await clinic.write(PATIENT, CLINIC, "durante")
    await running.notice(kind="journal_failed")

    def disconnected() -> bool:
        _, phone = clinic.simulator.call("GET", f"/phones/{CLINIC}", None)
        return not any(device["connected"] for device in phone["devices"] if device["device"] > 0)

    await eventually(disconnected)
    for number in range(20):
        await clinic.write(PATIENT, CLINIC, f"depois {number}")
    with pytest.raises(NotSentError, match="disk_full"):
        await running.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text="nunca")
    resource.prlimit(running.host.pid, resource.RLIMIT_FSIZE, (unlimited, most))
    ended = await asyncio.wait_for(asyncio.shield(running.host.exited), 10)
    assert ended.returncode == WITHDRAWN_STATUS, ended.last_lines
    ledger = await clinic.call("GET", "/ledger?limit=1000")
    acknowledged = {row["id"] for row in ledger if row["direction"] == "to_client" and row["acknowledged_at"]}
    assert acknowledged <= {row.data["whatsapp_id"] for row in running.rows()}
    again = await clinic.connected()
    await again.row("message.received", text={"body": "depois 19"})
    received = {row.data["text"]["body"] for row in again.rows("message.received")}
    assert received >= {f"depois {number}" for number in range(20)}
    assert await clinic.received(PATIENT) == []
