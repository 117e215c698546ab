"""Every stanza becomes one fact or one counted ignore, with both addresses, in the right unit of time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from neonize.proto.waE2E import WAWebProtobufsE2E_pb2 as e2e

from session_runner.whatsapp.mapping import Fact, Ignored, View, map_message, map_receipt, map_undecryptable
from session_runner.whatsapp.parties import Party
from tests.runner.whatsapp.protobufs import (
    MILLISECONDS,
    OWN_LID,
    OWN_PHONE,
    PATIENT_LID,
    PATIENT_PHONE,
    SECONDS,
    info,
    jid,
    message,
    receipt,
    source,
    undecryptable,
)

SENT_AT = datetime.fromtimestamp(SECONDS, UTC)
OWN = Party(f"+{OWN_PHONE}", f"{OWN_LID}@lid")
PATIENT = {"e164": f"+{PATIENT_PHONE}", "lid": f"{PATIENT_LID}@lid"}


class Book:
    """Knows the patient's pair, or nobody."""

    def __init__(self, *, known: bool) -> None:
        self._known = known

    def lid_of(self, phone_digits: str) -> str | None:
        return PATIENT_LID if self._known and phone_digits == PATIENT_PHONE else None

    def phone_of(self, lid_digits: str) -> str | None:
        return PATIENT_PHONE if self._known and lid_digits == PATIENT_LID else None


VIEW = View(own=OWN, book=Book(known=True), now=SENT_AT, live_since=SENT_AT - timedelta(hours=1))
BLIND = replace(VIEW, book=Book(known=False))
BY_LID = jid(PATIENT_LID, "lid", 3)
BY_PHONE = jid(PATIENT_PHONE, "s.whatsapp.net", 3)
OWN_PHONE_JID = jid(OWN_LID, "lid")


def fact(outcome: Fact | Ignored) -> Fact:
    assert isinstance(outcome, Fact)
    return outcome


def reason(outcome: Fact | Ignored) -> str:
    assert isinstance(outcome, Ignored)
    return outcome.reason


@pytest.mark.parametrize(
    ("view", "where"),
    [
        (BLIND, source(jid(PATIENT_LID, "lid"), BY_LID, sender_alt=BY_PHONE)),
        (BLIND, source(jid(PATIENT_PHONE, "s.whatsapp.net"), BY_PHONE, sender_alt=BY_LID)),
        (VIEW, source(jid(PATIENT_LID, "lid"), BY_LID)),
        (VIEW, source(jid(PATIENT_PHONE, "s.whatsapp.net"), BY_PHONE)),
    ],
)
def test_one_person_is_one_chat_under_any_address(view: View, where: Any) -> None:
    """The same text by LID or by number, paired by the stanza or by the store, is the same fact."""
    mapped = fact(map_message(message(message_info=info(where)), view))
    assert mapped.data["from"] == mapped.data["chat"] == PATIENT
    assert mapped.identity[0] == f"{PATIENT_LID}@lid"


def test_a_number_without_a_known_lid_is_its_own_chat() -> None:
    """Nothing is made up: what nobody knows is null, and the number identifies the chat."""
    mapped = fact(map_message(message(message_info=info(source(jid(PATIENT_PHONE, "s.whatsapp.net")))), BLIND))
    assert mapped.data["chat"] == {"e164": f"+{PATIENT_PHONE}", "lid": None}
    assert mapped.identity[0] == f"+{PATIENT_PHONE}"


def test_a_received_text_is_complete() -> None:
    """All fields of the entry's shape, milliseconds read as milliseconds."""
    mapped = fact(map_message(message(), VIEW))
    assert mapped.kind == "message.received"
    assert mapped.fact_at == datetime.fromtimestamp(MILLISECONDS / 1000, UTC)
    assert mapped.data == {
        "whatsapp_id": "3A01",
        "chat": PATIENT,
        "from": PATIENT,
        "to": OWN.to_data(),
        "type": "text",
        "text": {"body": "Bom dia"},
        "unsupported_kind": None,
        "context": None,
        "timestamp": "2026-11-22T13:00:00.123Z",
        "offline": False,
        "push_name": "Ana",
    }


