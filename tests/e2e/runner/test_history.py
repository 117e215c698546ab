"""What the clinic's phone remembers, from the real client to the send policy."""

import pytest

from recado.messages import service as messages
from recado.messages.limits import HELD_BY_BUDGET
from tests.e2e.runner.harness import Platform, play

pytestmark = pytest.mark.e2e
CLINIC, ANA, BIA, CARLA = "5511988880001", "5511977770001", "5511977770002", "5511977770003"


def test_who_is_in_the_phones_history_is_no_stranger_after_linking(platform: Platform) -> None:
    """Ana talked to the clinic a month ago, Bia two years ago; Carla turns up when the phone tells more, later."""

    async def scenario(platform: Platform) -> None:
        simulator = platform.simulator
        past = [{"with": ANA, "days_ago": 30}, {"with": BIA, "days_ago": 730}]
        simulator.post(f"/phones/{CLINIC}/history", conversations=past)
        simulator.post("/phones", number=CARLA)
        await platform.start(cold_per_day=((0, 0),))
        channel = await platform.link(await platform.clinic("Aurora"), CLINIC)

        def told() -> list[str]:
            return [one["e164"] for fact in platform.facts(channel, "contacts.in_history") for one in fact["contacts"]]

        def held(number: str) -> bool:
            found = messages.get(channel.clinic_id, channel.channel_id, sent[number].message_id)
            return found.held_reason == HELD_BY_BUDGET

        await platform.eventually(lambda: told() == [f"+{ANA}"], "the history is told")
        sent = {number: await platform.send(channel, f"+{number}", "Consulta amanhã") for number in (BIA, CARLA, ANA)}
        await platform.eventually(lambda: simulator.texts(ANA) == ["Consulta amanhã"], "Ana is written to")
        await platform.eventually(lambda: held(BIA) and held(CARLA), "the strangers wait")

        told_now = simulator.post(f"/phones/{CLINIC}/history", conversations=[{"with": CARLA, "days_ago": 364}])
        assert told_now["companions_told"] == 1
        await platform.eventually(lambda: f"+{CARLA}" in told(), "more history is told")
        await platform.send(channel, f"+{CARLA}", "Confirma?")
        await platform.eventually(lambda: simulator.texts(CARLA) == ["Consulta amanhã", "Confirma?"], "Carla too")
        assert simulator.texts(BIA) == []
        assert held(BIA)
        assert platform.facts(channel, "message.received") == platform.facts(channel, "message.phone_sent") == []

    play(platform, scenario)
