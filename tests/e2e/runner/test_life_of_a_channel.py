"""A channel's life with the real client: linking, ending, being ended, and what the other clinic must not notice."""

import asyncio

import pytest

from recado.channels import service as channels
from recado.channels.model import ChannelState, Desired, PairingMethod
from recado.kernel.errors import ChannelNotFoundError
from recado.messages import service as messages
from recado.messages.model import Message
from recado.messages.status import MessageStatus
from session_runner.vault.vault import key_of
from tests.e2e.runner.harness import Platform, play
from tests.support.aws import EmulatedAws

pytestmark = pytest.mark.e2e
CLINIC, PATIENT, OTHER = "5511988880001", "5511977770001", "5511988880002"


def test_logging_out_sends_what_was_accepted_before_and_nothing_after(platform: Platform) -> None:
    async def scenario(platform: Platform) -> None:
        await platform.start()
        channel = await platform.link(await platform.clinic("Aurora"), CLINIC)
        texts = [f"mensagem {number}" for number in range(50)]
        accepted = [await platform.send(channel, f"+{PATIENT}", text) for text in texts]
        drain = accepted[-1].sequence
        assert drain is not None
        await asyncio.to_thread(channels.request_logout, channel.clinic_id, channel.channel_id, drain)
        late = await platform.send(channel, f"+{PATIENT}", "tarde demais")
        after = await platform.until(channel, ChannelState.LOGGED_OUT)
        assert after.paired_at is None
        assert platform.simulator.texts(PATIENT) == texts
        assert (await platform.message(accepted[-1])).status is MessageStatus.SENT
        assert (await platform.message(late)).status is MessageStatus.QUEUED
        assert platform.simulator.get(f"/phones/{CLINIC}").get("devices", []) == []

    play(platform, scenario)


def test_a_number_held_by_another_clinic_is_unlinked_and_the_other_not_disclosed(platform: Platform) -> None:
    async def scenario(platform: Platform) -> None:
        await platform.start()
        aurora = await platform.link(await platform.clinic("Aurora"), CLINIC)
        brisa = await platform.channel(await platform.clinic("Brisa"))
        await platform.connect(brisa)
        await platform.scan(brisa, CLINIC)
        after = await platform.until(brisa, ChannelState.REJECTED)
        assert (after.reason, after.phone, after.desired) == ("number_in_use", None, Desired.DISCONNECTED)
        told = [entry for entry in platform.entries if entry.channel_id == brisa.channel_id]
        assert aurora.channel_id not in str(told)
        assert aurora.clinic_id not in str(told)
        message = await platform.send(aurora, f"+{PATIENT}", "ainda ligada")
        await platform.eventually(lambda: platform.simulator.texts(PATIENT) == ["ainda ligada"], "Aurora still sends")
        assert (await platform.message(message)).channel_id == aurora.channel_id

    play(platform, scenario)


def test_an_unlinked_phone_ends_logged_out_and_can_be_linked_again(platform: Platform) -> None:
    async def scenario(platform: Platform) -> None:
        await platform.start()
        channel = await platform.link(await platform.clinic("Aurora"), CLINIC)
        platform.simulator.post(f"/phones/{CLINIC}/unlink")
        after = await platform.until(channel, ChannelState.LOGGED_OUT)
        assert (after.reason, after.phone, after.desired) == ("unlinked_by_phone", None, Desired.DISCONNECTED)
        await platform.connect(channel)
        await platform.scan(channel, CLINIC)
        assert (await platform.until(channel, ChannelState.CONNECTED)).phone == f"+{CLINIC}"

    play(platform, scenario)


def test_disconnecting_keeps_the_link_and_connecting_again_needs_no_code(platform: Platform, aws: EmulatedAws) -> None:
    async def scenario(platform: Platform) -> None:
        await platform.start()
        channel = await platform.link(await platform.clinic("Aurora"), CLINIC)
        await asyncio.to_thread(channels.request_disconnect, channel.clinic_id, channel.channel_id)
        await platform.until(channel, ChannelState.DISCONNECTED)
        await platform.connect(channel)
        await platform.until(channel, ChannelState.CONNECTED)
        await asyncio.to_thread(channels.request_restart, channel.clinic_id, channel.channel_id)
        await platform.eventually(lambda: platform.states(channel).count("connected") == 3, "connected anew")
        assert len(platform.facts(channel, "channel.qr_ready")) == 1

    play(platform, scenario)


