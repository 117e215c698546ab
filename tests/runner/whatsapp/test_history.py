"""The phone's history tells with whom it has talked, and nothing else of it leaves the callback."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from neonize.proto import Neonize_pb2 as n
from neonize.proto.waCommon import WACommon_pb2 as common
from neonize.proto.waE2E import WAWebProtobufsE2E_pb2 as e2e
from neonize.proto.waHistorySync import WAWebProtobufsHistorySync_pb2 as sync
from neonize.proto.waWeb import WAWebProtobufsWeb_pb2 as web

from recado.contacts.model import KNOWN_FOR
from session_runner.whatsapp.event_codes import SUBSCRIBED, EventCode
from session_runner.whatsapp.history import CONTACTS_PER_FACT, KIND, announces_history, map_history
from session_runner.whatsapp.incoming import Incoming
from session_runner.whatsapp.mapping import Fact, View
from session_runner.whatsapp.parties import Party
from tests.runner.whatsapp.protobufs import (
    OWN_LID,
    OWN_PHONE,
    PATIENT_LID,
    PATIENT_PHONE,
    SECONDS,
    info,
    message,
)
from tests.support.clock import FixedClock

NOW = datetime.fromtimestamp(SECONDS, UTC)
BY_LID, BY_PHONE = f"{PATIENT_LID}@lid", f"{PATIENT_PHONE}@s.whatsapp.net"
PATIENT = {"e164": f"+{PATIENT_PHONE}", "lid": f"{PATIENT_LID}@lid"}
TEXT = "Segredo do paciente"


class Book:
    """Knows nobody."""

    def lid_of(self, phone_digits: str) -> str | None:
        return None

    def phone_of(self, lid_digits: str) -> str | None:
        return None


class KnowingBook(Book):
    """Knows the patient's pair."""

    def phone_of(self, lid_digits: str) -> str | None:
        return PATIENT_PHONE if lid_digits == PATIENT_LID else None


VIEW = View(own=Party(f"+{OWN_PHONE}", f"{OWN_LID}@lid"), book=Book(), now=NOW, live_since=NOW)


def chat(jid: str = BY_LID, **fields: Any) -> Any:
    key = common.MessageKey(remoteJID=jid, fromMe=False, ID="3A01")
    said = web.WebMessageInfo(key=key, message=e2e.Message(conversation=TEXT), messageTimestamp=SECONDS - 60)
    values = {"conversationTimestamp": SECONDS - 60, "name": "Ana Paciente", **fields}
    return sync.Conversation(ID=jid, messages=[sync.HistorySyncMsg(message=said)], **values)


def chunk(*chats: Any, kind: str = "INITIAL_BOOTSTRAP", **fields: Any) -> Any:
    named = sync.HistorySync.HistorySyncType.Value(kind)
    return n.HistorySync(Data=sync.HistorySync(syncType=named, conversations=chats, **fields))


def contacts(event: Any, view: View = VIEW) -> list[dict[str, Any]]:
    return [contact for fact in map_history(event, view).facts for contact in fact.data["contacts"]]


@pytest.mark.parametrize("kind", ["INITIAL_BOOTSTRAP", "RECENT", "FULL", "ON_DEMAND"])
def test_each_kind_with_chats_gives_contacts_and_no_text_or_name(kind: str) -> None:
    """Who and when, under number and LID; never what was said or what they are called."""
    (fact,) = map_history(chunk(chat(pnJID=BY_PHONE), kind=kind), VIEW).facts
    assert fact.kind == KIND
    assert fact.data == {"contacts": [{**PATIENT, "last_at": "2026-11-22T12:59:00.000Z"}]}
    assert fact.fact_at == NOW - timedelta(seconds=60)
    assert TEXT not in repr(fact)
    assert "Ana" not in repr(fact)


@pytest.mark.parametrize("kind", ["INITIAL_STATUS_V3", "PUSH_NAME", "NON_BLOCKING_DATA"])
def test_kinds_without_chats_are_counted(kind: str) -> None:
    """Push names are those of strangers in common groups, too."""
    names = [sync.Pushname(ID=BY_PHONE, pushname="Ana")]
    history = map_history(chunk(chat(), kind=kind, pushnames=names), VIEW)
    assert list(history.facts) == []
    assert history.ignored == {f"history:{kind.lower()}": 1}


