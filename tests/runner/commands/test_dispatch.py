"""Commands reach the session of their own clinic and channel, and nobody else's."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from recado.kernel.envelopes import Command
from session_runner.commands.dispatch import Dispatch
from session_runner.hosts.errors import NotSentError
from session_runner.outbox.recipients import Recipients
from session_runner.sessions.session import Session
from tests.runner.fakes import CHANNEL, CLINIC, START, FakeHost, World, a_channel, until


class Stub:
    """A session as far as commands go."""

    def __init__(self, world: World) -> None:
        self.channel = a_channel()
        self.host = FakeHost(lambda _: None, 1)
        self.nudged = self.rung = 0
        self.sender = self
        self.error: Exception | None = None
        around = world.around()
        self.recipients = Recipients(CLINIC, world.contacts, self.request, around.blocking, world.clock)

    def nudge(self) -> None:
        self.nudged += 1

    def ring(self) -> None:
        self.rung += 1

    async def request(self, kind: str, *, seconds: float, **payload: Any) -> dict[str, Any]:
        if self.error:
            raise self.error
        return await self.host.request(kind, **payload)


Scenario = Callable[[World, Stub, Callable[..., Awaitable[None]]], Awaitable[None]]


def play(world: World, scenario: Scenario) -> None:
    async def whole() -> None:
        stub = Stub(world)

        async def find(clinic_id: str, channel_id: str) -> Session | None:
            return cast("Session", stub) if (clinic_id, channel_id) == (CLINIC, CHANNEL) else None

        handlers = Dispatch(find, world.around()).handlers()

        async def give(kind: str, clinic_id: str = CLINIC, **data: Any) -> None:
            await handlers[kind](Command("cmd_1", kind, clinic_id, CHANNEL, START, START + timedelta(minutes=1), data))

        await scenario(world, stub, give)

    asyncio.run(whole())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_nudges_and_doorbells_wake_the_session(world: World) -> None:
    async def scenario(world: World, stub: Stub, give: Callable[..., Awaitable[None]]) -> None:
        await give("channel.reconcile")
        await give("outbox.ring")
        assert (stub.nudged, stub.rung) == (1, 1)

    play(world, scenario)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("channel.reconcile", {}),
        ("outbox.ring", {}),
        ("contacts.check", {"request_id": "req_1", "numbers": ["+5511977770001"]}),
        ("chats.typing", {"to": {"e164": "+5511977770001", "lid": None}, "state": "composing"}),
        ("messages.mark_read", {"items": [{"whatsapp_id": "A", "chat": {"e164": None, "lid": "9@lid"}}]}),
    ],
)
def test_another_clinics_command_for_the_channel_does_nothing(world: World, kind: str, data: dict[str, Any]) -> None:
    async def scenario(world: World, stub: Stub, give: Callable[..., Awaitable[None]]) -> None:
        await give(kind, clinic_id="cli_brisa", **data)
        await asyncio.sleep(0.02)
        assert (stub.nudged, stub.rung, stub.host.requests, world.channels.calls) == (0, 0, [], [])

    play(world, scenario)


def test_a_check_is_answered_and_remembered(world: World) -> None:
    async def scenario(world: World, stub: Stub, give: Callable[..., Awaitable[None]]) -> None:
        await give("contacts.check", request_id="req_1", numbers=["+5511977770001"])
        await until(lambda: world.channels.made("put_check_result"), "the answer is written")
        answer = {
            "e164": "+5511977770001",
            "on_whatsapp": True,
            "registered_e164": "+5511977770001",
            "lid": "99@lid",
        }
        assert world.channels.made("put_check_result") == [("req_1", [answer])]
        assert (CLINIC, "+5511977770001") in world.contacts.known

    play(world, scenario)


def test_read_messages_are_told_per_chat(world: World) -> None:
    async def scenario(world: World, stub: Stub, give: Callable[..., Awaitable[None]]) -> None:
        ana, rui = {"e164": None, "lid": "1@lid"}, {"e164": "+5511977770002", "lid": None}
        items = [
            {"whatsapp_id": "A", "chat": ana, "sender": ana},
            {"whatsapp_id": "B", "chat": rui},
            {"whatsapp_id": "C", "chat": ana, "sender": ana},
        ]
        await give("messages.mark_read", items=items)
        await until(lambda: len(stub.host.asked("mark_read")) == 2, "both chats")
        assert stub.host.asked("mark_read") == [
            {"chat": "1@lid", "sender": "1@lid", "whatsapp_ids": ["A", "C"]},
            {
                "chat": "5511977770002@s.whatsapp.net",
                "sender": "5511977770002@s.whatsapp.net",
                "whatsapp_ids": ["B"],
            },
        ]

    play(world, scenario)


def test_a_command_that_cannot_be_carried_out_disturbs_nothing(world: World) -> None:
    async def scenario(world: World, stub: Stub, give: Callable[..., Awaitable[None]]) -> None:
        stub.error = NotSentError("not_connected")
        await give("chats.typing", to={"e164": "+5511977770001", "lid": None}, state="paused")
        await give("contacts.check", request_id="req_1", numbers=["+5511977770001"])
        await asyncio.sleep(0.02)
        assert world.channels.made("put_check_result") == []
        stub.error = None
        await give("chats.typing", to={"e164": "+5511977770001", "lid": None}, state="paused")
        await until(lambda: stub.host.asked("typing"), "the next one is carried out")

    play(world, scenario)
