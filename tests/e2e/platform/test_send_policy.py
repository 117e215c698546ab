"""What is held back and why, and what becomes of a message of which nobody knows whether it went out."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.bench.platform import Phones
from tests.e2e.platform.desk import Desk
from tests.e2e.platform.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]


async def _texts(phones: Phones, number: str) -> list[str]:
    return [message["text"] for message in await phones.call("GET", f"/phones/{number}/messages?limit=1000")]


async def _held(desk: Desk, message_id: str) -> dict[str, Any]:
    async def probe() -> dict[str, Any] | None:
        message = await desk.message(message_id)
        return message if message["held_reason"] else None

    return await eventually(probe, "the message says why it is held")


async def test_error_463_holds_strangers_while_who_wrote_is_answered_and_an_uncertain_one_is_settled(
    own: Desk, phones: Phones, contact: str, number: Callable[[], str]
) -> None:
    """The message that met the lock waits, visibly, as do other strangers; replies go; the clinic decides the rest."""
    strangers = [number(), number()]
    for stranger in strangers:
        await phones.register(stranger)
    await phones.send(contact, own.number, "bom dia")

    async def heard() -> bool:
        return bool((await own.call("GET", f"/channels/{own.channel_id}/messages?direction=inbound"))["data"])

    await eventually(heard, "the clinic has the contact's message")
    await phones.call("POST", f"/phones/{own.number}/send-error", {"code": 463, "count": 1})
    cold = [await own.send(strangers[0], "lembrete")]
    held = await _held(own, cold[0])
    assert (held["status"], held["held_reason"]) == ("queued", "reachout_locked")
    assert datetime.fromisoformat(held["not_before"]) - datetime.now(UTC) > timedelta(hours=23)
    cold.append(await own.send(strangers[1], "outro lembrete"))
    assert (await _held(own, cold[1]))["not_before"] == held["not_before"]
    await own.until_status(await own.send(contact, "bom dia!"), "delivered")
    assert [await _texts(phones, stranger) for stranger in strangers] == [[], []]

    await phones.call("POST", "/faults", {"drop_acks": 1})
    doubtful = await own.send(contact, "talvez")
    await eventually(lambda: _arrived(phones, contact, "talvez"), "it is at its contact, and nobody knows")
    await own.call("POST", f"/channels/{own.channel_id}/restart")
    await own.until_status(doubtful, "uncertain")
    settle = f"/channels/{own.channel_id}/messages/{doubtful}/settle"
    assert (await own.call("POST", settle, {"decision": "resend"}))["status"] == "queued"
    again = await own.answer("POST", settle, json={"decision": "discard"})
    assert (again.status_code, again.json()["code"]) == (409, "message_state")
    settled = await own.until_status(doubtful, "delivered")
    steps = [(line["status"], line["code"]) for line in settled["history"]]
    assert [step for step in steps if step[1] == "resent"] == [("queued", "resent")]
    assert settled["resends"] == 1
    assert (await _texts(phones, contact)).count("talvez") == 2


async def _arrived(phones: Phones, number: str, text: str) -> bool:
    return text in await _texts(phones, number)
