"""Looking numbers up over HTTP."""

from datetime import UTC, datetime
from typing import Any

import pytest

from recado.channels import service as channels
from recado.contacts import service as contacts
from recado.contacts.model import Resolution
from tests.functions.api.support import Caller, CountingTime, assert_problem, link
from tests.support.aws import SHARDS, EmulatedAws

_KNOWN, _NEW = "+5511977770001", "+5511977770002"


@pytest.fixture
def channel_id(aurora: Caller) -> str:
    """A connected channel."""
    made = aurora.channel()
    link(aurora, made, "+5511988880001")
    return made


def _remember(clinic: Caller, e164: str, *, on_whatsapp: bool = True) -> None:
    registered = e164 if on_whatsapp else None
    answer = Resolution(e164, registered, None, "1@lid" if on_whatsapp else None, on_whatsapp, datetime.now(UTC))
    contacts.remember(clinic.clinic_id, answer)


def _answer(clinic: Caller, channel_id: str, aws: EmulatedAws, results: list[dict[str, Any]]) -> None:
    """Do what the runner does with the command."""
    commands = [command for shard in SHARDS for command in aws.commands(shard) if command.kind == "contacts.check"]
    for command in commands:
        channels.put_check_result(clinic.clinic_id, channel_id, command.data["request_id"], results)


def test_known_numbers_are_answered_at_once_without_a_connection(aurora: Caller, time: CountingTime) -> None:
    """WhatsApp is not asked what it has said before."""
    _remember(aurora, _KNOWN)
    answer = aurora.post(f"channels/{aurora.channel()}/contacts/check", {"numbers": ["(11) 97777-0001"]})
    assert answer.status_code == 200
    (result,) = answer.json()["results"]
    assert result.pop("checked_at").endswith("Z")
    assert result == {
        "input": "(11) 97777-0001",
        "e164": _KNOWN,
        "on_whatsapp": True,
        "registered_e164": _KNOWN,
        "lid": "1@lid",
    }
    assert time.slept == 0


def test_the_others_are_asked_of_the_runner(
    aurora: Caller, channel_id: str, aws: EmulatedAws, time: CountingTime
) -> None:
    """One command for all of them; results come in the order asked, doubles included."""
    _remember(aurora, _KNOWN, on_whatsapp=False)
    result = {"e164": _NEW, "on_whatsapp": True, "registered_e164": "+551177770002", "lid": None}
    time.after(2, lambda: _answer(aurora, channel_id, aws, [result]))
    numbers = [_NEW, _KNOWN, "11 97777-0002"]
    answer = aurora.post(f"channels/{channel_id}/contacts/check", {"numbers": numbers})
    assert answer.status_code == 200
    shown = [(one["input"], one["on_whatsapp"], one["registered_e164"]) for one in answer.json()["results"]]
    assert shown == [
        (_NEW, True, "+551177770002"),
        (_KNOWN, False, None),
        ("11 97777-0002", True, "+551177770002"),
    ]
    assert time.slept < 4


def test_unknown_numbers_need_a_connection(aurora: Caller) -> None:
    """Nobody could ask WhatsApp."""
    answer = aurora.post(f"channels/{aurora.channel()}/contacts/check", {"numbers": [_NEW]})
    assert_problem(answer, 409, "channel_not_connected")


def test_no_answer_in_time_is_504(aurora: Caller, channel_id: str, time: CountingTime) -> None:
    """After 20 seconds."""
    answer = aurora.post(f"channels/{channel_id}/contacts/check", {"numbers": [_NEW]})
    assert_problem(answer, 504, "check_timed_out")
    assert time.slept == 20


def test_half_an_answer_is_504(aurora: Caller, channel_id: str, aws: EmulatedAws, time: CountingTime) -> None:
    """A number that the runner said nothing about is not made up."""
    result = {"e164": _NEW, "on_whatsapp": True, "registered_e164": _NEW, "lid": None}
    time.after(1, lambda: _answer(aurora, channel_id, aws, [result]))
    answer = aurora.post(f"channels/{channel_id}/contacts/check", {"numbers": [_NEW, _KNOWN]})
    assert_problem(answer, 504, "check_timed_out")


def test_what_one_clinic_knows_is_not_told_another(aurora: Caller, brisa: Caller) -> None:
    """Whom a clinic writes to is its own affair."""
    _remember(aurora, _KNOWN)
    answer = brisa.post(f"channels/{brisa.channel()}/contacts/check", {"numbers": [_KNOWN]})
    assert_problem(answer, 409, "channel_not_connected")


@pytest.mark.parametrize(
    ("numbers", "code", "field"),
    [
        ([], "invalid_request", "numbers"),
        ([_KNOWN] * 51, "invalid_request", "numbers"),
        ("+5511977770001", "invalid_request", "numbers"),
        ([_KNOWN, ""], "invalid_request", "numbers.1"),
        ([_KNOWN, "nobody"], "invalid_phone_number", "numbers.1"),
        (["1@lid"], "invalid_phone_number", "numbers.0"),
        (["123456789@lid"], "invalid_phone_number", "numbers.0"),
    ],
)
def test_bad_numbers_are_refused_by_their_place(aurora: Caller, numbers: object, code: str, field: str) -> None:
    """1 to 50 numbers, each readable."""
    answer = aurora.post(f"channels/{aurora.channel()}/contacts/check", {"numbers": numbers})
    assert_problem(answer, 422, code, field)
