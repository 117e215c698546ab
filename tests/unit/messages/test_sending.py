"""The sender's conditional writes."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recado.kernel.errors import MessageNotFoundError
from recado.messages import service
from recado.messages.model import AlreadySettled, Message, OutboxRow, SendingElsewhere, SendSuperseded
from recado.messages.status import MessageStatus, may_follow
from tests.support.aws import EmulatedAws
from tests.unit.messages.conftest import EPOCH, PATIENT, START, Desk


def test_the_good_way_ends_sent_with_its_pointer_and_without_its_row(desk: Desk, aws: EmulatedAws) -> None:
    """Intent, result and settling leave a sent message with history, its WhatsApp id and an empty outbox."""
    row = _accepted(desk)
    begun = service.begin_send(row, EPOCH)
    assert begun.status is MessageStatus.SENDING
    desk.clock.advance(2)
    sent = service.record_sent(begun, EPOCH, "3EB0A1", START, e164="+551177770001", lid="9@lid", clock=desk.clock)
    service.settle(row)
    stored = desk.get(sent)
    assert stored == sent
    assert (stored.status, stored.whatsapp_id, stored.epoch) == (MessageStatus.SENT, "3EB0A1", EPOCH)
    assert [change.status for change in stored.history] == [MessageStatus.QUEUED, MessageStatus.SENT]
    assert (stored.to.input, stored.to.e164, stored.to.lid) == ("(11) 97777-0001", "+551177770001", "9@lid")
    assert desk.rows() == []
    partition = f"clinic#{desk.clinic_id}#channel#{desk.channel_id}#whatsapp#3EB0A1"
    (pointer,) = [item for item in aws.items("messages") if item["pk"] == partition]
    assert (pointer["sk"], pointer["message_id"]) == ("pointer", sent.message_id)


def test_only_one_of_two_owners_begins_to_send(desk: Desk) -> None:
    """The second owner is told under which epoch the message was begun."""
    row = _accepted(desk)
    service.begin_send(row, 7)
    with pytest.raises(SendingElsewhere) as elsewhere:
        service.begin_send(row, 8)
    assert elsewhere.value.epoch == 7
    with pytest.raises(SendingElsewhere):
        service.begin_send(row, 7)


def test_a_settled_message_is_not_begun_again(desk: Desk) -> None:
    """An owner that finds the row of a sent message learns the message, so that it can journal and settle."""
    row = _accepted(desk)
    service.record_sent(service.begin_send(row, EPOCH), EPOCH, "3EB0A1", START, clock=desk.clock)
    with pytest.raises(AlreadySettled) as settled:
        service.begin_send(row, EPOCH + 1)
    assert settled.value.message.whatsapp_id == "3EB0A1"


def test_a_new_owner_makes_an_old_attempt_uncertain_and_the_old_owner_can_write_nothing(desk: Desk) -> None:
    """After a take-over the older epoch's results are refused, the newer one's attempt is not touched by the old."""
    begun = desk.begun(epoch=7)
    uncertain = service.record_uncertain(begun, 8, "owner_lost", clock=desk.clock)
    assert (uncertain.status, uncertain.code) == (MessageStatus.UNCERTAIN, "owner_lost")
    for write in (
        lambda: service.record_sent(begun, 7, "3EB0A1", START, clock=desk.clock),
        lambda: service.record_failed(begun, 7, "463", clock=desk.clock),
        lambda: service.requeue(begun, 7),
    ):
        with pytest.raises(SendSuperseded) as superseded:
            write()
        assert superseded.value.message.status is MessageStatus.UNCERTAIN
    newer = desk.begun(epoch=9)
    with pytest.raises(SendSuperseded):
        service.record_uncertain(newer, 8, clock=desk.clock)


def test_the_other_epoch_cannot_write_a_result(desk: Desk) -> None:
    """A fenced owner's epoch, older or newer than the attempt's, is refused."""
    begun = desk.begun(epoch=7)
    for epoch in (6, 8):
        with pytest.raises(SendSuperseded):
            service.record_sent(begun, epoch, "3EB0A1", START, clock=desk.clock)
        with pytest.raises(SendSuperseded):
            service.record_failed(begun, epoch, "463", clock=desk.clock)
    assert desk.get(begun).status is MessageStatus.SENDING


def test_writing_the_same_result_twice_is_one_result(desk: Desk) -> None:
    """A sender that repeats itself after a lost answer finds its own result."""
    begun = desk.begun()
    first = service.record_sent(begun, EPOCH, "3EB0A1", START, clock=desk.clock)
    again = service.record_sent(begun, EPOCH, "3EB0A1", START, clock=desk.clock)
    assert again == first
    with pytest.raises(SendSuperseded):
        service.record_sent(begun, EPOCH, "3EB0ZZ", START, clock=desk.clock)
    failing = desk.begun()
    failed = service.record_failed(failing, EPOCH, "463", clock=desk.clock)
    assert service.record_failed(failing, EPOCH, "463", clock=desk.clock) == failed


def test_what_provably_never_went_out_is_queued_again(desk: Desk) -> None:
    """A requeued message keeps its row and its place, and can be begun by any owner."""
    row = _accepted(desk)
    begun = service.begin_send(row, 7)
    service.requeue(begun, 7)
    service.requeue(begun, 7)
    assert desk.rows() == [row]
    assert service.begin_send(row, 8).epoch == 8


def test_a_message_that_outlived_its_time_ends_expired_unless_it_was_begun(desk: Desk) -> None:
    """Expiry takes only what is queued: nobody knows whether a begun one went out."""
    row = _accepted(desk, ttl_seconds=1)
    assert service.record_expired(row, clock=desk.clock).status is MessageStatus.EXPIRED
    with pytest.raises(AlreadySettled):
        service.record_expired(row, clock=desk.clock)
    begun = _accepted(desk, ttl_seconds=1)
    service.begin_send(begun, 7)
    with pytest.raises(SendingElsewhere):
        service.record_expired(begun, clock=desk.clock)


def test_a_message_a_gate_refuses_ends_suppressed_with_the_reason(desk: Desk) -> None:
    """Suppression is visible with its code."""
    suppressed = service.record_suppressed(_accepted(desk), "opted_out", clock=desk.clock)
    assert (suppressed.status, suppressed.code) == (MessageStatus.SUPPRESSED, "opted_out")
    assert suppressed.history[-1].code == "opted_out"


def test_a_held_message_says_why_until_it_is_begun(desk: Desk) -> None:
    """The hold is on the message and not in its history; beginning to send it takes the hold away."""
    row, until = _accepted(desk), START + timedelta(hours=24)
    service.hold(row, "reachout_locked", until)
    held = desk.get_row(row)
    assert (held.status, held.held_reason, held.not_before) == (MessageStatus.QUEUED, "reachout_locked", until)
    assert len(held.history) == 1
    begun = service.begin_send(row, EPOCH)
    assert (begun.held_reason, begun.not_before) == (None, None)
    service.requeue(begun, EPOCH, held_reason="reachout_locked", not_before=until)
    again = desk.get_row(row)
    assert (again.status, again.held_reason, again.not_before) == (MessageStatus.QUEUED, "reachout_locked", until)


def test_a_held_message_still_expires_and_what_has_ended_is_held_no_more(desk: Desk) -> None:
    """The end of its time is stronger than the hold."""
    row = _accepted(desk, ttl_seconds=1)
    service.hold(row, "cold_budget", START)
    expired = service.record_expired(row, clock=desk.clock)
    assert (expired.status, expired.held_reason, expired.not_before) == (MessageStatus.EXPIRED, None, None)
    with pytest.raises(AlreadySettled):
        service.hold(row, "cold_budget", START)


def test_what_somebody_is_sending_is_not_held(desk: Desk) -> None:
    """A hold is for queued messages only."""
    row = _accepted(desk)
    service.begin_send(row, EPOCH)
    with pytest.raises(SendingElsewhere):
        service.hold(row, "cold_budget", START)


def test_the_row_of_an_erased_message_can_be_told(desk: Desk, aws: EmulatedAws) -> None:
    """A row without its message is neither sent nor tried for ever."""
    row = OutboxRow(desk.clinic_id, desk.channel_id, 1, "msg_01jd0000000000000000000000", "x", START)
    with pytest.raises(MessageNotFoundError):
        service.begin_send(row, 7)
    with pytest.raises(MessageNotFoundError):
        service.record_expired(row, clock=desk.clock)


def test_another_clinics_row_is_out_of_reach(desk: Desk, neighbour: Desk) -> None:
    """A row that names another clinic's message under one's own clinic finds nothing."""
    theirs = _accepted(neighbour)
    forged = OutboxRow(desk.clinic_id, desk.channel_id, 1, theirs.message_id, theirs.chat, START)
    with pytest.raises(MessageNotFoundError):
        service.begin_send(forged, 7)
    service.settle(forged)
    assert neighbour.rows() == [theirs]


_STEPS = ("begin", "sent", "failed", "uncertain", "requeue", "expired", "delivered", "read")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(_STEPS), st.integers(1, 3)), max_size=12))
def test_no_order_of_writes_by_any_owner_leaves_the_ladder(desk: Desk, steps: list[tuple[str, int]]) -> None:
    """Three owners writing in any order move a message only along the ladder, and send it at most once per intent."""
    row = _accepted(desk)
    message = desk.get_row(row)
    for step, epoch in steps:
        before = desk.get_row(row)
        _take(desk, step, row, message, epoch)
        after = desk.get_row(row)
        assert after.status is before.status or may_follow(before.status, after.status)
        assert after.history[: len(before.history)] == before.history
        if after.status is MessageStatus.SENT is not before.status:
            assert before.status is MessageStatus.SENDING
            assert before.epoch == epoch


def _take(desk: Desk, step: str, row: OutboxRow, message: Message, epoch: int) -> None:
    whatsapp_id = f"3EB0{row.sequence}"
    try:
        match step:
            case "begin":
                service.begin_send(row, epoch)
            case "sent":
                service.record_sent(message, epoch, whatsapp_id, START, clock=desk.clock)
            case "failed":
                service.record_failed(message, epoch, "x", clock=desk.clock)
            case "uncertain":
                service.record_uncertain(message, epoch, clock=desk.clock)
            case "requeue":
                service.requeue(message, epoch)
            case "expired":
                service.record_expired(row, clock=desk.clock)
            case receipt:
                service.apply_receipt(
                    desk.clinic_id,
                    desk.channel_id,
                    whatsapp_id,
                    service.Receipt(receipt),
                    START,
                    chat=PATIENT,
                    sequence=1,
                    clock=desk.clock,
                )
    except (AlreadySettled, SendingElsewhere, SendSuperseded):
        pass


def _accepted(desk: Desk, **request: object) -> OutboxRow:
    message = desk.accept(**request).message  # type: ignore[arg-type]
    return next(row for row in desk.rows() if row.message_id == message.message_id)
