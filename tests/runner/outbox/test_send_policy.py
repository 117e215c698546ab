"""The sender under limits: who goes first, what is held and shown, typing, and what is sent again."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recado.contacts.model import Contact, KnownBy
from recado.messages.gate import Approach, OpenGate, Verdict
from recado.messages.limits import UNLIMITED, is_cold
from recado.messages.model import Message
from recado.messages.policy import MOST_RESENDS, SendPolicy, Uncertain
from recado.messages.status import MessageStatus
from session_runner.hosts.errors import HostGone, NotSentError, RefusedError
from session_runner.outbox.sender import Sender
from tests.runner.fakes import CLINIC, EPOCH, START, World, until
from tests.runner.outbox.test_sender import ANA, RUI, Line, drained, play

S = MessageStatus
EVA = "+5511977770003"
TOMORROW = START + timedelta(hours=11)
LOCKED = RefusedError("server_error", "", {"status": "463"})
PACED = replace(UNLIMITED, gap=(0.0, 0.001))


class Locking(OpenGate):
    """A gate that knows only the lock: strangers and the message that met it wait."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.until: Any = None
        self.asked = 0

    def may_send(self, message: Message, approach: Approach) -> Verdict:
        self.asked += 1
        now = self.world.clock.now()
        locked = self.until is not None and now < self.until
        if not locked or not is_cold(approach.contact(), now, answers=approach.answers):
            return Verdict(allowed=True)
        return Verdict(False, "reachout_locked", self.until)

    def after_refusal(self, message: Message, code: str) -> Verdict | None:
        if code != "463":
            return None
        self.until = START + timedelta(hours=24)
        return Verdict(False, "reachout_locked", self.until)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def known(world: World, e164: str, **changes: Any) -> None:
    contact = Contact(known_since=START, known_by=KnownBy.PHONE, **changes)
    world.contacts.contacts[CLINIC, e164.removeprefix("+")] = contact


def texts(line: Line) -> list[str]:
    return [request["text"] for request in line.host.asked("send_text")]


