"""The recorder: each fact written once, each event out, nothing blocked by what is broken."""

import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from functions.recorder import poison, recording
from recado.aws import clients, data_keys
from recado.aws.sealing import open_sealed
from recado.contacts import service as contacts
from recado.kernel.errors import ServiceUnavailableError
from recado.kernel.ids import Prefix, derived_id, new_id, time_of
from recado.messages import service as messages
from recado.messages.model import Direction, Message, Source
from recado.messages.status import MessageStatus
from tests.functions.recorder.conftest import OWN, PATIENT, START, TEXT, Recorder, Runner


def logged(runner: Runner) -> list[Message]:
    page = messages.list_clinic(runner.clinic_id, limit=100, created_at=START)
    return page.items


def test_an_inbound_message_is_in_the_log_and_on_the_bus(recorder: Recorder, runner: Runner) -> None:
    """The text is in the table; the event has ids and facts only."""
    entry = runner.received()
    assert recorder.take([entry]) == []
    (message,) = logged(runner)
    assert (message.text, message.direction, message.sender.e164) == (TEXT, Direction.INBOUND, PATIENT["e164"])
    (event,) = recorder.events()
    assert (event["id"], event["type"], event["sequence"]) == (entry["entry_id"], "message.received", 1)
    assert event["data"] == {
        "message_id": message.message_id,
        "direction": "inbound",
        "type": "text",
        "source": "contact",
        "status": "received",
        "code": None,
        "resends": 0,
        "client_reference": None,
        "whatsapp_id": "3A01",
    }


def test_neither_text_nor_number_reaches_events_or_logs(recorder: Recorder, runner: Runner) -> None:
    """Everything an integrator or an operator sees of a message leaves out what was written and by whom."""
    sent = runner.sent()
    broken = runner.received("3A0B")
    del broken["data"]["timestamp"]
    recorder.take(
        [
            runner.received(),
            runner.phone_sent(),
            runner.result(sent),
            runner.receipt("read"),
            runner.undecryptable(),
            runner.state("connected", phone=OWN["e164"], lid=OWN["lid"]),
            broken,
        ],
        "not JSON " + TEXT,
    )
    seen = json.dumps(recorder.events(), ensure_ascii=False) + recorder.log.getvalue()
    assert "message.received" in seen
    assert "was set aside" in seen
    for secret in (TEXT, "977770001", "988880001", "Maria"):
        assert secret not in seen


def test_who_writes_is_remembered_as_having_an_account(recorder: Recorder, runner: Runner, neighbour: Runner) -> None:
    """Answering a known chat asks WhatsApp nothing; the other clinic is not told."""
    recorder.take([runner.received()])
    known = contacts.cached(runner.clinic_id, PATIENT["e164"])
    assert known is not None
    assert (known.on_whatsapp, known.lid) == (True, PATIENT["lid"])
    assert contacts.cached(neighbour.clinic_id, PATIENT["e164"]) is None


def test_what_comes_twice_is_recorded_once(recorder: Recorder, runner: Runner) -> None:
    """The same queue message again, the same entry in another one, and the same entry twice in one."""
    entry = runner.received()
    seen_again = {**entry, "sequence": 9, "observed_at": "2026-11-22T13:05:00.000Z"}
    recorder.take([entry, entry])
    recorder.take([entry], [seen_again])
    assert len(logged(runner)) == 1
    assert recorder.types() == ["message.received"]


def test_the_phones_messages_are_sent_events(recorder: Recorder, runner: Runner) -> None:
    """What was typed on the clinic's phone is outbound and says so."""
    recorder.take([runner.phone_sent()])
    (message,) = logged(runner)
    assert (message.source, message.status, message.to.lid) == (Source.PHONE, MessageStatus.SENT, PATIENT["lid"])
    (event,) = recorder.events()
    assert (event["type"], event["data"]["source"]) == ("message.sent", "phone")


def test_the_phones_echo_of_an_api_message_makes_no_event(recorder: Recorder, runner: Runner) -> None:
    """One message sent is one message.sent."""
    sent = runner.sent()
    recorder.take([runner.result(sent)])
    recorder.take([runner.phone_sent("3EB0A1")])
    assert recorder.types() == ["message.sent"]
    assert len(logged(runner)) == 1


