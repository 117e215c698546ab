"""The body of a webhook, as integrators read it."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from recado.kernel.envelopes import Event
from recado.kernel.ids import Prefix, new_id
from recado.messages.model import Direction, Message, MessageType, Party, Source
from recado.messages.status import MessageStatus
from recado.webhooks.body import body_of, message_id_of, shows_phone
from tests.unit.webhooks.scene import CHANNEL, CLINIC

AT = datetime(2026, 11, 22, 13, 5, 1, 250_000, tzinfo=UTC)

MESSAGE = Message(
    clinic_id=CLINIC,
    channel_id=CHANNEL,
    message_id=new_id(Prefix.MESSAGE, AT),
    direction=Direction.INBOUND,
    status=MessageStatus.RECEIVED,
    type=MessageType.TEXT,
    source=Source.CONTACT,
    created_at=AT,
    sender=Party(e164="+5511977770001", lid="123@lid"),
    to=Party(e164="+5511988880001", lid="456@lid"),
    text="Confirmo, às 14h 👍",
    whatsapp_id="3EB0",
    context_whatsapp_id="3EAF",
    timestamp=AT,
    offline=True,
)


def event(kind: str, **data: Any) -> Event:
    return Event("evt_1", kind, CLINIC, CHANNEL, 17, AT, data)


def received() -> Event:
    return event(
        "message.received",
        message_id=MESSAGE.message_id,
        direction="inbound",
        type="text",
        source="contact",
        status="received",
        code=None,
        client_reference=None,
        whatsapp_id="3EB0",
    )


def test_a_received_message_is_told_whole() -> None:
    assert json.loads(body_of(received(), message=MESSAGE)) == {
        "id": "evt_1",
        "type": "message.received",
        "version": 1,
        "timestamp": "2026-11-22T13:05:01.250Z",
        "clinic_id": CLINIC,
        "channel_id": CHANNEL,
        "sequence": 17,
        "data": {
            "message_id": MESSAGE.message_id,
            "whatsapp_id": "3EB0",
            "direction": "inbound",
            "source": "contact",
            "from": {"e164": "+5511977770001", "lid": "123@lid"},
            "to": {"e164": "+5511988880001", "lid": "456@lid"},
            "type": "text",
            "unsupported_kind": None,
            "text": {"body": "Confirmo, às 14h 👍"},
            "context": {"message_id": None, "whatsapp_id": "3EAF"},
            "timestamp": "2026-11-22T13:05:01.250Z",
            "offline": True,
            "client_reference": None,
            "status": "received",
            "code": None,
            "resends": 0,
        },
    }


def test_the_body_is_utf_8_and_not_escaped() -> None:
    assert "às 14h 👍".encode() in body_of(received(), message=MESSAGE)


def test_the_status_told_is_the_events_even_if_the_message_has_gone_on() -> None:
    sent = replace(MESSAGE, direction=Direction.OUTBOUND, status=MessageStatus.READ, client_reference="42")
    delivered = event("message.delivered", message_id="msg_1", status="delivered", client_reference="42")
    data = json.loads(body_of(delivered, message=sent))["data"]
    assert (data["status"], data["client_reference"]) == ("delivered", "42")


def test_how_a_message_fares_is_told_without_repeating_its_text() -> None:
    for kind in ("message.delivered", "message.read", "message.failed", "message.uncertain", "message.expired"):
        body = body_of(event(kind, message_id="msg_1", status="x"), message=MESSAGE)
        assert json.loads(body)["data"]["text"] is None
        assert b"Confirmo" not in body


def test_a_sent_message_shows_its_text_so_that_what_the_reception_typed_is_known() -> None:
    data = json.loads(body_of(event("message.sent", message_id="msg_1", source="phone"), message=MESSAGE))["data"]
    assert data["text"] == {"body": MESSAGE.text}
    assert data["source"] == "phone"


def test_a_message_that_is_no_longer_kept_leaves_the_fact() -> None:
    data = json.loads(body_of(received()))["data"]
    assert (data["message_id"], data["text"], data["from"]) == (
        MESSAGE.message_id,
        None,
        {"e164": None, "lid": None},
    )


def test_a_message_that_could_not_be_read_says_in_which_chat() -> None:
    data = json.loads(body_of(event("message.undecryptable", whatsapp_id="3EB1", chat_lid="123@lid")))["data"]
    assert (data["message_id"], data["whatsapp_id"], data["from"]) == (None, "3EB1", {"e164": None, "lid": "123@lid"})


def test_a_channel_event_carries_its_facts_and_the_number_once_connected() -> None:
    connected = event("channel.connected", state="connected", reason=None, previous="connecting")
    assert json.loads(body_of(connected, phone="+5511988880001"))["data"] == {
        "state": "connected",
        "reason": None,
        "previous": "connecting",
        "phone": "+5511988880001",
    }
    banned = event("channel.state_changed", state="banned", reason="spam", previous="connected")
    assert json.loads(body_of(banned))["data"] == {"state": "banned", "reason": "spam", "previous": "connected"}


def test_what_must_be_read_for_the_body_follows_from_the_event() -> None:
    assert message_id_of(received()) == MESSAGE.message_id
    assert message_id_of(event("channel.connected", message_id="msg_1")) is None
    assert message_id_of(event("message.undecryptable")) is None
    assert shows_phone(event("channel.connected", state="connected"))
    assert not shows_phone(event("channel.qr_ready", method="qr"))