def test_a_banned_number_is_left_alone_until_the_ban_ends(platform: Platform) -> None:
    async def scenario(platform: Platform) -> None:
        await platform.start()
        channel = await platform.link(await platform.clinic("Aurora"), CLINIC)
        platform.simulator.post(f"/phones/{CLINIC}/ban", code=101, expire_s=4)
        after = await platform.until(channel, ChannelState.BANNED)
        assert after.reason == "ban_101"
        assert after.ban_expires_at is not None
        asked = len(platform.states(channel))
        await asyncio.sleep(2)
        assert len(platform.states(channel)) == asked
        platform.simulator.post(f"/phones/{CLINIC}/unban")
        await platform.until(channel, ChannelState.CONNECTED)

    play(platform, scenario)


def test_a_dropped_connection_comes_back_by_itself(platform: Platform) -> None:
    async def scenario(platform: Platform) -> None:
        await platform.start()
        channel = await platform.link(await platform.clinic("Aurora"), CLINIC)
        count = len(platform.states(channel))
        platform.simulator.post(f"/phones/{CLINIC}/drop")
        await platform.eventually(
            lambda: platform.states(channel)[count:] == ["disconnected", "connected"], "dropped and back"
        )

    play(platform, scenario)


def test_a_replaced_session_comes_back_once_after_a_pause(platform: Platform) -> None:
    async def scenario(platform: Platform) -> None:
        await platform.start()
        channel = await platform.link(await platform.clinic("Aurora"), CLINIC)
        count = len(platform.states(channel))
        platform.simulator.post(f"/phones/{CLINIC}/replace")
        await platform.eventually(
            lambda: platform.states(channel)[count:] == ["disconnected", "connecting", "connected"], "back"
        )
        assert platform.facts(channel, "channel.state")[count]["reason"] == "stream_replaced"

    play(platform, scenario)


def test_a_message_that_outlives_its_time_expires_unsent(platform: Platform) -> None:
    async def scenario(platform: Platform) -> None:
        await platform.start(reread_seconds=0.5)
        channel = await platform.channel(await platform.clinic("Aurora"))
        message = await platform.send(channel, f"+{PATIENT}", "só agora", ttl_seconds=1)
        results = await platform.eventually(lambda: platform.facts(channel, "message.result"), "it expires")
        assert [fact["status"] for fact in results] == ["expired"]
        assert (await platform.message(message)).status is MessageStatus.EXPIRED
        rows = await asyncio.to_thread(messages.outbox_rows, channel.clinic_id, channel.channel_id, 10)
        assert rows == []

    play(platform, scenario)


def test_a_number_without_whatsapp_fails_and_a_brazilian_one_is_found_without_its_ninth_digit(
    platform: Platform,
) -> None:
    async def scenario(platform: Platform) -> None:
        platform.simulator.post("/phones", number="5511966660001", registered_as="551166660001", name="Rui")
        await platform.start()
        channel = await platform.link(await platform.clinic("Aurora"), CLINIC)
        nobody = await platform.send(channel, "+5511955550009", "quem?")
        found = await platform.send(channel, "+5511966660001", "sem o nove")
        await platform.eventually(lambda: len(platform.facts(channel, "message.result")) == 2, "both have a result")
        failed = await platform.message(nobody)
        assert (failed.status, failed.code) == (MessageStatus.FAILED, "recipient_not_on_whatsapp")
        sent = await platform.message(found)
        assert (sent.status, sent.to.e164) == (MessageStatus.SENT, "+551166660001")

    play(platform, scenario)


def test_a_refused_send_fails_with_whatsapps_code(platform: Platform) -> None:
    async def scenario(platform: Platform) -> None:
        await platform.start()
        channel = await platform.link(await platform.clinic("Aurora"), CLINIC)
        platform.simulator.post(f"/phones/{CLINIC}/send-error", code=479, count=1)
        message = await platform.send(channel, f"+{PATIENT}", "fria")
        await platform.eventually(lambda: platform.facts(channel, "message.result"), "it fails")
        failed = await platform.message(message)
        assert (failed.status, failed.code) == (MessageStatus.FAILED, "479")

    play(platform, scenario)


