"""What happens to processes happens to nobody's messages: hosts killed, runners replaced."""

import asyncio
import os
import signal

import pytest

from recado.channels.model import ChannelState
from recado.messages.status import MessageStatus
from tests.e2e.runner.harness import Platform, play

pytestmark = pytest.mark.e2e
CLINIC, OTHER, PATIENT = "5511988880001", "5511988880002", "5511977770001"


def test_a_new_task_carries_on_without_a_new_qr_and_sends_what_waited(platform: Platform) -> None:
    async def scenario(platform: Platform) -> None:
        await platform.start()
        channel = await platform.link(await platform.clinic("Aurora"), CLINIC)
        assert await platform.stop() == 0
        assert platform.states(channel)[-1] == ChannelState.DISCONNECTED
        waiting = await platform.send(channel, f"+{PATIENT}", "aceita enquanto ninguém estava")
        platform.simulator.write(PATIENT, CLINIC, "escrita enquanto ninguém estava")
        await platform.start()
        await platform.until(channel, ChannelState.CONNECTED)
        await platform.eventually(lambda: platform.simulator.texts(PATIENT), "the waiting message goes out")
        received = await platform.eventually(lambda: platform.facts(channel, "message.received"), "the answer comes")
        assert received[0]["text"] == {"body": "escrita enquanto ninguém estava"}
        assert received[0]["offline"] is True
        assert (await platform.message(waiting)).status is MessageStatus.SENT
        assert len(platform.facts(channel, "channel.qr_ready")) == 1

    play(platform, scenario)


def test_sessions_of_a_killed_host_are_back_within_seconds(platform: Platform) -> None:
    async def scenario(platform: Platform) -> None:
        await platform.start()
        clinic_id = await platform.clinic("Aurora")
        channels = [await platform.link(clinic_id, CLINIC, "a"), await platform.link(clinic_id, OTHER, "b")]
        assert platform.runner is not None
        full = next(host for host in platform.runner.report()["hosts"] if host["sessions"] == 2)
        before = [len(platform.states(channel)) for channel in channels]
        os.kill(full["pid"], signal.SIGKILL)

        def back() -> bool:
            return all(
                len(platform.states(channel)) > count and platform.states(channel)[-1] == ChannelState.CONNECTED
                for channel, count in zip(channels, before, strict=True)
            )

        await platform.eventually(back, "both sessions are connected again")
        for channel, count in zip(channels, before, strict=True):
            assert platform.states(channel)[count:] == ["disconnected", "connecting", "connected"]
            await platform.send(channel, f"+{PATIENT}", f"depois {channel.channel_id}")
        await platform.eventually(lambda: len(platform.simulator.texts(PATIENT)) == 2, "both send again")

    play(platform, scenario)


def test_a_send_under_way_in_a_killed_host_ends_uncertain_and_is_not_sent_again(platform: Platform) -> None:
    async def scenario(platform: Platform) -> None:
        await platform.start()
        channel = await platform.link(await platform.clinic("Aurora"), CLINIC)
        platform.simulator.post("/faults", drop_acks=1)
        message = await platform.send(channel, f"+{PATIENT}", "talvez")

        async def status() -> MessageStatus:
            return (await platform.message(message)).status

        for _ in range(200):
            if await status() is MessageStatus.SENDING and platform.simulator.texts(PATIENT):
                break
            await asyncio.sleep(0.02)
        assert await status() is MessageStatus.SENDING
        assert platform.runner is not None
        os.kill(next(h for h in platform.runner.report()["hosts"] if h["sessions"])["pid"], signal.SIGKILL)
        results = await platform.eventually(lambda: platform.facts(channel, "message.result"), "a result is told")
        assert [(fact["status"], fact["code"]) for fact in results] == [("uncertain", "host_lost")]
        await platform.until(channel, ChannelState.CONNECTED)
        after = await platform.send(channel, f"+{PATIENT}", "certamente")
        await platform.eventually(lambda: "certamente" in platform.simulator.texts(PATIENT), "later ones go out")
        assert platform.simulator.texts(PATIENT).count("talvez") <= 1
        assert (await platform.message(message)).status is MessageStatus.UNCERTAIN
        assert (await platform.message(after)).status is MessageStatus.SENT

    play(platform, scenario)


def test_a_task_lost_with_its_disk_is_followed_by_one_that_loses_no_message_either_way(platform: Platform) -> None:
    async def scenario(platform: Platform) -> None:
        await platform.start()
        channel = await platform.link(await platform.clinic("Aurora"), CLINIC)
        for number in range(3):
            await platform.send(channel, f"+{PATIENT}", f"antes {number}")
            platform.simulator.write(PATIENT, CLINIC, f"resposta antes {number}")
            await asyncio.sleep(0.3)
        await platform.eventually(lambda: len(platform.facts(channel, "message.result")) == 3, "all are sent")
        await platform.eventually(lambda: len(platform.facts(channel, "message.received")) == 3, "all are received")
        await platform.crash()
        platform.simulator.write(PATIENT, CLINIC, "no meio")
        await platform.start()
        count = platform.states(channel).count("connected")
        for number in range(3):
            await platform.send(channel, f"+{PATIENT}", f"depois {number}")
        platform.simulator.write(PATIENT, CLINIC, "por fim")
        await platform.eventually(lambda: platform.states(channel).count("connected") > count, "connected again")
        sent = [f"antes {number}" for number in range(3)] + [f"depois {number}" for number in range(3)]
        await platform.eventually(lambda: platform.simulator.texts(PATIENT) == sent, "the patient has all, in order")

        def received() -> set[str]:
            return {fact["text"]["body"] for fact in platform.facts(channel, "message.received")}

        await platform.eventually(lambda: {"no meio", "por fim"} <= received(), "and so has the clinic")
        assert len(platform.facts(channel, "channel.qr_ready")) == 1

    play(platform, scenario)
