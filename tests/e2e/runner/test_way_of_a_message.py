"""The whole way with the real client: link a phone, send, receive, and carry on after what happens to processes."""

import pytest

from recado.channels.model import ChannelState
from recado.messages.status import MessageStatus
from tests.e2e.runner.harness import Platform, play

pytestmark = pytest.mark.e2e
CLINIC, PATIENT = "5511988880001", "5511977770001"


def test_a_linked_channel_sends_and_receives(platform: Platform) -> None:
    async def scenario(platform: Platform) -> None:
        await platform.start()
        clinic_id = await platform.clinic("Clínica Aurora")
        channel = await platform.link(clinic_id, CLINIC)
        assert channel.phone == f"+{CLINIC}"
        message = await platform.send(channel, "(11) 97777-0001", "Olá! Consulta amanhã às 14h.")
        await platform.eventually(
            lambda: platform.simulator.texts(PATIENT) == ["Olá! Consulta amanhã às 14h."], "the patient has the text"
        )
        platform.simulator.write(PATIENT, CLINIC, "Confirmo")
        received = await platform.eventually(lambda: platform.facts(channel, "message.received"), "the answer is seen")
        assert received[0]["text"] == {"body": "Confirmo"}
        assert received[0]["from"]["e164"] == f"+{PATIENT}"
        sent = await platform.message(message)
        assert sent.status is MessageStatus.SENT
        assert sent.whatsapp_id
        results = await platform.eventually(lambda: platform.facts(channel, "message.result"), "the result is told")
        assert [(fact["message_id"], fact["status"]) for fact in results] == [(message.message_id, "sent")]
        assert platform.states(channel)[-1] == ChannelState.CONNECTED

    play(platform, scenario)