def test_the_way_of_a_sent_message(recorder: Recorder, runner: Runner) -> None:
    """Sent, delivered and read are one event each, all with the client's reference."""
    recorder.take([runner.result(runner.sent()), runner.receipt("delivered"), runner.receipt("read", seconds=2)])
    events = recorder.events()
    assert [event["type"] for event in events] == ["message.sent", "message.delivered", "message.read"]
    assert {event["data"]["client_reference"] for event in events} == {"42"}
    assert len({event["id"] for event in events}) == 3
    assert [event["data"]["status"] for event in events] == ["sent", "delivered", "read"]


def test_a_receipt_that_overtakes_the_result_is_told_after_it(recorder: Recorder, runner: Runner) -> None:
    """Nothing is told of a message before it is known to be sent, and nothing is lost."""
    begun = runner.begun()
    early = runner.receipt("delivered")
    assert recorder.take([early]) == []
    assert recorder.events() == []
    sent = messages.record_sent(begun, 3, "3EB0A1", START, lid=PATIENT["lid"])
    recorder.take([runner.result(sent)])
    events = recorder.events()
    assert [event["type"] for event in events] == ["message.sent", "message.delivered"]
    assert events[1]["sequence"] == early["sequence"]
    assert messages.take_parked(sent) == []


def test_receipts_of_several_devices_are_one_event(recorder: Recorder, runner: Runner) -> None:
    """Each device of a contact confirms delivery; the integrator hears of it once."""
    runner.sent()
    recorder.take([runner.receipt("delivered", device="0"), runner.receipt("delivered", device="1", seconds=3)])
    recorder.take([runner.receipt("delivered", device="2", seconds=4)])
    assert recorder.types() == ["message.delivered"]


def test_a_delivery_receipt_after_the_read_one_is_no_event(recorder: Recorder, runner: Runner) -> None:
    """The ladder is not climbed down."""
    runner.sent()
    recorder.take([runner.receipt("read"), runner.receipt("delivered")])
    assert recorder.types() == ["message.read"]


def test_one_receipt_may_be_for_many_messages(recorder: Recorder, runner: Runner) -> None:
    """Reading a chat reads all that is in it; an id named twice counts once."""
    first, second = runner.sent("3EB0A1"), runner.sent("3EB0A2")
    recorder.take([runner.receipt("read", "3EB0A1", "3EB0A2", "3EB0A1", "UNKNOWN")])
    events = recorder.events()
    assert [event["data"]["message_id"] for event in events] == [first.message_id, second.message_id]


@pytest.mark.parametrize("status", ["failed", "uncertain", "expired", "suppressed"])
def test_every_other_end_is_an_event(recorder: Recorder, runner: Runner, status: str) -> None:
    """A message that does not go out is never silent."""
    ends: dict[str, Callable[[], Message]] = {
        "failed": lambda: messages.record_failed(runner.begun(), 3, "not_on_whatsapp"),
        "uncertain": lambda: messages.record_uncertain(runner.begun(), 3, "owner_lost"),
        "expired": lambda: messages.record_expired(_row(runner)),
        "suppressed": lambda: messages.record_suppressed(_row(runner), "opted_out"),
    }
    message = ends[status]()
    recorder.take([runner.result(message, status)])
    (event,) = recorder.events()
    assert (event["type"], event["data"]["code"]) == (f"message.{status}", message.code)


def test_a_result_told_by_two_owners_is_one_event(recorder: Recorder, runner: Runner) -> None:
    """After a take-over the new owner tells the result again, at another time and under another id."""
    sent = runner.sent()
    told_again = runner.result(sent, at="2026-11-22T13:09:00.000Z")
    told_again["entry_id"] = new_id(Prefix.EVENT)
    recorder.take([runner.result(sent)], [told_again])
    assert recorder.types() == ["message.sent"]


def test_a_failure_told_of_a_sent_message_is_no_event(recorder: Recorder, runner: Runner) -> None:
    """What contradicts the log is logged, not announced."""
    sent = runner.sent()
    assert recorder.take([runner.result(sent, "failed")]) == []
    assert recorder.events() == []
    assert "ended otherwise" in recorder.log.getvalue()