def test_the_own_phones_text_names_the_recipient() -> None:
    """Typed on the clinic's phone: from us, to the chat, whose number travels as RecipientAlt."""
    where = source(
        jid(PATIENT_LID, "lid"), OWN_PHONE_JID, recipient_alt=jid(PATIENT_PHONE, "s.whatsapp.net"), from_me=True
    )
    mapped = fact(map_message(message(message_info=info(where)), BLIND))
    assert mapped.kind == "message.phone_sent"
    assert mapped.data["from"] == OWN.to_data()
    assert mapped.data["to"] == mapped.data["chat"] == PATIENT


@pytest.mark.parametrize(
    ("live_since", "offline"),
    [
        (None, True),
        (SENT_AT - timedelta(hours=1), False),
        (SENT_AT + timedelta(seconds=3), False),
        (SENT_AT + timedelta(minutes=1), True),
    ],
)
def test_what_is_older_than_the_connection_came_late(live_since: datetime | None, offline: bool) -> None:
    """Late is what came while catching up, or is older than the connection by more than clocks differ."""
    assert fact(map_message(message(), replace(VIEW, live_since=live_since))).data["offline"] is offline


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (source(jid("120363", "g.us"), BY_LID, group=True), "group"),
        (source(jid("status", "broadcast"), BY_LID, group=True), "status_broadcast"),
        (source(jid("17", "broadcast"), OWN_PHONE_JID, group=True, from_me=True), "own_broadcast"),
        (source(jid("12", "newsletter")), "newsletter"),
        (source(jid("13135550002", "bot")), "server:bot"),
    ],
)
def test_what_is_no_conversation_is_ignored_by_name(where: Any, expected: str) -> None:
    """Groups, status, newsletters and bots are counted, as messages, receipts and undecryptables alike."""
    assert reason(map_message(message(message_info=info(where)), VIEW)) == expected
    assert reason(map_receipt(receipt(message_source=where), VIEW)) == expected
    assert reason(map_undecryptable(undecryptable(info(where)), VIEW)) == expected


def test_a_contacts_broadcast_list_is_their_message() -> None:
    """What a patient sends to a list they keep reads as a message of that patient."""
    where = source(jid("17", "broadcast"), BY_LID, group=True)
    assert fact(map_message(message(message_info=info(where)), VIEW)).data["chat"] == PATIENT


def test_what_own_devices_tell_each_other_is_ignored() -> None:
    """Peer messages and protocol messages are plumbing: history sync never raises a received message."""
    assert reason(map_message(message(message_info=info(Category="peer")), VIEW)) == "peer"
    content = e2e.Message(protocolMessage=e2e.ProtocolMessage(type=e2e.ProtocolMessage.Type.HISTORY_SYNC_NOTIFICATION))
    assert reason(map_message(message(content), VIEW)) == "protocol:history_sync_notification"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (e2e.Message(imageMessage=e2e.ImageMessage(caption="exame")), "image"),
        (e2e.Message(reactionMessage=e2e.ReactionMessage(text="👍")), "reaction"),
        (e2e.Message(pollCreationMessageV3=e2e.PollCreationMessage(name="?")), "poll_creation"),
        (e2e.Message(callLogMesssage=e2e.CallLogMessage()), "call_log"),
        (
            e2e.Message(protocolMessage=e2e.ProtocolMessage(type=e2e.ProtocolMessage.Type.REVOKE)),
            "revoke",
        ),
        (
            e2e.Message(protocolMessage=e2e.ProtocolMessage(type=e2e.ProtocolMessage.Type.MESSAGE_EDIT)),
            "edit",
        ),
        (e2e.Message(), "empty"),
        (e2e.Message(messageContextInfo=e2e.MessageContextInfo()), "empty"),
    ],
)
def test_kinds_not_mapped_yet_are_named(content: Any, kind: str) -> None:
    """Not text: unsupported, under WhatsApp's own name for it, never dropped and never shown as text."""
    mapped = fact(map_message(message(content), VIEW))
    assert (mapped.data["type"], mapped.data["text"], mapped.data["unsupported_kind"]) == ("unsupported", None, kind)


def test_an_edit_is_not_a_new_text() -> None:
    """An edited text comes as a text with a mark; read as text it would double the message."""
    assert fact(map_message(message(edit=True), VIEW)).data["unsupported_kind"] == "edit"


def test_group_keys_alone_are_plumbing_and_keys_beside_text_do_not_hide_it() -> None:
    """A sender key distribution is ignored; a text that carries one is a text."""
    keys = e2e.SenderKeyDistributionMessage(groupID="1@g.us")
    assert (
        reason(map_message(message(e2e.Message(senderKeyDistributionMessage=keys)), VIEW)) == "sender_key_distribution"
    )
    both = e2e.Message(senderKeyDistributionMessage=keys, conversation="oi")
    assert fact(map_message(message(both), VIEW)).data["text"] == {"body": "oi"}


