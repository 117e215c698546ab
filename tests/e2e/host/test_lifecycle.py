"""What WhatsApp, the network and the machine do to sessions, and what a host makes of it."""

import asyncio
import os
import shutil
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from session_runner.host.fence import FENCED_STATUS
from session_runner.hosts.host import HostError, HostGone, NotSentError, UnknownOutcomeError
from session_runner.lease.deadline import LeaseDeadline
from tests.e2e.host.harness import CLINIC, PATIENT, HostBench, RunningHost, eventually, jid_of
from tests.e2e.whatsapp.harness import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]
CHANNEL = "chn_clinic"


async def state_of(running: RunningHost) -> str:
    status = await running.request("status")
    return str(status["sessions"][CHANNEL]["state"])


async def ended_by(running: RunningHost, event: str) -> dict[str, Any]:
    """Wait for a terminal event and for the host to have cleared the session away by itself."""
    notice = await running.notice(kind="session_event", event=event)
    await running.notice(kind="session_event", event="stopped")
    status = await running.request("status")
    assert status["sessions"][CHANNEL]["thread_alive"] is False
    assert status["sessions"][CHANNEL]["state"] == event
    return notice


async def test_a_dropped_connection_comes_back_by_itself(clinic: HostBench) -> None:
    """A dropped socket is told, the session reconnects, and what was sent meanwhile arrives."""
    running = await clinic.connected()
    await clinic.phone(CLINIC, "drop")
    await running.notice(kind="session_event", event="disconnected")
    await running.notice(kind="session_event", event="connected")
    whatsapp_id = await clinic.write(PATIENT, CLINIC, "ainda aí?")
    await running.row("message.received", whatsapp_id=whatsapp_id)


async def test_an_unlinked_device_is_logged_out_and_its_file_worth_nothing(clinic: HostBench) -> None:
    """Unlinked on the phone: terminal, the host clears up, and no snapshot may replace a good one."""
    running = await clinic.connected()
    await clinic.phone(CLINIC, "unlink")
    notice = await ended_by(running, "logged_out")
    assert notice["reason"] == "logged_out"
    with pytest.raises(HostError, match="not_paired"):
        await running.request("snapshot", channel_id=CHANNEL, path=str(clinic.directory / "copy.db"))
    with pytest.raises(HostError, match="not_paired"):
        await running.request("start_session", **clinic.session())


async def test_a_ban_carries_code_and_duration_and_can_be_resumed_after_it(clinic: HostBench) -> None:
    """A temporary ban is terminal for the incarnation; a new one connects when the ban is lifted."""
    running = await clinic.connected()
    await clinic.phone(CLINIC, "ban", code=101, expire_s=600)
    notice = await ended_by(running, "banned")
    assert notice["code"] == 101
    assert 590 <= notice["expire_seconds"] <= 600
    banned = await running.request("start_session", **clinic.session())
    assert banned["state"] == "banned"
    await clinic.phone(CLINIC, "unban")
    assert (await running.request("start_session", **clinic.session()))["state"] == "connected"


async def test_a_replaced_session_stays_down(clinic: HostBench) -> None:
    """Replaced by another connection of the same device: terminal, the device is kept."""
    running = await clinic.connected()
    await clinic.phone(CLINIC, "replace")
    await ended_by(running, "replaced")
    assert (await running.request("start_session", **clinic.session()))["state"] == "connected"


async def test_an_outdated_client_is_told(clinic: HostBench) -> None:
    """WhatsApp refuses this version of the client."""
    running = await clinic.connected()
    await clinic.phone(CLINIC, "outdated", enabled=True)
    await ended_by(running, "outdated")


async def test_a_refused_login_is_told_with_its_reason(clinic: HostBench) -> None:
    """A connect failure that the library does not retry is terminal."""
    running = await clinic.connected()
    await clinic.phone(CLINIC, "failure", reason=400)
    notice = await ended_by(running, "connect_failure")
    assert notice["reason"] == "generic"


async def test_a_dead_event_pump_is_noticed(clinic: HostBench) -> None:
    """Failure 415 cannot be encoded by the library: its native call returns, and a new incarnation takes over."""
    running = await clinic.connected()
    await clinic.phone(CLINIC, "failure", reason=415)
    notice = await ended_by(running, "pump_ended")
    assert notice["reason"] == "unencodable_event"
    assert (await running.request("start_session", **clinic.session()))["state"] == "connected"
    await running.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text="de volta")