def test_replies_go_before_known_contacts_and_those_before_strangers(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        known(world, RUI)
        known(world, EVA, wrote_at=START)
        accepted = [world.messages.accept(e164) for e164 in (ANA, ANA, RUI, RUI, EVA, EVA)]
        await drained(world, sender)
        assert texts(line) == [accepted[place].text for place in (4, 5, 2, 3, 0, 1)]

    play(world, scenario, limits=PACED)


def test_a_quoting_answer_goes_first_also_to_somebody_who_is_not_known(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        known(world, RUI)
        first, answer = world.messages.accept(RUI), world.messages.accept(ANA)
        world.messages.rows[2] = replace(world.messages.rows[2], answers=True)
        await drained(world, sender)
        assert texts(line) == [answer.text, first.text]

    play(world, scenario, limits=PACED)


def test_without_limits_the_order_is_that_of_acceptance_and_nobody_is_looked_up(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        known(world, RUI, wrote_at=START)
        accepted = [world.messages.accept(e164) for e164 in (ANA, RUI)]
        await drained(world, sender)
        assert texts(line) == [message.text for message in accepted]
        assert world.contacts.asked == []
        assert "hold" not in world.messages.log

    play(world, scenario)


def test_what_comes_while_the_pace_holds_may_go_first(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        known(world, RUI, wrote_at=START)
        first, second = world.messages.accept(ANA), world.messages.accept(EVA)
        sender.begin()
        await until(lambda: texts(line) == [first.text], "the first is sent")
        reply = world.messages.accept(RUI)
        sender.ring()
        await until(lambda: not world.messages.rows, "all are sent")
        assert texts(line) == [first.text, reply.text, second.text]

    play(world, scenario, limits=replace(UNLIMITED, gap=(0.15, 0.15)))


def test_error_463_holds_the_message_and_strangers_and_shows_why(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        gate = Locking(world)
        line.host.answers["send_text"] = [LOCKED]
        known(world, RUI)
        met, behind, other, friend = (world.messages.accept(e164) for e164 in (ANA, ANA, EVA, RUI))
        sender = Sender(line, world.around(gate=gate))
        sender.begin()
        await until(lambda: world.messages.status(friend) is S.SENT, "the known one is sent")
        await until(lambda: world.messages.messages[other.message_id].held_reason, "the other stranger is held")
        for message in (met, other):
            stored = world.messages.messages[message.message_id]
            assert (stored.status, stored.held_reason, stored.not_before) == (S.QUEUED, "reachout_locked", gate.until)
        assert world.messages.status(behind) is S.QUEUED
        assert world.results() == [("sent", None)]
        assert texts(line) == [met.text, friend.text]
        await sender.close()
        world.metrics.flush()
        assert any('"event_type":"reachout_locked","MessagesHeld":[2.0]' in told for told in world.lines)

    play(world, scenario)


def test_a_held_message_is_written_and_asked_about_once_and_not_on_every_pass(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        gate = Locking(world)
        gate.until = START + timedelta(hours=24)
        held = world.messages.accept(ANA)
        sender = Sender(line, world.around(gate=gate))
        for _ in range(5):
            await sender._pass()
        assert world.messages.log == ["get", "hold"]
        assert gate.asked == 1
        world.clock.advance(3600)
        await sender._pass()
        assert world.messages.log == ["get", "hold", "get"]
        assert world.messages.messages[held.message_id].held_reason == "reachout_locked"

    play(world, scenario)


def test_a_new_message_for_a_held_chat_has_it_looked_at_again_and_goes_behind_the_held_one(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        gate = Locking(world)
        gate.until = START + timedelta(hours=24)
        held = world.messages.accept(ANA)
        sender = Sender(line, world.around(gate=gate))
        await sender._pass()
        known(world, ANA, wrote_at=START)
        reply = world.messages.accept(ANA)
        await sender._pass()
        assert texts(line) == [held.text, reply.text]
        stored = world.messages.messages[held.message_id]
        assert (stored.status, stored.held_reason, stored.not_before) == (S.SENT, None, None)

    play(world, scenario)


def test_a_held_message_ends_with_its_time_and_so_does_one_behind_it(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        gate = Locking(world)
        gate.until = START + timedelta(hours=24)
        first = world.messages.accept(ANA, valid_until=START + timedelta(minutes=2))
        second = world.messages.accept(ANA, valid_until=START + timedelta(minutes=1))
        sender = Sender(line, world.around(gate=gate))
        await sender._pass()
        world.clock.advance(61)
        await sender._pass()
        assert [world.messages.status(message) for message in (first, second)] == [S.QUEUED, S.EXPIRED]
        world.clock.advance(60)
        await sender._pass()
        assert world.messages.status(first) is S.EXPIRED
        assert texts(line) == []

    play(world, scenario)


def test_the_hours_limit_is_shown_on_the_next_message_once(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        first, second, third = (world.messages.accept(e164) for e164 in (ANA, RUI, EVA))
        for _ in range(3):
            wait = await sender._pass()
        assert texts(line) == [first.text]
        assert 3500 < wait <= 3600
        held = world.messages.messages[second.message_id]
        assert (held.held_reason, held.status) == ("hourly_limit", S.QUEUED)
        assert held.not_before is not None
        assert world.messages.messages[third.message_id].held_reason is None
        assert world.messages.log.count("hold") == 1

    play(world, scenario, limits=replace(UNLIMITED, per_hour=1))


def test_an_erased_message_at_the_hours_limit_stops_nothing(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        world.messages.accept(ANA)
        erased = world.messages.accept(RUI)
        del world.messages.messages[erased.message_id]
        for _ in range(2):
            assert await sender._pass() > 0
        assert len(texts(line)) == 1

    play(world, scenario, limits=replace(UNLIMITED, per_hour=1))


def test_typing_is_shown_before_a_text_and_its_failure_stops_nothing(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        line.host.answers["typing"] = [{}, NotSentError("not_connected")]
        message, other = world.messages.accept(ANA), world.messages.accept(RUI)
        await drained(world, sender)
        kinds = [kind for kind, _ in line.host.requests if kind in {"typing", "send_text"}]
        assert kinds == ["typing", "send_text"] * 2
        asked = {"channel_id": line.channel.channel_id, "to_jid": f"{ANA[1:]}@s.whatsapp.net", "state": "composing"}
        assert line.host.asked("typing")[0] == asked
        assert [world.messages.status(one) for one in (message, other)] == [S.SENT, S.SENT]

    play(world, scenario, limits=replace(UNLIMITED, typing=(0.01, 0.02)))


@pytest.mark.parametrize("policy", list(Uncertain))
def test_an_uncertain_message_goes_out_again_only_by_the_clinics_policy(world: World, policy: Uncertain) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        world.messages.policy = SendPolicy(policy)
        line.host.answers["send_text"] = [HostGone("host_gone")]
        message, behind = world.messages.accept(ANA), world.messages.accept(ANA)
        await drained(world, sender)
        again = policy is Uncertain.RESEND
        assert texts(line) == [message.text, *([message.text] if again else []), behind.text]
        told = [("uncertain", "host_lost"), *([("sent", None)] if again else []), ("sent", None)]
        assert sorted(world.results()) == sorted(told)
        stored = world.messages.messages[message.message_id]
        codes = [None, "host_lost", *(["resent", None] if again else [])]
        assert [line.code for line in stored.history] == codes
        assert stored.resends == int(again)

    play(world, scenario)


def test_the_policy_gives_up_after_so_many_times(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        world.messages.policy = SendPolicy(Uncertain.RESEND)
        line.host.answers["send_text"] = [HostGone("host_gone")] * 9
        message = world.messages.accept(ANA)
        await drained(world, sender)
        assert len(texts(line)) == 1 + MOST_RESENDS
        assert world.messages.status(message) is S.UNCERTAIN

    play(world, scenario)


def test_a_new_owner_sends_again_what_the_former_left_in_sending(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        world.messages.policy = SendPolicy(Uncertain.RESEND)
        left = world.messages.accept(status=S.SENDING, epoch=EPOCH - 1)
        await drained(world, sender)
        assert [(change.status, change.code) for change in world.messages.messages[left.message_id].history] == [
            (S.QUEUED, None),
            (S.UNCERTAIN, "owner_lost"),
            (S.QUEUED, "resent"),
            (S.SENT, None),
        ]

    play(world, scenario)


def test_a_deleted_channels_uncertain_message_is_not_sent_again(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        world.messages.policy = SendPolicy(Uncertain.RESEND)
        left = world.messages.accept(status=S.SENDING, epoch=EPOCH - 1)
        await sender.fail_all("channel_deleted")
        assert world.messages.status(left) is S.UNCERTAIN
        assert texts(line) == []

    play(world, scenario)


def test_what_was_discarded_is_told_and_its_row_goes_also_while_disconnected(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        line.connected.clear()
        message = world.messages.accept(status=S.FAILED)
        line_of_end = replace(message.history[0], status=S.FAILED, code="discarded")
        ended = replace(message, history=(*message.history, line_of_end), code="discarded")
        world.messages.messages[message.message_id] = ended
        world.messages.rows[1] = replace(world.messages.rows[1], expires_at=START)
        await drained(world, sender)
        await until(lambda: world.results() == [("failed", "discarded")], "it is told")

    play(world, scenario)


def test_closing_does_not_wait_for_the_pace(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        world.messages.accept(ANA)
        world.messages.accept(RUI)
        sender.begin()
        await until(lambda: len(texts(line)) == 1, "the first is sent")
        async with asyncio.timeout(5):
            await sender.close()
        assert len(texts(line)) == 1
        assert len(world.messages.rows) == 1

    play(world, scenario, limits=replace(UNLIMITED, gap=(60.0, 60.0)))
