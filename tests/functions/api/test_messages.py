"""Messages over HTTP: accepted once, read back, listed, marked as read."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from recado.channels.model import ChannelState
from recado.clinics.model import Scope
from recado.kernel.errors import ServiceUnavailableError
from recado.messages import service as messages
from recado.shards import service as shards
from tests.functions.api.support import Caller, assert_problem, link, receive, report
from tests.support.aws import SHARDS, EmulatedAws

_BODY: Mapping[str, Any] = {
    "to": "(11) 97777-0001",
    "type": "text",
    "text": {"body": "Olá! Consulta amanhã às 14h."},
    "client_reference": "42",
}
_PHONE = "+5511988880001"


def _commands(aws: EmulatedAws) -> list[tuple[str, dict[str, Any]]]:
    return [(command.kind, command.data) for shard in SHARDS for command in aws.commands(shard)]


def test_a_message_is_accepted_with_the_number_understood(aurora: Caller, aws: EmulatedAws) -> None:
    """The shape of the tour, stored as queued, and the runner is told."""
    channel_id = aurora.channel()
    _commands(aws)
    answer = aurora.post(f"channels/{channel_id}/messages", dict(_BODY))
    assert answer.status_code == 202
    message_id = answer.json()["message_id"]
    assert answer.json() == {
        "message_id": message_id,
        "status": "queued",
        "to": {"input": "(11) 97777-0001", "e164": "+5511977770001"},
    }
    assert "idempotency-replayed" not in answer.headers
    assert [row.message_id for row in messages.outbox_rows(aurora.clinic_id, channel_id, 10)] == [message_id]
    assert _commands(aws) == [("outbox.ring", {})]


def test_a_message_is_read_back_with_its_history(aurora: Caller) -> None:
    """Every field of the contract."""
    channel_id = aurora.channel()
    message_id = aurora.post(f"channels/{channel_id}/messages", {**_BODY, "ttl": 60}).json()["message_id"]
    message = aurora.get(f"channels/{channel_id}/messages/{message_id}").json()
    created, until = (datetime.fromisoformat(message[name]) for name in ("created_at", "valid_until"))
    assert (until - created).total_seconds() == 60
    history = message.pop("history")
    assert [(step["status"], step["code"]) for step in history] == [("queued", None)]
    assert {name: message[name] for name in message if not name.endswith(("_at", "_until", "_id"))} == {
        "direction": "outbound",
        "status": "queued",
        "type": "text",
        "source": "api",
        "from": {"e164": None, "lid": None, "input": None},
        "to": {"e164": "+5511977770001", "lid": None, "input": "(11) 97777-0001"},
        "text": {"body": "Olá! Consulta amanhã às 14h."},
        "unsupported_kind": None,
        "context": None,
        "client_reference": "42",
        "code": None,
        "resends": 0,
        "held_reason": None,
        "not_before": None,
        "offline": False,
        "timestamp": None,
    }


def test_the_same_idempotency_key_gives_the_same_answer_and_one_message(aurora: Caller) -> None:
    """Repeated after a lost answer, in another order of fields and with other spaces."""
    path, headers = f"channels/{aurora.channel()}/messages", {"Idempotency-Key": "consulta-42"}
    first = aurora.post(path, dict(_BODY), headers=headers)
    again = aurora.post(path, dict(reversed(list(_BODY.items()))), headers=headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len(aurora.get(path).json()["data"]) == 1


def test_the_answer_is_repeated_as_it_was_when_the_message_has_moved_on(aurora: Caller) -> None:
    """A repeat says queued even if the message has been sent since."""
    channel_id = aurora.channel()
    path, headers = f"channels/{channel_id}/messages", {"Idempotency-Key": "k"}
    first = aurora.post(path, dict(_BODY), headers=headers).json()
    row = messages.outbox_rows(aurora.clinic_id, channel_id, 1)[0]
    messages.record_sent(messages.begin_send(row, 1), 1, "3EB0AA", datetime.now(UTC), e164="+5511977770001")
    assert aurora.get(f"{path}/{first['message_id']}").json()["status"] == "sent"
    assert aurora.post(path, dict(_BODY), headers=headers).json() == first


def test_an_answer_is_repeated_although_the_channel_has_ended_since(aurora: Caller) -> None:
    """Who lost the 202 must not take the message for refused."""
    channel_id = aurora.channel()
    path, headers = f"channels/{channel_id}/messages", {"Idempotency-Key": "k"}
    first = aurora.post(path, dict(_BODY), headers=headers).json()
    report(aurora, channel_id, ChannelState.BANNED)
    again = aurora.post(path, dict(_BODY), headers=headers)
    assert (again.status_code, again.json()) == (202, first)
    assert again.headers["idempotency-replayed"] == "true"
    other_body = aurora.post(path, {**_BODY, "ttl": 5}, headers=headers)
    assert_problem(other_body, 409, "idempotency_conflict")
    assert_problem(aurora.post(path, dict(_BODY), headers={"Idempotency-Key": "l"}), 409, "channel_state")


def test_the_same_key_with_another_body_is_409(aurora: Caller) -> None:
    """A key names one request."""
    path, headers = f"channels/{aurora.channel()}/messages", {"Idempotency-Key": "consulta-42"}
    aurora.post(path, dict(_BODY), headers=headers)
    other = aurora.post(path, {**_BODY, "client_reference": "43"}, headers=headers)
    assert_problem(other, 409, "idempotency_conflict")


def test_a_key_belongs_to_its_channel_and_clinic(aurora: Caller, brisa: Caller) -> None:
    """Others may use the same word for their own messages."""
    headers = {"Idempotency-Key": "consulta-42"}
    paths = [(aurora, aurora.channel("one")), (aurora, aurora.channel("two")), (brisa, brisa.channel())]
    ids = {
        caller.post(f"channels/{channel_id}/messages", dict(_BODY), headers=headers).json()["message_id"]
        for caller, channel_id in paths
    }
    assert len(ids) == 3


def test_requests_at_the_same_time_with_one_key_make_one_message(aurora: Caller) -> None:
    """Impatient clients repeat before the first answer."""
    path, headers = f"channels/{aurora.channel()}/messages", {"Idempotency-Key": "k"}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: aurora.post(path, dict(_BODY), headers=headers), range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["message_id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1


def test_without_a_key_every_request_is_a_message(aurora: Caller) -> None:
    """Nothing is guessed to be a repeat."""
    path = f"channels/{aurora.channel()}/messages"
    assert aurora.post(path, dict(_BODY)).json()["message_id"] != aurora.post(path, dict(_BODY)).json()["message_id"]


@pytest.mark.parametrize("key", ["", "x" * 256, "two words"])
def test_a_bad_idempotency_key_is_refused(aurora: Caller, key: str) -> None:
    """1 to 255 visible ASCII characters."""
    answer = aurora.post(f"channels/{aurora.channel()}/messages", dict(_BODY), headers={"Idempotency-Key": key})
    assert_problem(answer, 422, "invalid_request", "idempotency-key")


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"to": None}, "invalid_request", "to"),
        ({"to": "nobody"}, "invalid_phone_number", "to"),
        ({"to": "120363000000000000@g.us"}, "invalid_phone_number", "to"),
        ({"to": "x" * 65}, "invalid_request", "to"),
        ({"type": "fax"}, "invalid_request", "type"),
        ({"type": None}, "invalid_request", "type"),
        ({"text": None}, "invalid_request", "text"),
        ({"text": {"body": ""}}, "invalid_request", "text.body"),
        ({"text": {"body": " \n "}}, "invalid_request", "text.body"),
        ({"text": {"body": "x" * 4097}}, "invalid_request", "text.body"),
        ({"text": {"body": "x", "preview": True}}, "invalid_request", "text.preview"),
        ({"client_reference": "x" * 257}, "invalid_request", "client_reference"),
        ({"ttl": 0}, "invalid_request", "ttl"),
        ({"ttl": 2_592_001}, "invalid_request", "ttl"),
        ({"ttl": 1.5}, "invalid_request", "ttl"),
        ({"context": {}}, "invalid_request", "context.message_id"),
        ({"context": {"message_id": "msg_01kb1v00000000000000000000"}}, "invalid_request", "context.message_id"),
        ({"context": {"message_id": "nonsense"}}, "invalid_request", "context.message_id"),
        ({"txt": {}}, "invalid_request", "txt"),
    ],
)
def test_a_bad_message_is_refused_with_the_field_named(
    aurora: Caller, change: dict[str, Any], code: str, field: str
) -> None:
    """Every limit of the documentation; nothing is stored."""
    channel_id = aurora.channel()
    assert_problem(aurora.post(f"channels/{channel_id}/messages", {**_BODY, **change}), 422, code, field)
    assert messages.outbox_rows(aurora.clinic_id, channel_id, 1) == []


@pytest.mark.parametrize("text", ["x", "x" * 4096, "😀" * 4096, "á\n\x00\u200d"])
def test_texts_up_to_the_limit_come_back_unchanged(aurora: Caller, text: str) -> None:
    """Characters are counted, not bytes."""
    path = f"channels/{aurora.channel()}/messages"
    message_id = aurora.post(path, {**_BODY, "text": {"body": text}}).json()["message_id"]
    assert aurora.get(f"{path}/{message_id}").json()["text"] == {"body": text}


@pytest.mark.parametrize(
    ("to", "e164"),
    [
        ("5511977770001", "+5511977770001"),
        ("+55 (11) 97777-0001", "+5511977770001"),
        ("5511977770001@s.whatsapp.net", "+5511977770001"),
        ("123456789012345@lid", None),
    ],
)
def test_addresses_are_understood_in_all_their_forms(aurora: Caller, to: str, e164: str | None) -> None:
    """The answer repeats the input and says how it was read."""
    answer = aurora.post(f"channels/{aurora.channel()}/messages", {**_BODY, "to": to})
    assert answer.json()["to"] == {"input": to, "e164": e164}


@pytest.mark.parametrize("state", [ChannelState.LOGGED_OUT, ChannelState.BANNED, ChannelState.REJECTED])
def test_a_channel_that_is_over_refuses_messages(aurora: Caller, state: ChannelState) -> None:
    """409: somebody has to link the number again first."""
    channel_id = aurora.channel()
    report(aurora, channel_id, state)
    assert_problem(aurora.post(f"channels/{channel_id}/messages", dict(_BODY)), 409, "channel_state")


@pytest.mark.parametrize("state", [ChannelState.DISCONNECTED, ChannelState.REPLACED, ChannelState.CONNECTING])
def test_a_channel_that_is_only_away_queues(aurora: Caller, state: ChannelState) -> None:
    """202: it will be sent when the channel is back."""
    channel_id = aurora.channel()
    link(aurora, channel_id, _PHONE)
    report(aurora, channel_id, state)
    assert aurora.post(f"channels/{channel_id}/messages", dict(_BODY)).status_code == 202


def test_a_message_is_accepted_although_the_bell_cannot_be_rung(
    aurora: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stored; the runner looks every minute anyway."""
    channel_id = aurora.channel()

    def unavailable(*_: object) -> None:
        raise ServiceUnavailableError

    monkeypatch.setattr(shards, "send_command", unavailable)
    assert aurora.post(f"channels/{channel_id}/messages", dict(_BODY)).status_code == 202
    assert len(messages.outbox_rows(aurora.clinic_id, channel_id, 10)) == 1


