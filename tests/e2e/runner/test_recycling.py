"""A worn-out host is replaced while messages come and go: each arrives once, nobody scans a code again."""

import asyncio
from typing import Any

import pytest

from recado.messages.status import MessageStatus
from tests.e2e.runner.harness import Platform, play

pytestmark = pytest.mark.e2e
CLINIC, OTHER, PATIENT = "5511988880001", "5511988880002", "5511977770001"
MESSAGES = 12


def test_sessions_move_off_a_worn_out_host_without_losing_a_message(platform: Platform) -> None:
    async def scenario(platform: Platform) -> None:
        # Every host is past these limits, so each is replaced as soon as it may be.
        limits: dict[str, Any] = {"host_most_descriptors": 15, "host_rest_seconds": 6}
        await platform.start(liveness_seconds=1, **limits)
        clinic_id = await platform.clinic("Aurora")
        channels = [await platform.link(clinic_id, CLINIC, "a"), await platform.link(clinic_id, OTHER, "b")]
        runner = platform.runner
        assert runner is not None

        def carriers() -> set[int]:
            return {host["pid"] for host in runner.report()["hosts"] if host["sessions"]}

        first = carriers()
        sent, texts = [], set()
        for number in range(MESSAGES):
            for place, channel in enumerate(channels):
                text = f"mensagem {number} de {place}"
                sent.append(await platform.send(channel, f"+{PATIENT}", text))
                texts.add(text)
            platform.simulator.write(PATIENT, CLINIC, f"resposta {number}")
            await asyncio.sleep(0.7)
        await platform.eventually(lambda: not first & {h["pid"] for h in runner.report()["hosts"]}, "replaced")
        await platform.eventually(lambda: len(platform.simulator.texts(PATIENT)) >= len(texts), "all go out")
        assert sorted(platform.simulator.texts(PATIENT)) == sorted(texts)

        def received() -> list[str]:
            return sorted(fact["text"]["body"] for fact in platform.facts(channels[0], "message.received"))

        expected = sorted(f"resposta {number}" for number in range(MESSAGES))
        await platform.eventually(lambda: received() == expected, "all come in")
        for message in sent:
            assert (await platform.message(message)).status in {MessageStatus.SENT, MessageStatus.DELIVERED}
        assert all(len(platform.facts(channel, "channel.qr_ready")) == 1 for channel in channels)

    play(platform, scenario)
