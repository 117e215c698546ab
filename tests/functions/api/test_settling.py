"""Uncertain messages and the send policy over HTTP."""

from typing import Any

import pytest

from recado.clinics.model import Scope
from recado.messages import service as messages
from recado.messages.policy import Uncertain
from tests.functions.api.support import Caller, assert_problem
from tests.support.aws import SHARDS, EmulatedAws

_BODY = {"to": "+5511977770001", "type": "text", "text": {"body": "Olá"}}


def _uncertain(caller: Caller, channel_id: str) -> str:
    message_id: str = caller.post(f"channels/{channel_id}/messages", _BODY).json()["message_id"]
    row = next(r for r in messages.outbox_rows(caller.clinic_id, channel_id, 10) if r.message_id == message_id)
    messages.record_uncertain(messages.begin_send(row, 1), 2, "owner_lost")
    messages.settle(row)
    return message_id


def _settle(caller: Caller, channel_id: str, message_id: str, decision: str, **headers: str) -> Any:
    path = f"channels/{channel_id}/messages/{message_id}/settle"
    return caller.post(path, {"decision": decision}, headers=headers)


@pytest.mark.parametrize(
    ("decision", "status", "code"), [("resend", "queued", "resent"), ("discard", "failed", "discarded")]
)
def test_an_uncertain_message_is_settled_and_the_runner_told(
    aurora: Caller, aws: EmulatedAws, decision: str, status: str, code: str
) -> None:
    channel_id = aurora.channel()
    message_id = _uncertain(aurora, channel_id)
    [aws.commands(shard) for shard in SHARDS]
    answer = _settle(aurora, channel_id, message_id, decision)
    assert (answer.status_code, answer.json()) == (200, {"message_id": message_id, "status": status, "code": code})
    assert [command.kind for shard in SHARDS for command in aws.commands(shard)] == ["outbox.ring"]
    message = aurora.get(f"channels/{channel_id}/messages/{message_id}").json()
    assert [(line["status"], line["code"]) for line in message["history"]] == [
        ("queued", None),
        ("uncertain", "owner_lost"),
        (status, code),
    ]
    assert (message["status"], message["code"], message["resends"]) == (status, code, int(decision == "resend"))


def test_a_second_decision_is_409_and_a_repeated_one_with_its_key_is_not(aurora: Caller) -> None:
    channel_id = aurora.channel()
    message_id = _uncertain(aurora, channel_id)
    key = {"Idempotency-Key": "k"}
    first = _settle(aurora, channel_id, message_id, "resend", **key)
    again = _settle(aurora, channel_id, message_id, "resend", **key)
    assert (again.status_code, again.json(), again.headers["idempotency-replayed"]) == (200, first.json(), "true")
    assert_problem(_settle(aurora, channel_id, message_id, "discard", **key), 409, "idempotency_conflict")
    assert_problem(_settle(aurora, channel_id, message_id, "discard"), 409, "message_state")


def test_a_foreign_message_and_an_unknown_decision_are_refused(aurora: Caller, brisa: Caller) -> None:
    theirs, own = brisa.channel(), aurora.channel()
    message_id = _uncertain(brisa, theirs)
    assert_problem(_settle(aurora, own, message_id, "resend"), 404, "message_not_found")
    assert_problem(_settle(aurora, theirs, message_id, "resend"), 404, "channel_not_found")
    assert_problem(_settle(brisa, theirs, message_id, "forget"), 422, "invalid_request", "decision")
    assert brisa.get(f"channels/{theirs}/messages/{message_id}").json()["status"] == "uncertain"


def test_settling_takes_the_right_to_send_and_the_policy_that_to_administer(aurora: Caller) -> None:
    channel_id = aurora.channel()
    message_id = _uncertain(aurora, channel_id)
    reader = aurora.limited(Scope.MESSAGES_READ)
    assert_problem(_settle(reader, channel_id, message_id, "resend"), 403, "insufficient_scope")
    sender = aurora.limited(Scope.MESSAGES_SEND)
    assert_problem(sender.patch("send-policy", {"uncertain": "resend"}), 403, "insufficient_scope")
    assert _settle(sender, channel_id, message_id, "resend").status_code == 200


def test_the_send_policy_has_a_default_is_changed_and_stays_the_clinics_own(aurora: Caller, brisa: Caller) -> None:
    assert aurora.get("send-policy").json() == {"uncertain": "hold", "updated_at": None}
    changed = aurora.patch("send-policy", {"uncertain": "resend"})
    assert (changed.status_code, changed.json()["uncertain"]) == (200, "resend")
    assert aurora.patch("send-policy", {}).json() == aurora.get("send-policy").json() == changed.json()
    assert messages.send_policy(aurora.clinic_id).uncertain is Uncertain.RESEND
    assert brisa.get("send-policy").json()["uncertain"] == "hold"
    assert_problem(aurora.patch("send-policy", {"uncertain": "maybe"}), 422, "invalid_request", "uncertain")


def test_the_policy_of_a_clinic_that_does_not_exist_is_not_found(platform: Caller) -> None:
    path = "/v1/clinics/cli_01kb1v00000000000000000000/send-policy"
    assert_problem(platform.get(path), 404, "clinic_not_found")
    assert_problem(platform.patch(path, {"uncertain": "resend"}), 404, "clinic_not_found")