def test_a_received_message_is_shown_as_the_tour_shows_it(aurora: Caller) -> None:
    """The last inbound message of the clinic."""
    channel_id = aurora.channel()
    aurora.post(f"channels/{channel_id}/messages", dict(_BODY))
    message_id = receive(aurora, channel_id, "Confirmo")
    page = aurora.get("messages?direction=inbound&limit=1").json()
    assert page["next_cursor"] is None
    (message,) = page["data"]
    assert (message["message_id"], message["direction"], message["type"]) == (message_id, "inbound", "text")
    assert message["from"]["e164"] == "+5511977770001"
    assert message["text"] == {"body": "Confirmo"}
    assert aurora.get(f"channels/{channel_id}/messages/{message_id}").json() == message


def test_messages_are_filtered_and_paged(aurora: Caller) -> None:
    """By channel, direction, contact and time; each page goes on where the last ended."""
    one, two = aurora.channel("one"), aurora.channel("two")
    sent = [aurora.post(f"channels/{one}/messages", dict(_BODY)).json()["message_id"] for _ in range(3)]
    other = aurora.post(f"channels/{two}/messages", {**_BODY, "to": "+5511977770002"}).json()["message_id"]

    def ids(path: str) -> list[str]:
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = aurora.get(path + (f"&cursor={cursor}" if cursor else "")).json()
            seen += [message["message_id"] for message in page["data"]]
            cursor = page["next_cursor"]
        return seen

    newest_first = [other, *reversed(sent)]
    assert ids("messages?limit=1") == newest_first
    assert ids("messages?limit=2&direction=outbound") == newest_first
    assert ids("messages?limit=2&direction=inbound") == []
    assert ids(f"messages?limit=2&channel_id={one}") == newest_first[1:]
    assert ids(f"channels/{one}/messages?limit=2") == newest_first[1:]
    assert ids("messages?limit=2&contact=%2B5511977770002") == [other]
    assert ids("messages?limit=2&since=2099-01-01T00:00:00Z") == []
    assert ids("messages?limit=2&until=2020-01-01T00:00:00Z") == []
    assert ids("messages?limit=5&since=2020-01-01T00:00:00-03:00") == newest_first


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("direction=sideways", "invalid_request", "direction"),
        ("contact=nobody", "invalid_phone_number", "contact"),
        ("since=yesterday", "invalid_request", "since"),
        ("until=2026-01-01T00:00:00", "invalid_request", "until"),
        ("since=0001-01-01T00:00:00%2B14:00", "invalid_request", "since"),
        ("until=9999-12-31T23:59:59-12:00", "invalid_request", "until"),
        ("since=1969-01-01T00:00:00Z", "invalid_request", "since"),
        ("limit=101", "invalid_request", "limit"),
        ("from=x", "invalid_request", "from"),
    ],
)
def test_bad_filters_are_refused(aurora: Caller, query: str, code: str, field: str) -> None:
    """Moments need a time zone; unknown filters are failures."""
    assert_problem(aurora.get(f"messages?{query}"), 422, code, field)