def test_strangers_beyond_the_budget_and_the_one_who_met_error_463_wait_and_say_why(platform: Platform) -> None:
    async def scenario(platform: Platform) -> None:
        await platform.start(cold_per_day=((0, 1),))
        channel = await platform.link(await platform.clinic("Aurora"), CLINIC)
        await platform.send(channel, f"+{PATIENT}", "a primeira do dia")
        await platform.eventually(lambda: platform.facts(channel, "message.result"), "the first stranger is written to")
        second = await platform.send(channel, f"+{OTHER}", "a segunda")
        platform.simulator.post(f"/phones/{CLINIC}/send-error", code=463, count=1)
        again = await platform.send(channel, f"+{PATIENT}", "de novo a primeira")
        for message, reason in ((second, "cold_budget"), (again, "reachout_locked")):
            await _until_held(platform, message, reason)
        assert platform.simulator.texts(PATIENT) == ["a primeira do dia"]
        assert platform.simulator.texts(OTHER) == []

    play(platform, scenario)


async def _until_held(platform: Platform, message: Message, reason: str) -> None:
    for _ in range(200):
        held = await platform.message(message)
        if held.held_reason == reason:
            assert (held.status, held.not_before is not None) == (MessageStatus.QUEUED, True)
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"not held by {reason}: {held}")


def test_a_phone_can_be_linked_by_typing_a_code(platform: Platform) -> None:
    async def scenario(platform: Platform) -> None:
        await platform.start()
        channel = await platform.channel(await platform.clinic("Aurora"))
        await asyncio.to_thread(
            channels.request_connect, channel.clinic_id, channel.channel_id, PairingMethod.CODE, f"+{CLINIC}"
        )
        code = await platform.code(channel)
        platform.simulator.post(f"/phones/{CLINIC}/enter-code", code=code)
        assert (await platform.until(channel, ChannelState.CONNECTED)).phone == f"+{CLINIC}"

    play(platform, scenario)


def test_a_deleted_channel_is_unlinked_and_leaves_a_tombstone_in_the_vault(
    platform: Platform, aws: EmulatedAws
) -> None:
    async def scenario(platform: Platform) -> None:
        await platform.start()
        channel = await platform.link(await platform.clinic("Aurora"), CLINIC)
        await asyncio.to_thread(channels.request_delete, channel.clinic_id, channel.channel_id, 0)

        def gone() -> bool:
            try:
                channels.get(channel.clinic_id, channel.channel_id)
            except ChannelNotFoundError:
                return True
            return False

        await platform.eventually(gone, "the channel is gone")
        await platform.eventually(lambda: platform.states(channel)[-1] == "deleted", "its end is told")
        assert platform.runner is not None
        assert platform.runner.report()["sessions"] == {}
        other = await platform.link(await platform.clinic("Brisa"), CLINIC)
        assert other.phone == f"+{CLINIC}"
        assert key_of(channel.clinic_id, channel.channel_id) != key_of(other.clinic_id, other.channel_id)

    play(platform, scenario)


def test_numbers_are_checked_read_receipts_and_typing_shown(platform: Platform) -> None:
    async def scenario(platform: Platform) -> None:
        await platform.start()
        channel = await platform.link(await platform.clinic("Aurora"), CLINIC)
        numbers = [f"+{PATIENT}", "+5511955550009"]
        await platform.command(channel, "contacts.check", request_id="req_1", numbers=numbers)

        def answered() -> object:
            return channels.get_check_result(channel.clinic_id, channel.channel_id, "req_1")

        results = await platform.eventually(answered, "the answer is there")
        assert [(found["e164"], found["on_whatsapp"]) for found in results] == [
            (numbers[0], True),
            (numbers[1], False),
        ]
        platform.simulator.write(PATIENT, CLINIC, "oi")
        received = (await platform.eventually(lambda: platform.facts(channel, "message.received"), "it comes"))[0]
        item = {"whatsapp_id": received["whatsapp_id"], "chat": received["chat"], "sender": received["from"]}
        await platform.command(channel, "messages.mark_read", items=[item])
        await platform.eventually(
            lambda: platform.simulator.get(f"/phones/{PATIENT}/sent")[0].get("read_at"), "the patient sees it read"
        )
        await platform.command(channel, "chats.typing", to=received["from"], state="composing")
        await platform.eventually(lambda: platform.simulator.get(f"/phones/{PATIENT}/typing"), "typing is shown")

    play(platform, scenario)
