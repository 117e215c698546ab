"""A session's own proxy with the real client: everything goes through it, or nowhere."""

from collections.abc import Iterator

import pytest

from tests.e2e.host.harness import CLINIC, PATIENT, HostBench, jid_of
from tests.support.connect_proxy import ConnectProxy

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]
CHANNEL = "chn_clinic"


@pytest.fixture
def proxy(clinic: HostBench) -> Iterator[ConnectProxy]:
    with ConnectProxy(clinic.simulator.port) as running:
        yield running


async def test_a_session_connects_and_comes_back_through_its_own_proxy(clinic: HostBench, proxy: ConnectProxy) -> None:
    """The argument of the native call goes before the process's HTTPS_PROXY, with user and password, reconnects too."""
    running = await clinic.start()
    answer = await running.request("start_session", **clinic.session(), proxy=proxy.url)
    assert answer["state"] == "connected"
    assert [target.rpartition(":")[0] for target in proxy.tunnels] == ["web.whatsapp.com"]
    await running.notice(kind="session_event", event="connected")
    await running.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text="pelo proxy")
    proxy.drop()
    await running.notice(kind="session_event", event="disconnected")
    await running.notice(kind="session_event", event="connected")
    assert len(proxy.tunnels) == 2
    assert [message["text"] for message in await clinic.received(PATIENT)] == ["pelo proxy"]


async def test_a_session_whose_proxy_is_down_does_not_connect_directly(clinic: HostBench, proxy: ConnectProxy) -> None:
    """A refused connection, a wrong password: told as the proxy's, and the simulator sees no log-in."""
    running = await clinic.start()
    before = await clinic.call("GET", "/counters")
    wrong = proxy.url.replace("senha", "falsch")
    for url in (wrong, f"http://127.0.0.1:{proxy.port}"):
        answer = await running.request("start_session", **clinic.session(), proxy=url)
        assert answer["state"] == "pump_ended"
        notice = await running.notice(kind="session_event", event="pump_ended")
        assert notice["reason"] == "proxy_unreachable"
    assert proxy.refused == 2
    proxy.stop()
    answer = await running.request("start_session", **clinic.session(), proxy=proxy.url)
    assert answer["state"] == "pump_ended"
    assert (await running.notice(kind="session_event", event="pump_ended"))["reason"] == "proxy_unreachable"
    assert await clinic.call("GET", "/counters") == before
    last = " ".join((await running.host.stop()).last_lines)
    assert "senha" not in last
    assert "falsch" not in last


async def test_a_phone_is_linked_through_the_proxy(bench: HostBench) -> None:
    """Pairing, too, goes through the channel's proxy."""
    await bench.call("POST", "/phones", number=CLINIC, name="Aurora")
    with ConnectProxy(bench.simulator.port) as proxy:
        pairing = await bench.start(pairing=True)
        await pairing.request("pair", **bench.session(), method="qr", phone=None, proxy=proxy.url)
        shown = await pairing.notice(kind="pairing_code")
        await bench.phone(CLINIC, "scan", code=shown["code"])
        await pairing.notice(kind="paired")
        assert len(proxy.tunnels) >= 2, "the pairing and the log-in after it"
    down = await bench.start(pairing=True)
    await down.request("pair", **bench.session("chn_other"), method="qr", phone=None, proxy=proxy.url)
    assert (await down.notice(kind="pairing_ended"))["reason"] == "proxy_unreachable"
