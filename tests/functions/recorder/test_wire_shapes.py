"""The shapes on the queue and on the bus, held against their published schemas and samples."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from functions.recorder.channel_events import OWN_EVENT, PAIRING_CODE_READY, STATE_CHANGED
from functions.recorder.entries import KINDS
from recado.messages import service as messages
from recado.messages.events import STATUS_EVENTS, UNDECRYPTABLE
from tests.functions.recorder.conftest import OWN, START, Recorder, Runner, channel_of

EVENTS = Path(__file__).parents[3] / "events"
SCHEMAS = EVENTS / "schemas"
EVENT_TYPES = {*STATUS_EVENTS.values(), UNDECRYPTABLE, STATE_CHANGED, PAIRING_CODE_READY} | {
    f"channel.{state.value}" for state in OWN_EVENT
}
SILENT = {"ingest_contacts_in_history"}
INGEST = sorted((EVENTS / "sqs").glob("ingest_*.json"))


def schema(name: str) -> Draft202012Validator:
    plain = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(plain)
    return Draft202012Validator(plain, format_checker=FormatChecker())


def entries_of(sample: Path) -> list[dict[str, Any]]:
    (record,) = json.loads(sample.read_text())["Records"]
    body = json.loads(record["body"])
    assert body["version"] == 1
    return list(body["entries"])


def test_every_event_type_and_entry_kind_has_a_schema_and_every_event_type_a_sample() -> None:
    """What can be on the bus is published, with an example each."""
    published = {path.name.removesuffix(".schema.json") for path in SCHEMAS.glob("*.schema.json")}
    assert published >= EVENT_TYPES
    assert published >= {f"entry.{kind}" for kind in KINDS}
    assert {path.stem for path in (EVENTS / "eventbridge").glob("*.json")} >= EVENT_TYPES


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))
def test_each_sample_on_the_bus_is_of_its_schema(event_type: str) -> None:
    """Samples in the documentation are not of another time."""
    envelope = json.loads((EVENTS / "eventbridge" / f"{event_type}.json").read_text())
    assert (envelope["source"], envelope["detail-type"]) == ("recado", event_type)
    schema(event_type).validate(envelope["detail"])


def test_everything_the_recorder_emits_is_of_its_schema(recorder: Recorder, runner: Runner) -> None:
    """All kinds of facts in one channel: every event type but the ones of results is seen, and each is as published."""
    recorder.take(
        [
            runner.received(),
            runner.received("3AU", type="unsupported", text=None, unsupported_kind="poll"),
            runner.phone_sent(),
            runner.result(runner.sent("3EB0A1")),
            runner.receipt("delivered"),
            runner.receipt("read"),
            runner.undecryptable(),
            runner.in_history(0, 30),
            runner.entry("channel.qr_ready", {"method": "code", "expires_at": "2026-11-22T13:00:20Z"}),
        ],
        [runner.result(messages.record_failed(runner.begun(), 3, "463"), "failed")],
        [runner.result(messages.record_uncertain(runner.begun(), 3), "uncertain")],
        *[[runner.state(state.value, reason="x")] for state in sorted(OWN_EVENT)],
        [runner.state("connected", phone=OWN["e164"])],
    )
    _end_queued(recorder, runner)
    events = recorder.events()
    assert {event["type"] for event in events} == EVENT_TYPES
    for event in events:
        schema(event["type"]).validate(event)


@pytest.mark.parametrize("sample", INGEST, ids=lambda path: path.stem)
def test_each_sample_on_the_queue_is_taken_in(recorder: Recorder, sample: Path) -> None:
    """The samples are of their schemas and the recorder takes them, the deliberately broken one aside."""
    entries = entries_of(sample)
    runner = channel_of(entries[0]["clinic_id"], entries[0]["channel_id"])
    stand_ins = _stand_ins(runner, entries)
    (record,) = json.loads(sample.read_text())["Records"]
    body = record["body"]
    for told, real in stand_ins.items():
        body = body.replace(told, real)
    assert recorder.take(body) == []
    broken = [entry for entry in entries if not schema(f"entry.{entry['kind']}").is_valid(entry)]
    assert len(recorder.poison()) == len(broken) == (1 if sample.stem == "ingest_poison" else 0)
    assert bool(recorder.events()) is (sample.stem not in SILENT)


def test_the_schemas_let_no_text_or_number_through() -> None:
    """Events are thin by contract: a field that nobody planned is refused."""
    for event_type in EVENT_TYPES:
        envelope = json.loads((EVENTS / "eventbridge" / f"{event_type}.json").read_text())
        for field in ("text", "from", "to", "push_name"):
            fat = {**envelope["detail"], "data": {**envelope["detail"]["data"], field: "x"}}
            assert not schema(event_type).is_valid(fat), (event_type, field)


def _end_queued(recorder: Recorder, runner: Runner) -> None:
    expired, suppressed = runner.accepted(), runner.accepted()
    rows = {row.message_id: row for row in messages.outbox_rows(runner.clinic_id, runner.channel_id, 100)}
    recorder.take(
        [runner.result(messages.record_expired(rows[expired.message_id]), "expired")],
        [runner.result(messages.record_suppressed(rows[suppressed.message_id], "opted_out"), "suppressed")],
    )


def _stand_ins(runner: Runner, entries: list[dict[str, Any]]) -> dict[str, str]:
    """Real messages in the place of those that a sample's results are about."""
    stand_ins = {}
    for entry in entries:
        if entry["kind"] == "message.result":
            message = runner.begun()
            if entry["data"]["status"] == "failed":
                messages.record_failed(message, 3, entry["data"]["code"])
            else:
                messages.record_sent(message, 3, entry["data"]["whatsapp_id"], START)
            stand_ins[entry["data"]["message_id"]] = message.message_id
    return stand_ins