@pytest.mark.parametrize(
    ("event", "view"),
    [
        (chunk(chat(BY_LID, pnJID=BY_PHONE)), VIEW),
        (chunk(chat(BY_PHONE, lidJID=BY_LID)), VIEW),
        (chunk(chat(BY_PHONE, pnJID=BY_PHONE, lidJID=f"{PATIENT_LID}:3@lid")), VIEW),
        (chunk(chat(BY_LID), phoneNumberToLidMappings=[{"pnJID": BY_PHONE, "lidJID": BY_LID}]), VIEW),
        (chunk(chat(BY_PHONE), phoneNumberToLidMappings=[{"pnJID": BY_PHONE, "lidJID": BY_LID}]), VIEW),
        (chunk(chat(BY_LID)), replace(VIEW, book=KnowingBook())),
    ],
)
def test_both_addresses_are_found_wherever_the_chunk_or_the_store_has_them(event: Any, view: View) -> None:
    """In the chat itself, in the chunk's pairs, or in the session's store."""
    assert [{"e164": one["e164"], "lid": one["lid"]} for one in contacts(event, view)] == [PATIENT]


@pytest.mark.parametrize(
    ("left_out", "reason"),
    [
        (chat("120363000000000001@g.us"), "no_person"),
        (chat("status@broadcast"), "no_person"),
        (chat("1234567@newsletter"), "no_person"),
        (chat("13135550002@bot"), "no_person"),
        (chat("0@s.whatsapp.net"), "no_person"),
        (chat(""), "no_person"),
        (chat("nobody"), "no_person"),
        (chat(f"{OWN_PHONE}@s.whatsapp.net"), "own"),
        (chat(f"{OWN_LID}@lid"), "own"),
        (sync.Conversation(ID=BY_LID), "no_time"),
        (chat(conversationTimestamp=SECONDS - int(KNOWN_FOR.total_seconds())), "over_a_year"),
    ],
)
def test_what_is_no_recent_chat_with_a_person_is_counted_and_costs_the_others_nothing(
    left_out: Any, reason: str
) -> None:
    """Groups, status, newsletters, WhatsApp itself, the own chat, chats nobody wrote in, and what is long ago."""
    history = map_history(chunk(left_out, chat(pnJID=BY_PHONE)), VIEW)
    assert history.ignored == {f"history:{reason}": 1}
    assert len(history.facts[0].data["contacts"]) == 1


def test_a_chat_that_cannot_be_read_costs_the_others_nothing() -> None:
    """Bytes that are no text, in an address or in the chunk's pairs."""
    event = chunk(
        chat("5511900000000@lid"), chat(), phoneNumberToLidMappings=[{"pnJID": "5511900000001@c.us", "lidJID": BY_LID}]
    )
    broken = event.SerializeToString().replace(b"5511900000000@lid", b"551190000\xff000@lid")
    broken = broken.replace(b"5511900000001@c.us", b"551190000\xff001@c.us")
    history = map_history(n.HistorySync.FromString(broken), VIEW)
    assert history.ignored == {"history:malformed": 1}
    assert [one["lid"] for one in history.facts[0].data["contacts"]] == [BY_LID]


@pytest.mark.parametrize(
    ("fields", "last_at"),
    [
        ({"lastMsgTimestamp": SECONDS - 30}, NOW - timedelta(seconds=30)),
        ({"conversationTimestamp": 0}, NOW - timedelta(seconds=60)),
        ({"conversationTimestamp": SECONDS + 3600}, NOW),
        ({"conversationTimestamp": SECONDS * 1000}, NOW),
        ({"conversationTimestamp": 2**64 - 1}, NOW),
    ],
)
def test_the_last_conversations_time_is_never_ahead_of_the_clock(fields: dict[str, Any], last_at: datetime) -> None:
    """The newest of the chat's times, or that of its messages; a clock that is ahead must not keep anybody for ever."""
    (fact,) = map_history(chunk(chat(**fields)), VIEW).facts
    assert fact.fact_at == last_at