def test_a_channel_tells_real_changes_only(recorder: Recorder, runner: Runner) -> None:
    """Each change is state_changed and the event of its name; a repeated report is nothing."""
    recorder.take([runner.state("connecting")])
    recorder.take([runner.state("connected")])
    recorder.take([runner.state("connected", reason="keepalive")])
    recorder.take([runner.state("disconnected", reason="stream_error")])
    events = recorder.events()
    assert [(event["type"], event["data"]["previous"]) for event in events] == [
        ("channel.state_changed", "created"),
        ("channel.state_changed", "connecting"),
        ("channel.connected", "connecting"),
        ("channel.state_changed", "connected"),
        ("channel.disconnected", "connected"),
    ]
    assert events[-1]["data"]["reason"] == "stream_error"
    assert events[1]["id"] != events[2]["id"]
    assert time_of(events[2]["id"]) == START


def test_a_report_that_was_overtaken_is_told_without_previous(recorder: Recorder, runner: Runner) -> None:
    """SQS keeps no order: the older report does not change the channel, yet what it says did happen."""
    recorder.take([runner.state("connecting")])
    assert recorder.types() == ["channel.state_changed"]
    older, newer = runner.state("connected"), runner.state("disconnected")
    recorder.take([newer])
    recorder.take([older])
    recorder.take([older], [newer])
    events = recorder.events()
    assert [(event["type"], event["sequence"], event["data"]["previous"]) for event in events] == [
        ("channel.state_changed", 3, "connecting"),
        ("channel.disconnected", 3, "connecting"),
        ("channel.state_changed", 2, None),
        ("channel.connected", 2, None),
    ]


def test_a_ban_says_when_it_ends(recorder: Recorder, runner: Runner) -> None:
    """The integrator learns from the event how long the number is banned."""
    recorder.take([runner.state("banned", reason="temporary", ban_expires_at="2026-11-23T13:00:00Z")])
    assert recorder.events()[-1]["data"]["ban_expires_at"] == "2026-11-23T13:00:00.000Z"


def test_a_pairing_code_is_announced_and_not_told(recorder: Recorder, runner: Runner) -> None:
    """The event says that a code lies ready; a code that a runner wrongly put into the entry goes no further."""
    expires = "2026-11-22T13:00:20.000Z"
    recorder.take([runner.entry("channel.qr_ready", {"method": "qr", "expires_at": expires, "code": "2@secret"})])
    (event,) = recorder.events()
    assert (event["type"], event["data"]) == ("channel.qr_ready", {"method": "qr", "expires_at": expires})


def test_what_cannot_be_read_is_an_event(recorder: Recorder, runner: Runner) -> None:
    """An undecryptable message is told with its chat's LID, and is not in the log."""
    recorder.take([runner.undecryptable()])
    (event,) = recorder.events()
    assert event["data"] == {"whatsapp_id": "3A09", "chat_lid": PATIENT["lid"]}
    assert logged(runner) == []


FACTS: dict[str, Callable[[Runner], list[dict[str, Any]]]] = {
    "received": lambda runner: [runner.received()],
    "phone_sent": lambda runner: [runner.phone_sent()],
    "result": lambda runner: [runner.result(runner.sent())],
    "failed": lambda runner: [runner.result(messages.record_failed(runner.begun(), 3, "x"), "failed")],
    "receipt": lambda runner: (runner.sent(), [runner.receipt("delivered")])[1],
    "state": lambda runner: [runner.state("connected")],
    "undecryptable": lambda runner: [runner.undecryptable()],
    "qr": lambda runner: [runner.entry("channel.qr_ready", {"method": "qr", "expires_at": "2026-11-22T13:00:20Z"})],
}


