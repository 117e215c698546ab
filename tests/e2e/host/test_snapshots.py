"""Copies of session files taken under traffic, and what restoring them is worth."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from session_runner.whatsapp.restore import prepare_unclean
from tests.e2e.host.harness import CLINIC, PATIENT, HostBench, RunningHost, jid_of

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]
CHANNEL = "chn_clinic"


async def talk(clinic: HostBench, running: RunningHost, word: str, count: int) -> list[str]:
    """Texts from both sides, in turn: what crosses on the wire could reuse a key."""
    sent = []
    for number in range(count):
        text = f"{word} {number}"
        await running.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text=text)
        sent.append(text)
        whatsapp_id = await clinic.write(PATIENT, CLINIC, f"resposta {word} {number}")
        await running.row("message.received", whatsapp_id=whatsapp_id)
    return sent


async def restore(clinic: HostBench, copy: Path, name: str) -> Path:
    database = clinic.directory / name / "session.db"
    database.parent.mkdir(mode=0o700)
    shutil.copy(copy, database)
    return database


async def test_a_snapshot_taken_under_traffic_is_whole(clinic: HostBench) -> None:
    """Copies taken while messages come and go are consistent, one file each, and hold the device."""
    running = await clinic.connected()
    traffic = asyncio.create_task(talk(clinic, running, "tráfego", 10))
    for number in range(5):
        copy = clinic.directory / f"copy-{number}.db"
        snapshot = await running.request("snapshot", channel_id=CHANNEL, path=str(copy))
        with closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert connection.execute("SELECT count(*) FROM whatsmeow_device").fetchone() == (1,)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert snapshot["size"] == copy.stat().st_size
    await traffic


async def test_a_clean_snapshot_restores_without_a_trace(clinic: HostBench) -> None:
    """A copy taken after the stop goes on where the session ended: nothing lost, nothing undecryptable."""
    running = await clinic.connected()
    before = await talk(clinic, running, "antes", 3)
    await running.request("stop_session", channel_id=CHANNEL)
    copy = clinic.directory / "clean.db"
    await running.request("snapshot", channel_id=CHANNEL, path=str(copy))
    await running.host.stop()

    database = await restore(clinic, copy, "restored")
    other = await clinic.start()
    answer = await other.request("start_session", **clinic.session(database=database))
    assert answer["state"] == "connected"
    after = await talk(clinic, other, "depois", 3)
    assert [message["text"] for message in await clinic.received(PATIENT)] == before + after
    assert other.rows("message.undecryptable") == []


async def test_an_unclean_snapshot_restores_without_its_signal_sessions(clinic: HostBench) -> None:
    """A copy older than the last messages loses nothing in either direction once its Signal sessions are dropped."""
    running = await clinic.connected()
    before = await talk(clinic, running, "antes", 2)
    copy = clinic.directory / "unclean.db"
    await running.request("snapshot", channel_id=CHANNEL, path=str(copy))
    later = await talk(clinic, running, "não copiado", 4)
    running.host.kill()
    await running.host.exited

    database = await restore(clinic, copy, "restored")
    assert prepare_unclean(database) >= 1
    other = await clinic.start()
    await other.request("start_session", **clinic.session(database=database))
    after = await talk(clinic, other, "depois", 4)
    assert [message["text"] for message in await clinic.received(PATIENT)] == before + later + after


async def test_what_cannot_be_read_is_told_and_comes_again(clinic: HostBench) -> None:
    """An old copy with its Signal sessions cannot read what follows; the retry brings it, under the same id."""
    running = await clinic.connected()
    await talk(clinic, running, "antes", 2)
    copy = clinic.directory / "old.db"
    await running.request("snapshot", channel_id=CHANNEL, path=str(copy))
    await talk(clinic, running, "depois", 3)
    running.host.kill()
    await running.host.exited

    database = await restore(clinic, copy, "restored")
    other = await clinic.start()
    await other.request("start_session", **clinic.session(database=database))
    whatsapp_id = await clinic.write(PATIENT, CLINIC, "legível?")
    undecryptable = await other.row("message.undecryptable", whatsapp_id=whatsapp_id)
    assert undecryptable.data["from"]["e164"] == f"+{PATIENT}"
    received = await other.row("message.received", whatsapp_id=whatsapp_id)
    assert received.data["text"] == {"body": "legível?"}


async def test_a_new_phone_of_a_patient_is_told(clinic: HostBench) -> None:
    """A reinstalled WhatsApp has a new identity: worth a new copy, and its messages arrive."""
    running = await clinic.connected()
    await talk(clinic, running, "antes", 1)
    await clinic.phone(PATIENT, "reinstall")
    whatsapp_id = await clinic.write(PATIENT, CLINIC, "telefone novo")
    await running.row("message.received", whatsapp_id=whatsapp_id)
    await running.notice(kind="session_event", event="identity_changed")


async def test_the_fingerprint_tells_what_is_worth_a_new_copy(clinic: HostBench) -> None:
    """Meeting a new person changes it; a further message to the same one does not, and a copy carries its own."""
    running = await clinic.connected()
    await running.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text="um")

    async def fingerprint() -> str:
        status = await running.request("status")
        return str(status["sessions"][CHANNEL]["fingerprint"])

    first = await fingerprint()
    await running.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text="dois")
    assert await fingerprint() == first
    copy = await running.request("snapshot", channel_id=CHANNEL, path=str(clinic.directory / "copy.db"))
    assert copy["fingerprint"] == first
    await clinic.call("POST", "/phones", number="5511977770009")
    await running.request("send_text", channel_id=CHANNEL, to_jid=jid_of("5511977770009"), text="olá")
    assert await fingerprint() != first
