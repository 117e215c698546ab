"""The gate that protects a number, over DynamoDB."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recado.contacts.model import Contact, KnownBy
from recado.kernel.errors import ServiceUnavailableError
from recado.messages.gate import Approach, Verdict
from recado.messages.limits import LOCKED_FOR, UNLIMITED, SendLimits, next_day
from recado.messages.model import Message
from recado.messages.service import ReachGate
from tests.support.aws import EmulatedAws
from tests.unit.messages.conftest import START, Desk

THREE = SendLimits(cold_per_day=((0, 3),))
STRANGER = Contact()


def approach(chat: str, contact: Contact = STRANGER, *, answers: bool = False) -> Approach:
    return Approach(chat, answers, START, lambda: contact)


def never_read() -> Contact:
    raise AssertionError("nobody asked for this read")


@pytest.fixture
def message(desk: Desk) -> Message:
    return desk.accept().message


def test_a_stranger_too_many_waits_for_tomorrow(desk: Desk, message: Message) -> None:
    gate = ReachGate(THREE, desk.clock)
    assert [gate.may_send(message, approach(chat)).allowed for chat in "abc"] == [True] * 3
    held = gate.may_send(message, approach("d"))
    assert held == Verdict(allowed=False, reason="cold_budget", not_before=next_day(desk.clock.now()))
    desk.clock.advance((next_day(desk.clock.now()) - desk.clock.now()).total_seconds())
    assert gate.may_send(message, approach("d")).allowed


def test_known_contacts_and_answers_cost_nothing_of_the_budget(desk: Desk, message: Message) -> None:
    gate = ReachGate(THREE, desk.clock)
    known = Contact(known_since=START, known_by=KnownBy.PHONE)
    for place in range(20):
        assert gate.may_send(message, approach(f"k{place}", known)).allowed
        assert gate.may_send(message, approach(f"r{place}", answers=True)).allowed
    assert [gate.may_send(message, approach(chat)).allowed for chat in "abcd"] == [True, True, True, False]


@settings(max_examples=15, deadline=timedelta(seconds=20), suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from("abcdefg"), st.booleans()), max_size=25))
def test_however_often_tasks_are_lost_each_stranger_counts_once_and_no_more_than_the_budget(
    desk: Desk, tries: list[tuple[str, bool]]
) -> None:
    """The count is in the table: a new task goes on where the last one was, and repeating a try changes nothing."""
    desk.clock.advance(24 * 3600)
    mine, gate = desk.accept().message, ReachGate(THREE, desk.clock)
    allowed = set[str]()
    for chat, task_lost in tries:
        if task_lost:
            gate = ReachGate(THREE, desk.clock)
        if gate.may_send(mine, approach(chat)).allowed:
            allowed.add(chat)
        else:
            assert chat not in allowed
    assert allowed == set(list(dict.fromkeys(chat for chat, _ in tries))[:3])


def test_another_channels_and_clinics_strangers_are_their_own(desk: Desk, neighbour: Desk, message: Message) -> None:
    gate = ReachGate(THREE, desk.clock)
    for chat in "abcd":
        gate.may_send(message, approach(chat))
    theirs = neighbour.accept().message
    assert gate.may_send(theirs, approach("d")).allowed
    gate.after_refusal(message, "463")
    assert gate.may_send(theirs, approach("e")).allowed


def test_error_463_holds_strangers_for_a_day_and_answers_nobody_less(desk: Desk, message: Message) -> None:
    gate = ReachGate(UNLIMITED, desk.clock)
    until = desk.clock.now() + LOCKED_FOR
    held = Verdict(allowed=False, reason="reachout_locked", not_before=until)
    assert gate.after_refusal(message, "463") == held
    for again in (gate, ReachGate(UNLIMITED, desk.clock)):
        assert again.may_send(message, approach("a")) == held
        assert again.may_send(message, approach("b", Contact(known_since=START))).allowed
        assert again.may_send(message, approach("c", answers=True)).allowed
    desk.clock.advance(LOCKED_FOR.total_seconds())
    for again in (gate, ReachGate(UNLIMITED, desk.clock)):
        assert again.may_send(message, approach("a")).allowed


def test_other_refusals_are_failures(desk: Desk, message: Message) -> None:
    gate = ReachGate(THREE, desk.clock)
    assert gate.after_refusal(message, "479") is None
    assert gate.may_send(message, approach("a")).allowed


def test_the_message_that_met_the_lock_waits_even_for_somebody_known_until_they_write(
    desk: Desk, message: Message
) -> None:
    """It would only be refused again; a sign of its recipient since then changes that."""
    gate = ReachGate(UNLIMITED, desk.clock)
    old = Contact(known_since=START - timedelta(days=9), wrote_at=START - timedelta(hours=3))
    verdict = gate.after_refusal(message, "463")
    assert verdict is not None
    locked = replace(message, held_reason=verdict.reason, not_before=verdict.not_before)
    assert gate.may_send(locked, approach("a", old, answers=True)) == verdict
    assert gate.may_send(locked, approach("a", replace(old, wrote_at=desk.clock.now()))).allowed


def test_without_limits_and_lock_a_message_costs_no_read_and_no_write(
    desk: Desk, message: Message, aws: EmulatedAws
) -> None:
    """One read for a channel in the life of a process, that of the lock."""
    gate = ReachGate(UNLIMITED, desk.clock)
    before = {table: len(aws.items(table)) for table in ("runtime", "messages")}
    for _ in range(3):
        assert gate.may_send(message, Approach("a", False, None, never_read)).allowed
    assert {table: len(aws.items(table)) for table in before} == before


def test_a_store_that_does_not_answer_lets_nobody_cold_through(
    desk: Desk, message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = ReachGate(THREE, desk.clock)

    def silent(*_: object, **__: object) -> None:
        raise ServiceUnavailableError

    monkeypatch.setattr("recado.messages.table.ColdCountItem.change", silent)
    with pytest.raises(ServiceUnavailableError):
        gate.may_send(message, approach("a"))