@pytest.mark.parametrize("kind", FACTS)
def test_a_crash_before_the_event_loses_nothing(
    recorder: Recorder, runner: Runner, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Written, then dead: the next delivery puts the very events the first would have put."""
    entries = FACTS[kind](runner)
    put: list[Any] = []
    with monkeypatch.context() as dying:
        dying.setattr(recording, "publish", lambda events: _die_with(put, events))
        assert recorder.take(entries) == ["0"]
    assert recorder.take(entries) == []
    expected = [json.loads(event.to_json()) for event in put]
    assert expected
    assert recorder.events() == expected


@pytest.mark.parametrize("kind", FACTS)
def test_a_crash_after_the_event_repeats_it_under_its_id(
    recorder: Recorder, runner: Runner, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Put, then dead before that was noted: consumers see the same event again and can tell."""
    entries = FACTS[kind](runner)
    with monkeypatch.context() as dying:
        dying.setattr(messages, "mark_published", lambda *_, **__: _die())
        assert recorder.take(entries) == ["0"]
    first = recorder.events()
    assert recorder.take(entries) == []
    assert recorder.events() == first
    assert recorder.take(entries) == []
    assert recorder.events() == []


def test_a_crash_with_parked_receipts_loses_none(
    recorder: Recorder, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A parked receipt is forgotten only when its event is out."""
    begun = runner.begun()
    recorder.take([runner.receipt("read")])
    result = runner.result(messages.record_sent(begun, 3, "3EB0A1", START, lid=PATIENT["lid"]))
    with monkeypatch.context() as dying:
        dying.setattr(recording, "publish", lambda _: _die())
        assert recorder.take([result]) == ["0"]
    assert recorder.take([result]) == []
    assert recorder.types() == ["message.sent", "message.read"]


def test_what_the_bus_refuses_comes_again_and_the_rest_does_not(
    recorder: Recorder, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PutEvents answers 200 with refusals inside: those entries fail, the others are done."""
    entries = [runner.received("3A01"), runner.received("3A02"), runner.received("3A03")]
    original = clients.events().put_events

    def refusing(Entries: list[Any]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        kept = [entry for entry in Entries if entries[1]["entry_id"] not in entry["Detail"]]
        original(Entries=kept)
        answers = [{"EventId": "1"} if entry in kept else {"ErrorCode": "ThrottlingException"} for entry in Entries]
        return {"FailedEntryCount": len(Entries) - len(kept), "Entries": answers}

    with monkeypatch.context() as refusal:
        refusal.setattr(clients.events(), "put_events", refusing)
        assert recorder.take(entries) == ["0"]
    assert [event["id"] for event in recorder.events()] == [entries[0]["entry_id"], entries[2]["entry_id"]]
    assert recorder.take(entries) == []
    assert [event["id"] for event in recorder.events()] == [entries[1]["entry_id"]]


def test_one_entry_that_fails_keeps_no_other_from_being_recorded(
    recorder: Recorder, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage in the middle fails its queue message only, and the entries behind it are done all the same."""
    original = messages.record_inbound

    def failing(observed: Any) -> Any:
        if observed.whatsapp_id == "3A01":
            raise ServiceUnavailableError(TEXT)
        return original(observed)

    with monkeypatch.context() as outage:
        outage.setattr(messages, "record_inbound", failing)
        first = [runner.received("3A01"), runner.received("3A02")]
        assert recorder.take(first, [runner.received("3A03")]) == ["0"]
    assert [message.whatsapp_id for message in logged(runner)] != []
    assert {message.whatsapp_id for message in logged(runner)} == {"3A02", "3A03"}
    assert TEXT not in recorder.log.getvalue()
    assert recorder.take(first) == []
    assert {message.whatsapp_id for message in logged(runner)} == {"3A01", "3A02", "3A03"}
    assert len(recorder.events()) == 3


BROKEN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no object": lambda entry: "nonsense",
    "null": lambda entry: None,
    "missing field": lambda entry: {key: value for key, value in entry.items() if key != "epoch"},
    "unknown field": lambda entry: {**entry, "surprise": 1},
    "unknown kind": lambda entry: {**entry, "kind": "message.imagined"},
    "kind of the wrong type": lambda entry: {**entry, "kind": ["message.received"]},
    "bad id": lambda entry: {**entry, "entry_id": "evt_1"},
    "bad clinic id": lambda entry: {**entry, "clinic_id": 7},
    "bad sequence": lambda entry: {**entry, "sequence": "one"},
    "bad moment": lambda entry: {**entry, "observed_at": "yesterday"},
    "moment without zone": lambda entry: {**entry, "observed_at": "2026-11-22T13:00:00"},
    "data of the wrong type": lambda entry: {**entry, "data": ["x"]},
    "data field missing": lambda entry: _with(entry, whatsapp_id=...),
    "data field of the wrong type": lambda entry: _with(entry, offline={"no": 1}),
    "text without text": lambda entry: _with(entry, text=None),
    "chat with nobody": lambda entry: _with(entry, chat={"e164": None, "lid": None}),
    "unknown state": lambda entry: {**entry, "kind": "channel.state", "data": {"state": "happy"}},
}


@pytest.mark.parametrize("flaw", BROKEN)
def test_a_broken_entry_is_set_aside_sealed_and_blocks_nothing(recorder: Recorder, runner: Runner, flaw: str) -> None:
    """The entry before and the one behind are recorded, the broken one can be opened by us and read by nobody else."""
    broken = BROKEN[flaw](runner.received("3ABAD"))
    assert recorder.take([runner.received("3A01"), broken, runner.received("3A02")]) == []
    assert {message.whatsapp_id for message in logged(runner)} == {"3A01", "3A02"}
    assert len(recorder.events()) == 2
    (kept,) = recorder.poison()
    sealed = b"".join(open_sealed(bytes(piece), poison.OWNER, poison.PURPOSE) for piece in kept["sealed"])
    opened = zlib.decompress(sealed).decode()
    assert (opened if isinstance(broken, str) else json.loads(opened)) == broken
    assert kept["expires_at"] > START.timestamp()
    assert TEXT not in str({key: value for key, value in kept.items() if key != "sealed"})
    recorder.take([runner.received("3A01"), broken, runner.received("3A02")])
    assert len(recorder.poison()) == 1


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"version":2,"entries":[]}', '{"version":1,"entries":{}}'])
def test_a_broken_body_is_set_aside_whole(recorder: Recorder, runner: Runner, body: str) -> None:
    """A queue message that cannot be read is kept once, and does not come again for ever."""
    assert recorder.take(body, [runner.received()]) == []
    assert len(recorder.poison()) == 1
    assert recorder.types() == ["message.received"]


def test_recorders_that_start_one_after_the_other_seal_under_the_same_key(recorder: Recorder, runner: Runner) -> None:
    """The second finds the key that the first has made, and what both set aside can be opened."""
    for whatsapp_id in ("3A01", "3A02"):
        assert recorder.take([{**runner.received(whatsapp_id), "kind": "message.imagined"}]) == []
        data_keys.forget()
    for kept in recorder.poison():
        (piece,) = kept["sealed"]
        assert open_sealed(bytes(piece), poison.OWNER, poison.PURPOSE)
    assert len(recorder.aws.items("keys")) == 1


def test_a_large_broken_entry_is_kept_whole(recorder: Recorder, runner: Runner) -> None:
    """One seal holds up to 64 KiB: what is larger is kept in pieces."""
    noise = "".join(derived_id(Prefix.EVENT, START, str(number)) for number in range(6000))
    broken = {**runner.received(), "kind": "message.imagined", "data": {"noise": noise}}
    assert recorder.take([broken]) == []
    (kept,) = recorder.poison()
    assert len(kept["sealed"]) > 1
    sealed = b"".join(open_sealed(bytes(piece), poison.OWNER, poison.PURPOSE) for piece in kept["sealed"])
    assert json.loads(zlib.decompress(sealed)) == broken


@pytest.mark.parametrize("kind", [kind for kind in FACTS if kind not in {"result", "failed", "receipt"}])
def test_an_entry_that_names_another_clinics_channel_is_not_believed(
    recorder: Recorder, runner: Runner, neighbour: Runner, kind: str
) -> None:
    """Clinic and channel belong together or the entry is poison: nothing is written, nothing announced."""
    before = len(recorder.aws.items("messages"))
    (entry,) = FACTS[kind](runner)
    forged = {**entry, "channel_id": neighbour.channel_id}
    assert recorder.take([forged]) == []
    assert recorder.events() == []
    assert len(recorder.poison()) == 1
    assert len(recorder.aws.items("messages")) == before + 1


def test_a_result_or_receipt_for_another_clinics_message_moves_nothing(
    recorder: Recorder, runner: Runner, neighbour: Runner
) -> None:
    """Neither the message's id nor its WhatsApp id reaches across clinics."""
    theirs, begun = neighbour.sent("3EB0A1"), neighbour.begun()
    recorder.take([runner.result(begun, whatsapp_id="3EB0X"), runner.receipt("read", "3EB0A1")])
    assert recorder.events() == []
    assert len(recorder.poison()) == 1
    for message, status in ((theirs, MessageStatus.SENT), (begun, MessageStatus.SENDING)):
        assert messages.get(neighbour.clinic_id, neighbour.channel_id, message.message_id).status is status


def _row(runner: Runner) -> Any:
    accepted = runner.accepted()
    rows = messages.outbox_rows(runner.clinic_id, runner.channel_id, 10)
    return next(row for row in rows if row.message_id == accepted.message_id)


def _with(entry: dict[str, Any], **data: Any) -> dict[str, Any]:
    changed = {key: value for key, value in {**entry["data"], **data}.items() if value is not ...}
    return {**entry, "data": changed}


def _die_with(put: list[Any], events: Any) -> Any:
    put += events
    _die()


def _die() -> Any:
    raise RuntimeError("the process is gone")
