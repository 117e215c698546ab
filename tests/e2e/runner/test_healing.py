"""Deaf sessions, hung and starved hosts, dead event pumps, stuck dials: noticed and healed with the real client.

One scenario, because the deaf session takes its time: the client itself notices a missing answer to its keep-alive
after 30 to 40 s, and nothing shortens that. Everything else happens meanwhile to other channels.
"""

import asyncio
import os
import resource
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from recado.channels import service as channels
from recado.channels.model import Channel, ChannelState
from recado.channels.settings import proxy_allowed_networks
from session_runner.hosts.pool import RunningHost
from tests.e2e.runner.harness import Platform, play
from tests.support.connect_proxy import ConnectProxy

pytestmark = pytest.mark.e2e
PATIENT = "5511977770001"
NUMBERS = ("5511988880001", "5511988880002", "5511988880003")
SETTINGS: dict[str, Any] = {
    "sessions_per_host": 1,
    "liveness_seconds": 0.5,
    "status_seconds": 0.5,
    "silent_after_keepalives": 1,
    "silent_after_seconds": 5,
    "connect_patience_seconds": 6,
}


@pytest.fixture(autouse=True)
def _proxies_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RECADO_PROXY_ALLOWED_NETWORKS", '["127.0.0.0/8"]')
    proxy_allowed_networks.cache_clear()
    yield
    proxy_allowed_networks.cache_clear()


def test_what_ails_sessions_is_noticed_and_healed(platform: Platform) -> None:
    async def scenario(platform: Platform) -> None:
        platform.simulator.post("/phones", number=NUMBERS[2], name="Terceira")
        await platform.start(**SETTINGS)
        clinic_id = await platform.clinic("Aurora")
        deaf, hung, sick = [await platform.link(clinic_id, number, number) for number in NUMBERS]
        await asyncio.to_thread(platform.simulator.post, f"/phones/{NUMBERS[0]}/silence", seconds=900)

        await _a_hung_host(platform, hung)
        await _a_starved_host(platform, hung)
        await _a_dead_pump(platform, sick)
        await _a_refusal_nobody_can_read(platform, sick)
        await _a_stuck_dial(platform, sick)

        await _healed(platform, deaf, "silent", seconds=60)
        platform.simulator.write(PATIENT, NUMBERS[0], "agora sim?")
        await platform.eventually(lambda: platform.facts(deaf, "message.received"), "it hears again")
        assert all(len(platform.facts(channel, "channel.qr_ready")) == 1 for channel in (deaf, hung, sick))

    play(platform, scenario)


async def _a_hung_host(platform: Platform, channel: Channel) -> None:
    """A process that does not answer any more is killed, and its session comes back elsewhere."""
    os.kill(_host_of(platform, channel).pid, signal.SIGSTOP)
    await _healed(platform, channel, "host_lost")


async def _a_starved_host(platform: Platform, channel: Channel) -> None:
    """A host that gets no more memory dies in Go (nothing can catch that), and its session comes back elsewhere."""
    before = len(_reasons(platform, channel))
    host = _host_of(platform, channel)
    resource.prlimit(host.pid, resource.RLIMIT_AS, (1 << 20, 1 << 20))
    for number in range(400):
        if len(_reasons(platform, channel)) > before:
            break
        platform.simulator.write(PATIENT, NUMBERS[1], f"mensagem {number} " + "x" * 20_000)
        await asyncio.sleep(0.02)
    await _healed(platform, channel, "host_lost", seen=before)
    ended = await host.exited
    assert ended.returncode == -signal.SIGABRT
    assert "memory" in " ".join(ended.causes), ended


async def _a_dead_pump(platform: Platform, channel: Channel) -> None:
    """An event that the client cannot encode ends its event pump, the socket staying open: begun anew at once."""
    await asyncio.to_thread(platform.simulator.post, f"/phones/{NUMBERS[2]}/failure", reason=415)
    await _healed(platform, channel, "unencodable_event")


async def _a_refusal_nobody_can_read(platform: Platform, channel: Channel) -> None:
    """A ban with a code unknown to the client is knocked at three times and no more, until somebody asks."""
    await asyncio.to_thread(platform.simulator.post, f"/phones/{NUMBERS[2]}/ban", code=999, expire_s=600)
    failed = await platform.until(channel, ChannelState.FAILED)
    assert failed.reason == "unreadable_refusal"
    await asyncio.to_thread(platform.simulator.post, f"/phones/{NUMBERS[2]}/unban")
    await asyncio.sleep(1)
    assert channels.get(channel.clinic_id, channel.channel_id).state is ChannelState.FAILED
    await platform.connect(channel)
    await platform.until(channel, ChannelState.CONNECTED)


async def _a_stuck_dial(platform: Platform, channel: Channel) -> None:
    """A proxy that takes the connection and never answers; then it does. Nothing dials past it meanwhile."""
    with ConnectProxy(platform.simulator.port) as proxy:
        proxy.silent = True
        await asyncio.to_thread(channels.set_proxy, channel.clinic_id, channel.channel_id, proxy.url)
        await platform.eventually(lambda: "not_connected_in_time" in _reasons(platform, channel), "patience is lost")
        assert proxy.tunnels == []
        proxy.silent = False
        proxy.drop()
        await _healed(platform, channel, "not_connected_in_time")
        assert proxy.tunnels
        await asyncio.to_thread(channels.set_proxy, channel.clinic_id, channel.channel_id, None)
        await platform.eventually(lambda: _reasons(platform, channel)[-1:] == [None], "connected directly again")


async def _healed(platform: Platform, channel: Channel, reason: str, *, seen: int = 0, seconds: float = 30.0) -> None:
    """Wait for a state with this reason, and for the connection after it."""

    def healed() -> bool:
        facts = platform.facts(channel, "channel.state")[seen:]
        at = [place for place, fact in enumerate(facts) if fact["reason"] == reason]
        return bool(at) and facts[-1]["state"] == ChannelState.CONNECTED and at[-1] < len(facts) - 1

    try:
        await platform.eventually(healed, f"healed from {reason}", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}: {platform.facts(channel, 'channel.state')}") from None


def _reasons(platform: Platform, channel: Channel) -> list[str | None]:
    return [fact["reason"] for fact in platform.facts(channel, "channel.state")]


def _host_of(platform: Platform, channel: Channel) -> RunningHost:
    assert platform.runner is not None
    assert platform.runner._pool is not None
    return next(seat.host for seat in platform.runner._pool.seats if channel.channel_id in seat.channels)
