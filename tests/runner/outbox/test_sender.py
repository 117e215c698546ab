"""The sender: order per chat, one result per message, nothing sent twice silently, whatever fails in between."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recado.channels.model import Channel
from recado.contacts.model import Resolution
from recado.messages.gate import Approach, OpenGate, Verdict
from recado.messages.model import Message
from recado.messages.status import MessageStatus
from session_runner.hosts.errors import HostError, HostGone, NotSentError, RefusedError, UnknownOutcomeError
from session_runner.outbox.sender import Sender
from tests.runner.fakes import CLINIC, EPOCH, START, FakeHost, World, a_channel, until

S = MessageStatus
ANA, RUI = "+5511977770001", "+5511977770002"


class Line:
    """The session a sender under test sends through."""

    def __init__(self, host: FakeHost, channel: Channel) -> None:
        self.host = host
        self.channel = channel
        self.connected = asyncio.Event()
        self.connected.set()

    async def request(self, kind: str, *, seconds: float, **payload: Any) -> dict[str, Any]:
        return await self.host.request(kind, channel_id=self.channel.channel_id, **payload)


Scenario = Callable[[World, Line, Sender], Awaitable[None]]


def play(world: World, scenario: Scenario, **changes: Any) -> None:
    async def whole() -> None:
        host = FakeHost(lambda _: None, 1)
        line = Line(host, a_channel(phone="+5511988880001", lid="7@lid"))
        sender = Sender(line, world.around(**changes))
        try:
            await scenario(world, line, sender)
        finally:
            sender.cancel()

    asyncio.run(whole())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def drained(world: World, sender: Sender) -> None:
    sender.begin()
    await until(lambda: not world.messages.rows, "the outbox is empty")


def test_messages_go_out_in_order_each_with_intent_result_fact_and_settlement(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        accepted = [world.messages.accept() for _ in range(3)]
        await drained(world, sender)
        assert [sent["text"] for sent in line.host.asked("send_text")] == [m.text for m in accepted]
        assert [world.messages.status(message) for message in accepted] == [S.SENT] * 3
        assert world.results() == [("sent", None)] * 3
        assert world.messages.log[:4] == ["get", "begin_send", "record_sent", "settle"]
        stored = world.messages.messages[accepted[0].message_id]
        assert (stored.whatsapp_id, stored.to.e164, stored.to.lid, stored.epoch) == ("3EB01", ANA, "99@lid", EPOCH)

    play(world, scenario)


def test_a_number_is_asked_about_once_per_clinic(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        for _ in range(3):
            world.messages.accept()
        await drained(world, sender)
        assert len(line.host.asked("check_numbers")) == 1
        assert (CLINIC, ANA) in world.contacts.known

    play(world, scenario)


def test_what_another_clinic_knows_of_a_number_is_not_used(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        world.contacts.remember("cli_brisa", Resolution(ANA, None, None, None, False, START))
        message = world.messages.accept()
        await drained(world, sender)
        assert world.messages.status(message) is S.SENT

    play(world, scenario)


def test_a_number_without_whatsapp_fails_without_a_send(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        nobody = {"e164": ANA, "on_whatsapp": False, "registered_e164": None, "lid": None}
        line.host.answers["check_numbers"] = [{"results": [nobody]}]
        message = world.messages.accept()
        await drained(world, sender)
        assert line.host.asked("send_text") == []
        assert (world.messages.status(message), world.messages.code(message)) == (S.FAILED, "recipient_not_on_whatsapp")

    play(world, scenario)


def test_a_lid_needs_no_question(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        world.messages.accept(None, lid="42@lid")
        await drained(world, sender)
        assert [request["to_jid"] for request in line.host.asked("send_text")] == ["42@lid"]
        assert line.host.asked("check_numbers") == []

    play(world, scenario)


def test_an_answer_is_quoted_with_its_author_and_text(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        first = world.messages.accept()
        await drained(world, sender)
        world.messages.accept(context_message_id=first.message_id)
        sender.ring()
        await until(lambda: len(line.host.asked("send_text")) == 2, "the answer goes out")
        assert line.host.asked("send_text")[1]["quoted"] == {
            "whatsapp_id": "3EB01",
            "sender": "5511988880001@s.whatsapp.net",
            "text": first.text,
        }

    play(world, scenario)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UnknownOutcomeError("timeout"), S.UNCERTAIN, "send_timeout"),
        (UnknownOutcomeError("disconnected_while_sending"), S.UNCERTAIN, "disconnected_while_sending"),
        (HostGone("host_gone"), S.UNCERTAIN, "host_lost"),
        (HostError("internal_error"), S.UNCERTAIN, "internal_error"),
        (RefusedError("server_error", "", {"status": "463"}), S.FAILED, "463"),
        (RefusedError("recipient_unknown"), S.FAILED, "recipient_not_on_whatsapp"),
        (RefusedError("invalid"), S.FAILED, "invalid"),
    ],
)
def test_a_failed_send_ends_once_and_is_not_repeated(
    world: World, error: HostError, status: MessageStatus, code: str
) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        line.host.answers["send_text"] = [error]
        message = world.messages.accept()
        later = world.messages.accept()
        await drained(world, sender)
        assert (world.messages.status(message), world.messages.code(message)) == (status, code)
        assert world.messages.status(later) is S.SENT
        assert len(line.host.asked("send_text")) == 2
        assert world.results() == [(status.value, code), ("sent", None)]

    play(world, scenario)


def test_what_certainly_never_left_is_queued_again_and_goes_out_after_the_connection_returns(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        line.host.answers["send_text"] = [NotSentError("not_connected")]
        message, later = world.messages.accept(), world.messages.accept()
        line.connected.clear()
        sender.begin()
        await asyncio.sleep(0.05)
        assert line.host.asked("send_text") == []
        line.connected.set()
        sender.ring()
        await until(lambda: world.messages.status(message) is S.QUEUED and "requeue" in world.messages.log, "requeued")
        sender.ring()
        await until(lambda: not world.messages.rows, "both are sent")
        texts = [request["text"] for request in line.host.asked("send_text")]
        assert texts == [message.text, message.text, later.text]
        assert world.results() == [("sent", None)] * 2

    play(world, scenario)


def test_a_waiting_message_holds_back_its_own_chat_only(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        class Gate(OpenGate):
            def may_send(self, message: Message, approach: Approach) -> Verdict:
                held = message.message_id == first.message_id
                return Verdict(not held, "paused", START + timedelta(hours=1) if held else None)

        first, other, second = world.messages.accept(ANA), world.messages.accept(RUI), world.messages.accept(ANA)
        sender = Sender(line, world.around(gate=Gate()))
        sender.begin()
        await until(lambda: world.messages.status(other) is S.SENT, "the other chat goes on")
        await asyncio.sleep(0.05)
        assert [world.messages.status(message) for message in (first, second)] == [S.QUEUED, S.QUEUED]
        sender.cancel()

    play(world, scenario)


def test_a_gate_that_refuses_for_good_suppresses(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        class Gate(OpenGate):
            def may_send(self, message: Message, approach: Approach) -> Verdict:
                return Verdict(allowed=False, reason="opted_out")

        message = world.messages.accept()
        sender = Sender(line, world.around(gate=Gate()))
        await drained(world, sender)
        assert (world.messages.status(message), world.messages.code(message)) == (S.SUPPRESSED, "opted_out")
        assert world.results() == [("suppressed", "opted_out")]
        sender.cancel()

    play(world, scenario)


def test_a_message_that_outlived_its_time_expires_even_while_disconnected(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        line.connected.clear()
        old = world.messages.accept(valid_until=START - timedelta(seconds=1))
        young = world.messages.accept(valid_until=START + timedelta(hours=1))
        sender.begin()
        await until(lambda: world.messages.status(old) is S.EXPIRED, "the old one expires")
        assert world.messages.status(young) is S.QUEUED
        await until(lambda: world.results() == [("expired", None)], "it is told")

    play(world, scenario)


def test_what_an_earlier_owner_left_in_sending_is_uncertain_and_not_sent(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        left = world.messages.accept(status=S.SENDING, epoch=EPOCH - 1)
        await drained(world, sender)
        assert (world.messages.status(left), world.messages.code(left)) == (S.UNCERTAIN, "owner_lost")
        assert line.host.asked("send_text") == []

    play(world, scenario)


def test_what_a_newer_owner_is_sending_is_left_alone(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        theirs = world.messages.accept(status=S.SENDING, epoch=EPOCH + 1)
        ours = world.messages.accept()
        sender.begin()
        await asyncio.sleep(0.1)
        assert [world.messages.status(message) for message in (theirs, ours)] == [S.SENDING, S.QUEUED]
        assert line.host.asked("send_text") == []

    play(world, scenario)


def test_a_crash_between_result_and_settlement_tells_the_same_fact_again_and_settles(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        message = world.messages.accept()
        row = next(iter(world.messages.rows.values()))
        await drained(world, sender)
        first = world.journal.pending()
        world.journal.mark_published([entry.number for entry in first])
        world.messages.rows[row.sequence] = row
        sender.ring()
        await until(lambda: not world.messages.rows, "it is settled")
        again = world.journal.pending()
        assert [entry.entry_id for entry in again] == [entry.entry_id for entry in first]
        assert len(line.host.asked("send_text")) == 1
        assert world.messages.status(message) is S.SENT

    play(world, scenario)


def test_an_outbox_row_without_a_message_is_dropped(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        erased, kept = world.messages.accept(), world.messages.accept()
        del world.messages.messages[erased.message_id]
        await drained(world, sender)
        assert world.messages.status(kept) is S.SENT

    play(world, scenario)


@pytest.mark.parametrize("step", ["begin_send", "record_sent", "settle"])
def test_a_store_that_does_not_answer_for_a_moment_loses_and_doubles_nothing(world: World, step: str) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        world.messages.failures[step] = 1
        message = world.messages.accept()
        await drained(world, sender)
        assert world.messages.status(message) is S.SENT
        assert len(line.host.asked("send_text")) == 1

    play(world, scenario)


def test_nothing_is_sent_without_the_lease(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        world.lease = False
        message = world.messages.accept()
        sender.begin()
        await asyncio.sleep(0.1)
        assert world.messages.status(message) is S.QUEUED
        assert line.host.asked("send_text") == []

    play(world, scenario)


def test_a_log_out_sends_what_was_accepted_before_it_and_no_more(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        before, after = world.messages.accept(), world.messages.accept()
        sender.stop_after(1)
        sender.begin()
        assert await sender.drained(1, seconds=5)
        assert [world.messages.status(message) for message in (before, after)] == [S.SENT, S.QUEUED]

    play(world, scenario)


def test_what_came_after_a_log_out_still_expires(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        late = world.messages.accept(valid_until=START - timedelta(seconds=1))
        sender.stop_after(0)
        sender.begin()
        await until(lambda: world.messages.status(late) is S.EXPIRED, "it expires")

    play(world, scenario)


def test_draining_gives_up_in_time_when_nothing_can_be_sent(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        line.connected.clear()
        world.messages.accept()
        sender.begin()
        assert not await sender.drained(1, seconds=0.1)

    play(world, scenario)


def test_a_deleted_channels_messages_all_end_failed(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        accepted = [world.messages.accept() for _ in range(3)]
        left = world.messages.accept(status=S.SENDING, epoch=EPOCH - 1)
        await sender.fail_all("channel_deleted")
        assert [world.messages.status(message) for message in accepted] == [S.FAILED] * 3
        assert world.messages.status(left) is S.UNCERTAIN
        assert world.messages.rows == {}

    play(world, scenario)


def test_closing_lets_the_send_under_way_end(world: World) -> None:
    async def scenario(world: World, line: Line, sender: Sender) -> None:
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        line.host.answers["send_text"] = [answer]
        first, second = world.messages.accept(), world.messages.accept()
        sender.begin()
        await until(lambda: line.host.asked("send_text"), "the first is being sent")
        closing = asyncio.create_task(sender.close())
        await asyncio.sleep(0.02)
        assert not closing.done()
        answer.set_result({"whatsapp_id": "3EB0X", "timestamp": "2026-11-22T13:00:00.000Z"})
        await closing
        assert [world.messages.status(message) for message in (first, second)] == [S.SENT, S.QUEUED]

    play(world, scenario)