def test_a_cursor_holds_for_its_filters_only(aurora: Caller) -> None:
    """Changing a filter on the way would mix two lists."""
    channel_id = aurora.channel()
    for _ in range(2):
        aurora.post(f"channels/{channel_id}/messages", dict(_BODY))
    cursor = aurora.get("messages?limit=1").json()["next_cursor"]
    assert aurora.get(f"messages?limit=50&cursor={cursor}").status_code == 200
    for path in ("messages?direction=outbound", f"channels/{channel_id}/messages?limit=1", "channels?limit=1"):
        assert_problem(aurora.get(f"{path}&cursor={cursor}"), 400, "invalid_cursor", "cursor")


def test_a_limited_key_lists_the_messages_of_its_channels_only(aurora: Caller) -> None:
    """In the clinic's list, too."""
    mine, other = aurora.channel("mine"), aurora.channel("other")
    own = aurora.post(f"channels/{mine}/messages", dict(_BODY)).json()["message_id"]
    foreign = aurora.post(f"channels/{other}/messages", dict(_BODY)).json()["message_id"]
    limited = aurora.limited(channels={mine})
    assert [message["message_id"] for message in limited.get("messages").json()["data"]] == [own]
    assert_problem(limited.get(f"channels/{mine}/messages/{foreign}"), 404, "message_not_found")


