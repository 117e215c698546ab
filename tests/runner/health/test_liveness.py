"""The half-minute round: signs of life written, changed credentials saved once a minute at most, dead pumps found."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from recado.channels.model import ChannelState, Desired
from session_runner.health.liveness import Liveness
from session_runner.health.vitals import MonitorLimits
from session_runner.sessions.session import Session
from session_runner.vault.object import Kind
from session_runner.vault.vault import Stored
from tests.runner.fakes import CHANNEL, CLINIC, EPOCH, START, FakeHost, MemoryChannels, World, a_channel, until

SNAPSHOT = Stored("1", EPOCH - 1, 1, "n", clean=True, kind=Kind.SNAPSHOT, snapshot=b"keys")


def status(host: FakeHost, **changes: Any) -> dict[str, Any]:
    one = {
        "incarnation": host.incarnations[CHANNEL],
        "connected": True,
        "thread_alive": True,
        "last_event_at": "2026-11-22T12:59:00.000Z",
        "fingerprint": "f1",
    }
    return {"sessions": {CHANNEL: one | changes}}


Scenario = Callable[[World, Session, FakeHost], Awaitable[None]]


@pytest.fixture
def world(tmp_path: Path) -> World:
    linked = {"phone": "+5511988880001", "lid": "7@lid", "paired_at": START}
    channel = a_channel(state=ChannelState.DISCONNECTED, desired=Desired.CONNECTED, **linked)
    world = World(tmp_path, channels=MemoryChannels(channel))
    world.vault.stored[CLINIC, CHANNEL] = SNAPSHOT
    return world


def play(world: World, answers: Callable[[FakeHost], list[Any]], scenario: Scenario) -> None:
    async def whole() -> None:
        around = world.around()
        session = Session(world.channels.channel, around, lambda _: None)
        world.on_notice = session.on_notice
        session.begin()
        session.nudge()
        await until(lambda: world.states()[-1:] == [("connected", None)], "connected")
        host = world.hosts[-1]
        await until(lambda: len(host.asked("snapshot")) == 1, "saved when it first connected")
        host.answers["status"] = answers(host)
        looking = asyncio.create_task(
            Liveness(lambda: {CHANNEL: session}, around.pool, around, 0.01, MonitorLimits()).run()
        )
        try:
            await scenario(world, session, host)
        finally:
            looking.cancel()
            await session.shut_down(5)

    asyncio.run(whole())


def test_signs_of_life_are_written(world: World) -> None:
    async def scenario(world: World, session: Session, host: FakeHost) -> None:
        written = len(world.channels.made("put_liveness"))
        await until(lambda: len(world.channels.made("put_liveness")) > written + 1, "written")

    play(world, lambda host: [status(host)] * 1000, scenario)


def test_changed_credentials_are_saved_at_most_once_a_minute(world: World) -> None:
    async def scenario(world: World, session: Session, host: FakeHost) -> None:
        await until(lambda: len(host.asked("status")) > 5, "looked at a few times")
        assert len(host.asked("snapshot")) == 1
        world.clock.advance(61)
        await until(lambda: len(host.asked("snapshot")) == 2, "saved after a minute")

    play(world, lambda host: [status(host, fingerprint="f2")] * 10_000, scenario)


def test_unchanged_credentials_are_not_saved_again(world: World) -> None:
    async def scenario(world: World, session: Session, host: FakeHost) -> None:
        world.clock.advance(3600)
        await until(lambda: len(host.asked("status")) > 5, "looked at a few times")
        assert len(host.asked("snapshot")) == 1

    play(world, lambda host: [status(host)] * 10_000, scenario)


def test_a_session_whose_thread_has_ended_unnoticed_is_begun_anew(world: World) -> None:
    async def scenario(world: World, session: Session, host: FakeHost) -> None:
        await until(lambda: len(host.asked("start_session")) == 2, "begun anew")
        assert ("disconnected", "thread_ended") in world.states()

    play(world, lambda host: [status(host, thread_alive=False), {"sessions": {}}], scenario)


def test_what_a_host_says_of_an_earlier_incarnation_is_passed_over(world: World) -> None:
    async def scenario(world: World, session: Session, host: FakeHost) -> None:
        await until(lambda: len(host.asked("status")) > 5, "looked at a few times")
        assert len(host.asked("start_session")) == 1

    play(world, lambda host: [status(host, incarnation="earlier", thread_alive=False)] * 1000, scenario)
