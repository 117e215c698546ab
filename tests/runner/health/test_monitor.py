"""The monitor's round: deaf sessions begun anew, poor ones reported, hung hosts killed, worn-out ones replaced."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from recado.channels.model import ChannelState, Desired
from recado.messages.status import MessageStatus
from session_runner.health.liveness import Liveness
from session_runner.health.vitals import HostLimits, MonitorLimits
from session_runner.hosts.errors import HostError
from session_runner.hosts.recycling import Recycling
from session_runner.ports import Surroundings
from session_runner.sessions.session import Session
from tests.runner.fakes import CHANNEL, CLINIC, START, FakeHost, MemoryChannels, World, a_channel, until

LIMITS = MonitorLimits(host=HostLimits(threads=100, descriptors=500, memory_bytes=1 << 40, rest=0.0))


def status(host: FakeHost, **changes: Any) -> dict[str, Any]:
    one = {
        "incarnation": host.incarnations[CHANNEL],
        "connected": True,
        "thread_alive": True,
        "last_event_at": "2026-11-22T12:00:00.000Z",
        "fingerprint": "f1",
        "keepalive_failures": 0,
    }
    return {"sessions": {CHANNEL: one | changes}}


Scenario = Callable[[World, Session, Surroundings, Liveness], Awaitable[None]]


@pytest.fixture
def world(tmp_path: Path) -> World:
    linked = {"phone": "+5511988880001", "lid": "7@lid", "paired_at": START}
    channel = a_channel(state=ChannelState.DISCONNECTED, desired=Desired.CONNECTED, **linked)
    world = World(tmp_path, channels=MemoryChannels(channel))
    world.vault.save(CLINIC, CHANNEL, b"keys", over=None, clean=True)
    return world


def play(world: World, scenario: Scenario) -> None:
    async def whole() -> None:
        around = world.around()
        session = Session(world.channels.channel, around, lambda _: None)
        world.on_notice = session.on_notice
        world.on_lost = lambda _, seat: session.on_host_lost(seat)
        session.begin()
        session.nudge()
        await until(lambda: world.states()[-1:] == [("connected", None)], "connected")
        liveness = Liveness(lambda: {CHANNEL: session}, around.pool, around, 0.01, LIMITS)
        looking = asyncio.create_task(liveness.run())
        try:
            await scenario(world, session, around, liveness)
        finally:
            looking.cancel()
            await session.shut_down(5)

    asyncio.run(whole())


def metric(world: World, name: str, event_type: str | None = None) -> list[float]:
    world.metrics.flush()
    written = [json.loads(line) for line in world.lines]
    return [value for line in written if line.get("event_type") == event_type for value in line.get(name, [])]


def test_a_deaf_session_gets_a_new_incarnation_and_the_recovery_is_measured(world: World) -> None:
    async def scenario(world: World, session: Session, around: Surroundings, liveness: Liveness) -> None:
        host = world.hosts[0]
        host.answers["status"] = [status(host, keepalive_failures=3)]
        await until(lambda: len(host.asked("start_session")) == 2, "begun anew")
        await until(lambda: world.states()[-1] == ("connected", None), "connected")
        assert ("disconnected", "silent") in world.states()
        assert metric(world, "Errors", "pump_ended") == [1.0]
        assert len(metric(world, "RecoverySeconds", "pump_ended")) == 1

    play(world, scenario)


def test_a_session_that_is_slow_to_answer_is_reported_and_left_alone(world: World) -> None:
    async def scenario(world: World, session: Session, around: Surroundings, liveness: Liveness) -> None:
        host = world.hosts[0]
        slow = status(host, keepalive_failures=3, last_event_at="2026-11-22T12:59:59.000Z")
        host.answers["status"] = [slow] * 1000
        await until(lambda: liveness.degraded == {"keepalive": 1}, "reported")
        host.answers["status"] = [status(host)] * 1000
        await until(lambda: liveness.degraded == {}, "well again")
        assert len(host.asked("start_session")) == 1

    play(world, scenario)


def test_a_host_that_hangs_is_killed_after_three_rounds_and_its_session_comes_back(world: World) -> None:
    async def scenario(world: World, session: Session, around: Surroundings, liveness: Liveness) -> None:
        host = world.hosts[0]
        late = HostError("timeout", "status was not answered in time")
        host.answers["status"] = [late, late, {"sessions": {}}, late, late, late]
        await until(lambda: len(world.hosts) == 2, "another host")
        assert not host.answers["status"]
        await until(session.connected.is_set, "back")
        assert metric(world, "HostsDied") == [1.0]
        assert metric(world, "Errors", "host_hung") == [1.0]

    play(world, scenario)


def test_a_worn_out_hosts_session_moves_with_its_message_waiting_and_nothing_is_lost(world: World) -> None:
    async def scenario(world: World, session: Session, around: Surroundings, liveness: Liveness) -> None:
        old = world.hosts[0]
        sending: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        old.answers["stop_session"] = [sending]
        old.answers["status"] = [status(old) | {"threads": 10, "descriptors": 500}]
        await until(lambda: old.asked("stop_session"), "being stopped")
        message = world.messages.accept()
        session.sender.ring()
        await asyncio.sleep(0.05)
        assert not old.asked("send_text")
        sending.set_result({})
        await until(lambda: len(world.hosts) == 2 and world.hosts[1].asked("send_text"), "sent from the new host")
        await until(old.exited.done, "the old host has ended")
        await until(lambda: world.results() == [("sent", None)], "told")
        assert world.messages.messages[message.message_id].status is MessageStatus.SENT
        states = [state for state, _ in world.states()]
        assert states == ["connecting", "connected", "connecting", "connected"]
        assert metric(world, "HostsRecycled") == [1.0]
        assert metric(world, "HostsDied") == []
        assert len(metric(world, "RecoverySeconds", "host_recycled")) == 1

    play(world, scenario)


def test_a_host_being_replaced_takes_no_session_and_a_second_one_waits_its_turn(world: World) -> None:
    async def scenario(world: World, session: Session, around: Surroundings, liveness: Liveness) -> None:
        seat = around.pool.seats[0]
        recycling = Recycling(lambda: {CHANNEL: session}, around.pool, around.logger)
        stopping: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        world.hosts[0].answers["stop_session"] = [stopping]
        recycling.begin(seat, "threads")
        other = await around.pool.place("chn_other")
        assert other is not seat
        recycling.begin(other, "threads")
        assert not other.draining
        stopping.set_result({})
        await until(lambda: not recycling.busy, "replaced")
        assert session.incarnation is not None
        assert session.incarnation.seat is other

    play(world, scenario)
