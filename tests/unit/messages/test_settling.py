"""Uncertain messages: one decision holds, evidence wins over it while it can, and all of it stays visible."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recado.kernel.errors import IdempotencyConflictError, MessageNotFoundError, MessageStateError
from recado.messages import service
from recado.messages.model import AlreadySettled, Decision, Message, SendSuperseded
from recado.messages.policy import MOST_RESENDS, SendPolicy, Uncertain
from recado.messages.status import MessageStatus
from tests.unit.messages.conftest import EPOCH, START, Desk

S = MessageStatus


def uncertain(desk: Desk) -> Message:
    begun = desk.begun()
    return service.record_uncertain(begun, EPOCH, "owner_lost", clock=desk.clock)


def decide(desk: Desk, message: Message, decision: Decision, key: str | None = None) -> tuple[str, str, bool]:
    done = service.decide(desk.clinic_id, desk.channel_id, message.message_id, decision, key, clock=desk.clock)
    return done.status.value, done.code, done.replayed


def evidence(desk: Desk, message: Message, whatsapp_id: str = "3EB0LATE") -> None:
    names = (desk.clinic_id, desk.channel_id, message.message_id)
    service.confirm_result(*names, S.SENT, whatsapp_id=whatsapp_id, code=None, at=desk.clock.now())


def test_a_resend_is_the_same_message_with_a_row_of_its_own_and_a_visible_line(desk: Desk) -> None:
    message = uncertain(desk)
    service.settle(desk.rows()[0])
    later = desk.accept().message
    assert decide(desk, message, Decision.RESEND) == ("queued", "resent", False)
    stored = desk.get(message)
    assert [(line.status, line.code) for line in stored.history] == [
        (S.QUEUED, None),
        (S.UNCERTAIN, "owner_lost"),
        (S.QUEUED, "resent"),
    ]
    assert stored.resends == 1
    assert [row.message_id for row in desk.rows()] == [later.message_id, message.message_id]
    again = service.begin_send(desk.rows()[1], EPOCH)
    sent = service.record_sent(again, EPOCH, "3EB0B2", START, clock=desk.clock)
    assert (sent.status, sent.resends, sent.code) == (S.SENT, 1, None)
    assert sent.resends_before(sent.history[1]) == 0
    assert sent.resends_before(sent.history[-1]) == 1


def test_a_discarded_message_has_failed_and_its_row_makes_the_runner_tell(desk: Desk) -> None:
    message = uncertain(desk)
    service.settle(desk.rows()[0])
    assert decide(desk, message, Decision.DISCARD) == ("failed", "discarded", False)
    (row,) = desk.rows()
    assert row.is_expired(desk.clock.now())
    with pytest.raises(AlreadySettled) as settled:
        service.record_expired(row, clock=desk.clock)
    assert (settled.value.message.status, settled.value.message.code) == (S.FAILED, "discarded")


@pytest.mark.parametrize("first", list(Decision))
@pytest.mark.parametrize("second", list(Decision))
def test_of_two_decisions_one_holds(desk: Desk, first: Decision, second: Decision) -> None:
    message = uncertain(desk)
    decide(desk, message, first)
    with pytest.raises(MessageStateError):
        decide(desk, message, second)


def test_of_many_decisions_at_once_one_holds(desk: Desk) -> None:
    message = uncertain(desk)
    service.settle(desk.rows()[0])

    def won(decision: Decision) -> bool:
        try:
            decide(desk, message, decision)
        except MessageStateError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        wins = list(threads.map(won, [*Decision] * 4))
    assert wins.count(True) == 1
    assert len(desk.rows()) == 1
    assert len(desk.get(message).history) == 3


def test_a_key_gives_the_same_answer_again_and_refuses_the_other_decision(desk: Desk) -> None:
    message = uncertain(desk)
    first = decide(desk, message, Decision.RESEND, "k")
    service.begin_send(desk.rows()[-1], EPOCH + 1)
    assert decide(desk, message, Decision.RESEND, "k") == (*first[:2], True)
    with pytest.raises(IdempotencyConflictError):
        decide(desk, message, Decision.DISCARD, "k")
    assert len(desk.rows()) == 2  # The row it was begun with, and the one it was put back with.


def test_only_an_uncertain_message_is_settled(desk: Desk) -> None:
    queued = desk.accept().message
    inbound, _ = service.record_inbound(desk.observed())
    for message in (queued, desk.begun(), desk.sent(), inbound):
        with pytest.raises(MessageStateError):
            decide(desk, message, Decision.RESEND)


def test_another_clinics_message_is_not_found(desk: Desk, neighbour: Desk) -> None:
    theirs = uncertain(neighbour)
    with pytest.raises(MessageNotFoundError):
        decide(desk, theirs, Decision.RESEND)
    assert neighbour.get(theirs).status is S.UNCERTAIN


def test_evidence_before_the_second_try_stops_it(desk: Desk) -> None:
    message = uncertain(desk)
    decide(desk, message, Decision.RESEND)
    evidence(desk, message)
    assert desk.get(message).status is S.SENT
    with pytest.raises(AlreadySettled):
        service.begin_send(desk.rows()[-1], EPOCH)


def test_evidence_cannot_make_a_message_sent_that_was_never_begun(desk: Desk) -> None:
    queued = desk.accept().message
    evidence(desk, queued)
    assert desk.get(queued).status is S.QUEUED


def test_what_was_discarded_stays_ended_whatever_evidence_comes(desk: Desk) -> None:
    message = uncertain(desk)
    decide(desk, message, Decision.DISCARD)
    evidence(desk, message)
    assert desk.get(message).status is S.FAILED


def test_each_time_it_was_uncertain_is_told_by_itself(desk: Desk) -> None:
    """An entry about the first time finds the first line, also once there is a second."""
    message = uncertain(desk)
    first = desk.get(message).history[-1]
    desk.clock.advance(5)
    decide(desk, message, Decision.RESEND)
    begun = service.begin_send(desk.rows()[-1], EPOCH + 1)
    second = service.record_uncertain(begun, EPOCH + 1, "send_timeout", clock=desk.clock).history[-1]
    for line in (first, second):
        names = (desk.clinic_id, desk.channel_id, message.message_id)
        told = service.confirm_result(*names, S.UNCERTAIN, whatsapp_id=None, code=line.code, at=line.at)
        assert told[1] == line


def test_the_runner_puts_a_message_back_where_it_stood(desk: Desk) -> None:
    message = uncertain(desk)
    rows = desk.rows()
    back = service.resend_in_place(message, clock=desk.clock)
    assert (back.status, back.code, back.resends, back.sequence) == (S.QUEUED, "resent", 1, message.sequence)
    assert desk.rows() == rows
    assert service.resend_in_place(message, clock=desk.clock) == back
    desk.clock.advance(1)
    with pytest.raises(SendSuperseded):
        service.resend_in_place(message, clock=desk.clock)


def test_the_policy_sends_again_only_if_asked_to_and_so_often(desk: Desk) -> None:
    assert not any(SendPolicy().sends_again(times) for times in range(5))
    willing = SendPolicy(Uncertain.RESEND)
    assert [willing.sends_again(times) for times in range(MOST_RESENDS + 1)] == [True] * MOST_RESENDS + [False]


def test_a_policy_is_each_clinics_own(aurora: str, brisa: str, desk: Desk) -> None:
    assert service.send_policy(aurora) == SendPolicy()
    changed = service.change_send_policy(aurora, uncertain=Uncertain.RESEND, clock=desk.clock)
    assert service.send_policy(aurora) == changed == SendPolicy(Uncertain.RESEND, desk.clock.now())
    assert service.send_policy(brisa) == SendPolicy()


def _tried(act: Callable[[], object]) -> bool:
    try:
        act()
    except (MessageStateError, SendSuperseded, AlreadySettled):
        return False
    return True


@settings(max_examples=15, deadline=timedelta(seconds=20), suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(["resend", "discard", "policy", "evidence", "send", "lose"]), min_size=1, max_size=7))
def test_whatever_order_deciders_and_evidence_come_in_one_story_is_told(desk: Desk, acts: list[str]) -> None:
    """Decisions, the runner's own resend, late evidence and second tries in any order keep ladder, rows and history."""
    message = uncertain(desk)
    known, begun, sent_out = message, None, 0
    for act in acts:
        desk.clock.advance(1)
        before = desk.get(message)
        if act in {"resend", "discard"}:
            won = _tried(lambda: decide(desk, message, Decision(act)))  # noqa: B023 - called at once
            assert won == (before.status is S.UNCERTAIN)
        elif act == "policy":
            won = _tried(lambda: service.resend_in_place(known, clock=desk.clock))  # noqa: B023
            assert not won or before.status is S.UNCERTAIN
        elif act == "evidence":
            evidence(desk, message)
            after = desk.get(message).status
            assert (after is S.SENT) == (before.status is not S.FAILED)
        elif act == "send" and before.status is S.QUEUED:
            row = next(row for row in desk.rows() if row.message_id == message.message_id)
            begun = service.begin_send(row, EPOCH)
            sent_out += 1
        elif act == "lose" and before.status is S.SENDING and begun:
            known = service.record_uncertain(begun, EPOCH, "send_timeout", clock=desk.clock)
    now = desk.get(message)
    put_back = [line for line in now.history if line.code == "resent"]
    assert now.resends == len(put_back) >= sent_out  # No second try without a visible line.
    rows = [row for row in desk.rows() if row.message_id == message.message_id]
    assert now.status not in {S.QUEUED, S.SENDING} or rows
    for row in desk.rows():
        service.settle(row)