async def test_an_unreachable_whatsapp_ends_the_start(clinic: HostBench) -> None:
    """The first dial is not retried by the library: the start says so at once."""
    running = await clinic.start()
    clinic.simulator.stop()
    answer = await running.request("start_session", **clinic.session())
    assert answer["state"] == "pump_ended"
    notice = await running.notice(kind="session_event", event="pump_ended")
    assert notice["reason"] == "unreachable"
    clinic.simulator.start()
    assert (await running.request("start_session", **clinic.session()))["state"] == "connected"


async def test_maintenance_does_not_hold_up_the_start(clinic: HostBench) -> None:
    """WhatsApp answers 503: the start returns while the library tries on by itself, and it connects in the end."""
    running = await clinic.start()
    await clinic.call("POST", "/faults", maintenance=True)
    answer = await running.request("start_session", timeout=10, **clinic.session())
    assert answer["state"] == "connecting"
    await running.notice(kind="session_event", event="disconnected")
    with pytest.raises(NotSentError, match="not_connected"):
        await running.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text="oi")
    await clinic.call("POST", "/faults", maintenance=False)
    await running.notice(kind="session_event", event="connected")


async def test_a_link_that_breaks_before_the_confirmation_leaves_the_outcome_unknown(clinic: HostBench) -> None:
    """WhatsApp took the message but its word got lost: it must not be called not sent."""
    running = await clinic.connected()
    await clinic.call("POST", "/faults", drop_acks=1)
    send = asyncio.create_task(running.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text="talvez"))
    await eventually(lambda: clinic.simulator.texts(PATIENT))
    clinic.simulator.stop()
    with pytest.raises(UnknownOutcomeError, match="disconnected_while_sending"):
        await send
    clinic.simulator.start()


async def test_logout_unlinks_the_device_on_the_phone(clinic: HostBench) -> None:
    """A log-out of our own tells WhatsApp, deletes the device row and stops the session."""
    running = await clinic.connected()
    await running.request("logout", channel_id=CHANNEL)
    assert await state_of(running) == "logged_out"
    with pytest.raises(HostError, match="not_paired"):
        await running.request("start_session", **clinic.session())
    with pytest.raises(NotSentError, match="not_connected"):
        await running.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text="oi")


async def test_a_killed_host_loses_nothing(clinic: HostBench) -> None:
    """After kill -9 the journal is whole and another host resumes from the live files, without re-sending keys."""
    running = await clinic.connected()
    first = await clinic.write(PATIENT, CLINIC, "antes")
    await running.row("message.received", whatsapp_id=first)
    await running.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text="um")
    os.kill(running.host.pid, signal.SIGKILL)
    assert (await running.host.exited).returncode == -signal.SIGKILL
    assert running.rows("message.received")[0].data["whatsapp_id"] == first
    while_down = await clinic.write(PATIENT, CLINIC, "durante")

    other = await clinic.connected()
    await other.row("message.received", whatsapp_id=while_down)
    await other.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text="dois")
    assert [message["text"] for message in await clinic.received(PATIENT)] == ["um", "dois"]
    assert other.rows("message.undecryptable") == []


async def test_a_killed_host_fails_the_request_it_was_in(clinic: HostBench) -> None:
    """A send under way when the host dies has an unknown outcome, not a certain one."""
    running = await clinic.connected()
    await clinic.call("POST", "/faults", drop_acks=5)
    send = asyncio.create_task(running.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text="no ar"))
    await eventually(lambda: clinic.simulator.texts(PATIENT))
    running.host.kill()
    with pytest.raises(HostGone):
        await send


async def test_hosts_die_with_their_supervisor(clinic: HostBench, tmp_path: Path) -> None:
    """When the supervisor is killed, the kernel kills its hosts: nobody keeps a session that nobody governs."""
    program = (
        "import asyncio, sys; from pathlib import Path; from session_runner.hosts.host import Host\n"
        "async def main():\n"
        "    host = Host(print)\n"
        f"    await host.start(directory=Path({str(tmp_path / 'own')!r}), journal_path=Path({str(tmp_path / 'j')!r}))\n"
        "    print(host.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    supervisor = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "layers/core/python")))},
    )
    assert supervisor.stdout is not None
    pid = int(await supervisor.stdout.readline())
    supervisor.kill()
    await supervisor.wait()
    await eventually(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text())