def test_a_missing_message_is_404(aurora: Caller) -> None:
    """Well-formed or not."""
    channel_id = aurora.channel()
    for message_id in ("msg_01kb1v00000000000000000000", "nonsense", "chn_01kb1v00000000000000000000"):
        assert_problem(aurora.get(f"channels/{channel_id}/messages/{message_id}"), 404, "message_not_found")
        assert_problem(aurora.post(f"channels/{channel_id}/messages/{message_id}/read"), 404, "message_not_found")


def test_marking_as_read_tells_the_runner(aurora: Caller, aws: EmulatedAws) -> None:
    """With everything WhatsApp needs for a receipt."""
    channel_id = aurora.channel()
    link(aurora, channel_id, _PHONE)
    message_id = receive(aurora, channel_id, "Confirmo", whatsapp_id="3EB0BB")
    _commands(aws)
    answer = aurora.post(f"channels/{channel_id}/messages/{message_id}/read")
    assert (answer.status_code, answer.json()) == (202, {"status": "requested"})
    ((kind, data),) = _commands(aws)
    assert kind == "messages.mark_read"
    assert data["items"][0]["whatsapp_id"] == "3EB0BB"
    assert data["items"][0]["chat"]["e164"] == "+5511977770001"


def test_only_received_messages_can_be_marked_as_read(aurora: Caller) -> None:
    """What the clinic wrote itself has no sender to tell."""
    channel_id = aurora.channel()
    link(aurora, channel_id, _PHONE)
    message_id = aurora.post(f"channels/{channel_id}/messages", dict(_BODY)).json()["message_id"]
    assert_problem(aurora.post(f"channels/{channel_id}/messages/{message_id}/read"), 422, "invalid_request")