def test_a_reply_names_what_it_answers() -> None:
    """The quoted message's id is the context."""
    content = e2e.Message(
        extendedTextMessage=e2e.ExtendedTextMessage(text="Sim", contextInfo=e2e.ContextInfo(stanzaID="3EB0AA"))
    )
    mapped = fact(map_message(message(content), VIEW))
    assert mapped.data["text"] == {"body": "Sim"}
    assert mapped.data["context"] == {"whatsapp_id": "3EB0AA"}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("DELIVERED", "delivered"), ("INACTIVE", "delivered"), ("READ", "read"), ("PLAYED", "played")],
)
def test_receipts_of_the_other_side_are_facts(kind: str, expected: str) -> None:
    """Delivered (also to a device in the background), read and played; seconds read as seconds."""
    mapped = fact(map_receipt(receipt(kind, ids=("A", "B")), VIEW))
    assert mapped.fact_at == SENT_AT
    assert mapped.data == {
        "whatsapp_ids": ["A", "B"],
        "chat": PATIENT,
        "receipt": expected,
        "timestamp": "2026-11-22T13:00:00.000Z",
    }


@pytest.mark.parametrize(
    "kind", ["SENDER", "RETRY", "READ_SELF", "PLAYED_SELF", "SERVER_ERROR", "PEER_MSG", "HISTORY_SYNC"]
)
def test_other_receipts_are_ignored_by_name(kind: str) -> None:
    """What own devices read, retries and server errors say nothing about the message's fate."""
    assert reason(map_receipt(receipt(kind), VIEW)) == f"receipt:{kind.lower()}"


def test_own_devices_receipts_are_ignored() -> None:
    """A receipt from another device of the clinic does not mean that the patient has the message."""
    where = source(jid(PATIENT_LID, "lid"), OWN_PHONE_JID, from_me=True)
    assert reason(map_receipt(receipt("READ", where), VIEW)) == "receipt:own_device"
    assert reason(map_receipt(receipt(ids=()), VIEW)) == "receipt:empty"


def test_an_undecryptable_message_is_a_fact() -> None:
    """Something came that cannot be read; what WhatsApp wants hidden is not shown."""
    mapped = fact(map_undecryptable(undecryptable(), VIEW))
    assert mapped.kind == "message.undecryptable"
    assert mapped.data["whatsapp_id"] == "3A01"
    assert reason(map_undecryptable(undecryptable(mode="DECRYPT_FAIL_HIDE"), VIEW)) == "undecryptable_hidden"


def test_a_zero_time_is_replaced() -> None:
    """Go's zero time is far before 1970; no id can carry it."""
    mapped = fact(map_message(message(message_info=info(Timestamp=-62_135_596_800_000)), VIEW))
    assert mapped.fact_at == VIEW.now


@given(text=st.text(), whatsapp_id=st.text(min_size=1), milliseconds=st.integers(1, 4_000_000_000_000))
def test_any_text_is_one_fact(text: str, whatsapp_id: str, milliseconds: int) -> None:
    """No text, id or time makes the mapping fail, and the text comes out as it went in."""
    content = e2e.Message(conversation=text)
    mapped = fact(map_message(message(content, info(ID=whatsapp_id, Timestamp=milliseconds)), VIEW))
    assert mapped.data["text"] == {"body": text}
    assert mapped.identity[2] == whatsapp_id
    assert abs(mapped.fact_at.timestamp() * 1000 - milliseconds) < 0.01


@given(field=st.sampled_from([descriptor.name for descriptor in e2e.Message.DESCRIPTOR.fields]))
def test_every_kind_of_content_is_a_fact_or_a_named_ignore(field: str) -> None:
    """None of WhatsApp's content types breaks the mapping or goes unnamed."""
    content = e2e.Message()
    if field == "conversation":
        content.conversation = "oi"
    else:
        getattr(content, field).SetInParent()
    outcome = map_message(message(content), VIEW)
    if isinstance(outcome, Fact):
        kind = outcome.data["unsupported_kind"]
        assert outcome.data["type"] == "text" or (kind and kind == kind.lower() and not kind.endswith("_message"))
    else:
        assert outcome.reason