async def test_a_host_refuses_a_directory_others_can_read(clinic: HostBench, tmp_path: Path) -> None:
    """Session files hold keys: a host does not run where others could read them, nor without the bot tag off."""
    own = tmp_path / "own"
    own.mkdir(mode=0o755)
    arguments = ["--socket", "0", "--parent", str(os.getpid()), "--sessions", "1"]
    arguments += ["--directory", str(own), "--journal", str(tmp_path / "journal")]
    path = os.pathsep.join((str(ROOT), str(ROOT / "layers/core/python")))
    for environment, words in (
        ({"PYTHONPATH": path, "NEONIZE_BOT_TAG": "off"}, b"0700"),
        ({"PYTHONPATH": path}, b"NEONIZE_BOT_TAG"),
    ):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "session_runner.host", *arguments),
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
        _, written = await process.communicate()
        assert process.returncode == 2
        assert words in written


async def test_a_passed_lease_fences_the_host(clinic: HostBench, tmp_path: Path) -> None:
    """Once the lease's deadline has passed the host sends, starts and copies nothing, and ends by itself."""
    path = tmp_path / "deadline"
    deadline = LeaseDeadline(path)
    deadline.extend(time.monotonic() + 60)
    running = await clinic.connected(deadline_path=path)
    await running.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text="um")
    deadline.extend(time.monotonic() - 1)
    with pytest.raises(NotSentError, match="lease_passed"):
        await running.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text="dois")
    with pytest.raises(HostError, match="lease_passed"):
        await running.request("snapshot", channel_id=CHANNEL, path=str(tmp_path / "copy.db"))
    ended = await asyncio.wait_for(asyncio.shield(running.host.exited), 5)
    assert ended.returncode == FENCED_STATUS
    assert [message["text"] for message in await clinic.received(PATIENT)] == ["um"]


async def test_what_was_acknowledged_before_the_deadline_is_written_down_after_it(
    clinic: HostBench, tmp_path: Path
) -> None:
    """WhatsApp will not tell it again: the library has acknowledged events that the journal has yet to take."""
    path = tmp_path / "deadline"
    deadline = LeaseDeadline(path)
    deadline.extend(time.monotonic() + 60)
    running = await clinic.connected(deadline_path=path)
    await clinic.write(PATIENT, CLINIC, "antes")
    await running.row("message.received")

    def acknowledged() -> set[str]:
        _, ledger = clinic.simulator.call("GET", "/ledger?limit=1000", None)
        return {row["id"] for row in ledger if row["direction"] == "to_client" and row["acknowledged_at"]}

    blocked = sqlite3.connect(running.journal_path, isolation_level=None)
    blocked.execute("BEGIN IMMEDIATE")
    for number in range(40):
        await clinic.write(PATIENT, CLINIC, f"mensagem {number}")
    await eventually(lambda: len(acknowledged()) > 30)
    deadline.extend(0.0)
    await asyncio.sleep(0.5)
    blocked.execute("ROLLBACK")
    ended = await asyncio.wait_for(asyncio.shield(running.host.exited), 6)
    assert ended.returncode == FENCED_STATUS, ended.last_lines
    journalled = {row.data["whatsapp_id"] for row in running.rows("message.received")}
    assert acknowledged() - journalled == set()


async def test_one_channel_runs_once_and_a_host_is_bounded(clinic: HostBench) -> None:
    """A running channel is not started twice, a full host takes no more, a forgotten session makes room."""
    running = await clinic.connected(sessions=1)
    with pytest.raises(HostError, match="already_running"):
        await running.request("start_session", **clinic.session())
    other = clinic.session("chn_other")
    shutil.copy(clinic.session()["database"], other["database"])
    with pytest.raises(HostError, match="full"):
        await running.request("start_session", **other)
    with pytest.raises(HostError, match="already_running"):
        await running.request("forget_session", channel_id=CHANNEL)
    await running.request("stop_session", channel_id=CHANNEL)
    await running.request("forget_session", channel_id=CHANNEL)
    assert (await running.request("status"))["sessions"] == {}
    assert (await running.request("start_session", **other))["state"] == "connected"