def test_typing_tells_the_runner(aurora: Caller, aws: EmulatedAws) -> None:
    """Whom, and whether it begins or ends."""
    channel_id = aurora.channel()
    link(aurora, channel_id, _PHONE)
    _commands(aws)
    answer = aurora.post(f"channels/{channel_id}/typing", {"to": "+5511977770001", "state": "paused"})
    assert answer.status_code == 202
    assert _commands(aws) == [("chats.typing", {"to": {"e164": "+5511977770001", "lid": None}, "state": "paused"})]


def test_what_needs_a_connection_is_409_without_one(aurora: Caller) -> None:
    """Nobody would carry it out in time."""
    channel_id = aurora.channel()
    message_id = receive(aurora, channel_id, "Confirmo")
    typing = aurora.post(f"channels/{channel_id}/typing", {"to": "+5511977770001"})
    assert_problem(typing, 409, "channel_not_connected")
    read = aurora.post(f"channels/{channel_id}/messages/{message_id}/read")
    assert_problem(read, 409, "channel_not_connected")


def test_sending_and_reading_are_separate_rights(aurora: Caller) -> None:
    """Each scope opens its own routes."""
    channel_id = aurora.channel()
    sender, reader = aurora.limited(Scope.MESSAGES_SEND), aurora.limited(Scope.MESSAGES_READ)
    path = f"channels/{channel_id}/messages"
    message_id = sender.post(path, dict(_BODY)).json()["message_id"]
    assert reader.get(f"{path}/{message_id}").status_code == 200
    for answer in (
        sender.get(path),
        sender.get("messages"),
        sender.get(f"{path}/{message_id}"),
        reader.post(path, dict(_BODY)),
        reader.post(f"{path}/{message_id}/read"),
        reader.post(f"channels/{channel_id}/typing", {"to": "+5511977770001"}),
        reader.post(f"channels/{channel_id}/contacts/check", {"numbers": ["+5511977770001"]}),
    ):
        assert_problem(answer, 403, "insufficient_scope")
