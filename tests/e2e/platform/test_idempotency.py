"""One key, one message: whatever a client does that does not know whether its request arrived."""

import asyncio
from uuid import uuid4

import pytest

from tests.bench.platform import Phones
from tests.e2e.platform.desk import Desk

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]
_IN_PARALLEL = 50


def _body(to: str, text: str) -> dict[str, object]:
    return {"to": to, "type": "text", "text": {"body": text}}


async def test_fifty_parallel_requests_with_one_key_send_once(aurora: Desk, phones: Phones, contact: str) -> None:
    """All are answered 202 with the same message id, one of them as the first, and the contact gets one message."""
    # On a busy machine a crowd of cold starts takes longer than the front door waits; that is not what is tested here.
    await asyncio.gather(*(aurora.answer("GET", f"/channels/{aurora.channel_id}") for _ in range(_IN_PARALLEL)))
    key = f"consulta-{uuid4()}"
    body = _body(contact, key)
    answers = await asyncio.gather(
        *(aurora.post_message(body, **{"Idempotency-Key": key}) for _ in range(_IN_PARALLEL))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["message_id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    await aurora.until_status(answers[0].json()["message_id"], "delivered")
    # Whatever was doubled would be in the outbox before what is sent now, and WhatsApp keeps the order.
    last = await aurora.send(contact, "por último")
    await aurora.until_status(last, "delivered")
    received = await phones.call("GET", f"/phones/{contact}/messages")
    assert [message["text"] for message in received] == [key, "por último"]


async def test_the_same_key_with_another_body_is_refused_and_sends_nothing(
    aurora: Desk, phones: Phones, contact: str
) -> None:
    """409 names the conflict; spaces and the order of fields make no other body."""
    key = {"Idempotency-Key": f"consulta-{uuid4()}"}
    first = await aurora.post_message(_body(contact, "às 14h"), **key)
    other = await aurora.post_message(_body(contact, "às 15h"), **key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    respelt = f'{{ "text": {{"body":"às 14h"}},  "type":"text", "to":"{contact}" }}'
    again = await aurora.answer(
        "POST",
        f"/channels/{aurora.channel_id}/messages",
        content=respelt,
        headers={**key, "Content-Type": "application/json"},
    )
    assert (again.status_code, again.json()) == (202, first.json())
    await aurora.until_status(first.json()["message_id"], "delivered")
    assert [m["text"] for m in await phones.call("GET", f"/phones/{contact}/messages")] == ["às 14h"]


async def test_another_clinics_same_key_is_its_own(aurora: Desk, brisa: Desk, phones: Phones, contact: str) -> None:
    """Neither clinic's key replays, blocks or discloses the other's message."""
    key = {"Idempotency-Key": f"consulta-{uuid4()}"}
    ours = await aurora.post_message(_body(contact, "da Aurora"), **key)
    theirs = await brisa.post_message(_body(contact, "da Brisa"), **key)
    assert (ours.status_code, theirs.status_code) == (202, 202)
    assert "idempotency-replayed" not in theirs.headers
    assert ours.json()["message_id"] != theirs.json()["message_id"]
    await aurora.until_status(ours.json()["message_id"], "delivered")
    await brisa.until_status(theirs.json()["message_id"], "delivered")
    received = await phones.call("GET", f"/phones/{contact}/messages")
    assert {(message["from"], message["text"]) for message in received} == {
        (aurora.number, "da Aurora"),
        (brisa.number, "da Brisa"),
    }