@given(age=st.integers(0, 2 * int(KNOWN_FOR.total_seconds())))
def test_a_year_is_the_limit(age: int) -> None:
    """Whoever was last talked to within a year is told of; everybody else is not."""
    assert bool(contacts(chunk(chat(conversationTimestamp=SECONDS - age)))) == (age < KNOWN_FOR.total_seconds())


def test_thousands_of_chats_come_in_bounded_batches_and_the_same_chunk_is_the_same_facts() -> None:
    """A queue message has its limits, and a chunk may come twice."""
    event = chunk(*(chat(f"{10**14 + number}@lid") for number in range(3010)), kind="FULL")
    facts = map_history(event, VIEW).facts
    assert {len(fact.data["contacts"]) for fact in facts} == {CONTACTS_PER_FACT, 3010 % CONTACTS_PER_FACT}
    assert len({fact.identity for fact in facts}) == len(facts)
    later = replace(VIEW, now=NOW + timedelta(hours=1))
    assert [(fact.identity, fact.fact_at) for fact in map_history(event, later).facts] == [
        (fact.identity, fact.fact_at) for fact in facts
    ]


def test_of_two_chats_with_one_person_the_later_counts() -> None:
    """Chats are split where WhatsApp moved from number to LID."""
    old = chat(BY_PHONE, lidJID=BY_LID, conversationTimestamp=SECONDS - 900)
    for chats in ([old, chat(pnJID=BY_PHONE)], [chat(pnJID=BY_PHONE), old]):
        assert [one["last_at"] for one in contacts(chunk(*chats))] == ["2026-11-22T12:59:00.000Z"]


class Heard:
    """What one incarnation journalled."""

    def __init__(self, clock: FixedClock) -> None:
        self.facts = list[Fact]()
        self.incoming = Incoming(Book(), self.facts.append, lambda _change: None, clock)


@pytest.fixture
def heard(clock: FixedClock) -> Heard:
    return Heard(clock)


def test_the_callback_journals_contacts_and_never_a_message(heard: Heard) -> None:
    """It is subscribed to, and what was said long ago is not received now."""
    assert EventCode.HISTORY_SYNC in SUBSCRIBED
    heard.incoming.handle(EventCode.HISTORY_SYNC, chunk(chat(), chat("1@g.us")).SerializeToString())
    assert [fact.kind for fact in heard.facts] == [KIND]
    assert heard.incoming.ignored == {"history:no_person": 1}


def test_history_that_cannot_be_decoded_is_told_without_its_bytes(heard: Heard) -> None:
    """It may be a patient's past, so it is poison by name only."""
    heard.incoming.handle(EventCode.HISTORY_SYNC, b"\xff")
    (fact,) = heard.facts
    assert fact.kind == "message.unmapped"
    assert fact.data["event_code"] == EventCode.HISTORY_SYNC
    assert fact.data["raw"] is None


def announcement(**fields: Any) -> Any:
    notification = e2e.HistorySyncNotification(**fields)
    protocol = e2e.ProtocolMessage(
        type=e2e.ProtocolMessage.Type.HISTORY_SYNC_NOTIFICATION, historySyncNotification=notification
    )
    return message(e2e.Message(protocolMessage=protocol), info(Category="peer"))


def test_who_stops_waits_for_what_was_announced(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The announcement is acknowledged before the chunk is fetched; without one nothing is waited for."""
    monkeypatch.setattr("session_runner.whatsapp.incoming._HISTORY_SECONDS", 0.05)
    assert heard.incoming.wait_for_history()
    heard.incoming.handle(EventCode.MESSAGE, announcement(directPath="/v/1").SerializeToString())
    assert not heard.incoming.wait_for_history()
    heard.incoming.handle(EventCode.HISTORY_SYNC, chunk(chat()).SerializeToString())
    assert heard.incoming.wait_for_history()


def test_what_has_nothing_to_fetch_announces_nothing() -> None:
    """The phone also tells that it has no history, and ordinary messages announce none."""
    assert announces_history(announcement(initialHistBootstrapInlinePayload=b"x"))
    assert not announces_history(announcement())
    assert not announces_history(message())
