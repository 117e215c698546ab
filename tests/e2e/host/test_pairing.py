"""Linking a phone in a disposable host."""

import base64
import stat
from pathlib import Path

import pytest

from session_runner.hosts.host import HostError
from tests.e2e.host.harness import CLINIC, HostBench

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]


async def test_pairs_by_qr_code_and_names_the_number(bench: HostBench) -> None:
    """A scanned QR code links the device; the notice says whose it is once prekeys are uploaded."""
    paired = await bench.link()
    assert paired["phone"] == f"+{CLINIC}"
    assert paired["jid"] == f"{CLINIC}:1@s.whatsapp.net"
    assert paired["lid"].endswith("@lid")
    assert ":" not in paired["lid"]


async def test_pairs_by_code(bench: HostBench) -> None:
    """Eight letters entered on the phone link the device, and no QR code is shown."""
    pairing = await bench.start(pairing=True)
    await pairing.request("pair", **bench.session(), method="code", phone=f"+{CLINIC}")
    shown = await pairing.notice(kind="pairing_code")
    assert shown["method"] == "code"
    assert len(shown["code"]) == 9
    await bench.phone(CLINIC, "enter-code", code=shown["code"])
    paired = await pairing.notice(kind="paired")
    assert paired["phone"] == f"+{CLINIC}"
    assert [notice for notice in pairing.notices if notice["kind"] == "pairing_code"] == []


async def test_a_paired_session_can_be_stopped_and_copied(bench: HostBench) -> None:
    """After pairing the session is stopped, copied and the disposable host ended, by the ordinary requests."""
    pairing = await bench.start(pairing=True)
    session = bench.session()
    await pairing.request("pair", **session, method="qr")
    shown = await pairing.notice(kind="pairing_code")
    await bench.phone(CLINIC, "scan", code=shown["code"])
    await pairing.notice(kind="paired")
    await pairing.request("stop_session", channel_id=session["channel_id"])
    target = Path(session["database"]).parent / "copy.db"
    snapshot = await pairing.request("snapshot", channel_id=session["channel_id"], path=str(target))
    assert snapshot["size"] == target.stat().st_size
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    ended = await pairing.host.stop()
    assert ended.returncode == 0


async def test_unscanned_codes_end_the_process(bench: HostBench) -> None:
    """When the connection drops while a code is shown, the pairing is over and the process exits by itself."""
    pairing = await bench.start(pairing=True)
    await pairing.request("pair", **bench.session(), method="qr")
    await pairing.notice(kind="pairing_code")
    bench.simulator.stop()
    ended = await pairing.notice(kind="pairing_ended")
    assert ended["reason"] == "timeout"
    assert (await pairing.host.exited).returncode == 0
    bench.simulator.start()


async def test_unreachable_whatsapp_ends_the_pairing(bench: HostBench) -> None:
    """Without a connection there will be no code: the pairing says so at once and the process exits."""
    pairing = await bench.start(pairing=True)
    bench.simulator.stop()
    await pairing.request("pair", **bench.session(), method="qr")
    ended = await pairing.notice(kind="pairing_ended")
    assert ended["reason"] == "unreachable"
    await pairing.host.exited
    bench.simulator.start()


async def test_a_forged_link_ends_the_pairing(bench: HostBench) -> None:
    """A phone that proves the wrong secret is refused by the library, and the pairing is over."""
    pairing = await bench.start(pairing=True)
    await pairing.request("pair", **bench.session(), method="qr")
    shown = await pairing.notice(kind="pairing_code")
    fields = shown["code"].split(",")
    fields[3] = base64.b64encode(bytes(32)).decode()
    await bench.call_whatever("POST", f"/phones/{CLINIC}/scan", code=",".join(fields))
    ended = await pairing.notice(kind="pairing_ended")
    assert ended["reason"] == "error"
    await pairing.host.exited


async def test_secrets_stay_out_of_the_log(bench: HostBench) -> None:
    """Neither the code nor the number reaches what the process writes."""
    pairing = await bench.start(pairing=True)
    await pairing.request("pair", **bench.session(), method="code", phone=f"+{CLINIC}")
    shown = await pairing.notice(kind="pairing_code")
    await bench.phone(CLINIC, "enter-code", code=shown["code"])
    await pairing.notice(kind="paired")
    ended = await pairing.host.stop()
    written = "\n".join(ended.last_lines)
    assert shown["code"] not in written
    assert CLINIC not in written


async def test_sessions_and_pairings_do_not_share_a_host(bench: HostBench) -> None:
    """A pairing host resumes nothing; an ordinary host links nothing, because a failed pairing never ends."""
    pairing, ordinary = await bench.start(pairing=True), await bench.start()
    with pytest.raises(HostError, match="wrong_host"):
        await pairing.request("start_session", **bench.session())
    with pytest.raises(HostError, match="wrong_host"):
        await ordinary.request("pair", **bench.session(), method="qr")


async def test_a_linked_file_is_not_linked_again(bench: HostBench) -> None:
    """Pairing into a file that holds a device is refused, and so is starting one that holds none."""
    await bench.link()
    pairing, ordinary = await bench.start(pairing=True), await bench.start()
    with pytest.raises(HostError, match="already_paired"):
        await pairing.request("pair", **bench.session(), method="qr")
    with pytest.raises(HostError, match="not_paired"):
        await ordinary.request("start_session", **bench.session("chn_other"))
