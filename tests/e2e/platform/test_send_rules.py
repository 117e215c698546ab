"""What may be sent, when it goes, and what is refused."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.bench.platform import Phones
from tests.e2e.platform.desk import Desk

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]
_BEFORE_LOGOUT = 50


def _body(to: str, text: str = "Olá", **more: Any) -> dict[str, Any]:
    return {"to": to, "type": "text", "text": {"body": text}, **more}


async def _texts(phones: Phones, number: str) -> list[str]:
    return [message["text"] for message in await phones.call("GET", f"/phones/{number}/messages?limit=1000")]


async def test_a_number_that_is_not_on_whatsapp_fails_with_a_code(aurora: Desk, number: Callable[[], str]) -> None:
    """The message ends as failed and says why; it is not tried again."""
    message = await aurora.until_status(await aurora.send(number(), "alguém?"), "failed")
    assert message["code"] == "recipient_not_on_whatsapp"
    assert [change["status"] for change in message["history"]] == ["queued", "failed"]


async def test_all_that_was_accepted_before_a_logout_is_sent_in_order(own: Desk, phones: Phones, contact: str) -> None:
    """Fifty messages queued while disconnected go out between connecting and the logout asked for right after."""
    path = f"/channels/{own.channel_id}"
    await own.call("POST", f"{path}/disconnect")
    await own.until_state("disconnected")
    texts = [f"mensagem {place}" for place in range(_BEFORE_LOGOUT)]
    sent = [await own.send(contact, text) for text in texts]
    assert (await own.message(sent[0]))["status"] == "queued"
    assert await _texts(phones, contact) == []
    await own.call("POST", f"{path}/connect")
    await own.call("POST", f"{path}/logout")
    ended = await own.until_state("logged_out")
    assert (ended["reason"], ended["phone"]) == ("requested", None)
    assert await _texts(phones, contact) == texts
    for message_id in (sent[0], sent[-1]):
        assert (await own.message(message_id))["status"] in {"sent", "delivered"}
    refused = await own.post_message(_body(contact, "tarde demais"))
    assert (refused.status_code, refused.json()["code"]) == (409, "channel_state")


async def test_a_message_that_outlives_its_time_expires_and_is_never_sent(
    own: Desk, phones: Phones, contact: str
) -> None:
    """While the channel is disconnected its time runs out; once connected, only what is still worth sending goes."""
    path = f"/channels/{own.channel_id}"
    await own.call("POST", f"{path}/disconnect")
    await own.until_state("disconnected")
    answer = await own.post_message(_body(contact, "só agora", ttl=1))
    lasting = await own.send(contact, "a qualquer hora")
    await asyncio.sleep(1.5)
    await own.call("POST", f"{path}/connect")
    expired = await own.until_status(answer.json()["message_id"], "expired")
    assert expired["valid_until"] is not None
    await own.until_status(lasting, "delivered")
    assert await _texts(phones, contact) == ["a qualquer hora"]


async def test_every_way_of_writing_a_number_leads_to_one_contact(aurora: Desk, phones: Phones, contact: str) -> None:
    """National, international, formatted, WhatsApp's addresses and the LID: one person, one chat in the log."""
    lid = str((await phones.call("GET", f"/phones/{contact}"))["lid"]).partition("@")[0]
    area, first, last = contact[2:4], contact[4:9], contact[9:]
    spellings = [
        contact,
        f"+{contact}",
        f"+55 {area} {first}-{last}",
        f"({area}) {first}-{last}",
        f"{contact}@c.us",
        f"{contact}@s.whatsapp.net",
        f"{lid}@lid",
    ]
    for spelling in spellings:
        answer = await aurora.post_message(_body(spelling, spelling))
        assert answer.status_code == 202, (spelling, answer.text)
        message = await aurora.until_status(answer.json()["message_id"], "delivered")
        assert (message["to"]["e164"], message["to"]["lid"]) == (f"+{contact}", f"{lid}@lid"), spelling
        assert message["to"]["input"] == spelling
    assert await _texts(phones, contact) == spellings
    for asked in (contact, f"{lid}@lid"):
        listed = await aurora.answer("GET", "/messages", params={"contact": asked, "limit": 100})
        assert {message["text"]["body"] for message in listed.json()["data"]} == set(spellings), asked


async def test_a_brazilian_number_is_found_without_its_ninth_digit(
    aurora: Desk, phones: Phones, number: Callable[[], str]
) -> None:
    """Registered years ago under eight digits, written to with nine: it arrives, and the log tells the real number."""
    dialled = number()
    registered = dialled[:4] + dialled[5:]
    await phones.call("POST", "/phones", {"number": dialled, "registered_as": registered})
    message = await aurora.until_status(await aurora.send(dialled, "sem o nove"), "delivered")
    assert message["to"]["e164"] == f"+{registered}"
    assert await _texts(phones, dialled) == ["sem o nove"]


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (_body("5511977770001", "x" * 4097), 422, "invalid_request", "text.body"),
        (_body("5511977770001", " "), 422, "invalid_request", "text.body"),
        (_body("5511977770001", urgent=True), 422, "invalid_request", "urgent"),
        (_body("5511977770001", ttl=0), 422, "invalid_request", "ttl"),
        ({"type": "text", "text": {"body": "x"}}, 422, "invalid_request", "to"),
        (_body("5511977770001") | {"type": "image"}, 422, "invalid_request", "type"),
        (_body("não sei"), 422, "invalid_phone_number", "to"),
        (_body("120363000000000000@g.us"), 422, "invalid_phone_number", "to"),
    ],
)
async def test_what_cannot_be_sent_is_refused_and_the_field_named(
    aurora: Desk, body: dict[str, Any], status: int, code: str, field: str
) -> None:
    """Too long, empty, misspelt, missing: 422 with a stable code, and nothing is stored."""
    refused = await aurora.post_message(body)
    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["field"]) == (status, code, field)
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["x-request-id"] == problem["request_id"]


async def test_a_text_of_the_greatest_length_arrives_whole(aurora: Desk, phones: Phones, contact: str) -> None:
    """4096 characters, of more than one byte each."""
    text = "é👍" * 2048
    await aurora.until_status(await aurora.send(contact, text), "delivered")
    assert await _texts(phones, contact) == [text]


async def test_malformed_requests_and_unknown_channels_are_told_apart(aurora: Desk) -> None:
    """400 for what is no JSON or is not called so, 413 for too much, 404 for a channel that does not exist."""
    path = f"/channels/{aurora.channel_id}/messages"
    as_json = {"Content-Type": "application/json"}
    broken = await aurora.answer("POST", path, content='{"to":', headers=as_json)
    assert (broken.status_code, broken.json()["code"]) == (400, "malformed_body")
    plain = await aurora.answer("POST", path, content="to=1", headers={"Content-Type": "text/plain"})
    assert (plain.status_code, plain.json()["code"]) == (400, "malformed_body")
    large = await aurora.answer("POST", path, content=b'"' + b"x" * (257 * 1024) + b'"', headers=as_json)
    assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
    for unknown in ("chn_01kb1v00000000000000000000", "x"):
        missing = await aurora.answer("POST", f"/channels/{unknown}/messages", json=_body("5511977770001"))
        assert (missing.status_code, missing.json()["code"]) == (404, "channel_not_found")
