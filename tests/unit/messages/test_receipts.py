"""Receipts, early, late, repeated and foreign."""

from datetime import timedelta

from recado.messages import service
from recado.messages.model import Party
from recado.messages.service import Receipt, ReceiptResult
from recado.messages.status import MessageStatus
from tests.support.aws import EmulatedAws
from tests.unit.messages.conftest import EPOCH, PATIENT, START, Desk


def test_receipts_move_a_sent_message_up_with_whatsapps_time(desk: Desk) -> None:
    """Delivered, then read: the history says when each happened."""
    message = desk.sent()
    delivered = told(desk, Receipt.DELIVERED, 1)
    read = told(desk, Receipt.READ, 2)
    assert delivered.change == desk.get(message).history[-2]
    assert read.change == desk.get(message).history[-1]
    assert [(change.status, change.at) for change in desk.get(message).history[-2:]] == [
        (MessageStatus.DELIVERED, START + timedelta(seconds=1)),
        (MessageStatus.READ, START + timedelta(seconds=2)),
    ]


def test_a_repeated_receipt_tells_the_first_change_again(desk: Desk) -> None:
    """A second device's receipt, or the same one redelivered, changes nothing and names the same change."""
    message = desk.sent()
    first = told(desk, Receipt.DELIVERED, 1)
    again = told(desk, Receipt.DELIVERED, 5)
    assert again.change == first.change
    assert len(desk.get(message).history) == 3


def test_a_delivery_receipt_after_the_read_one_invents_nothing(desk: Desk) -> None:
    """Status never falls back, and delivered is not written into the past."""
    message = desk.sent()
    told(desk, Receipt.READ, 2)
    late = told(desk, Receipt.DELIVERED, 1)
    assert (late.change, late.parked) == (None, False)
    assert [change.status for change in desk.get(message).history] == [
        MessageStatus.QUEUED,
        MessageStatus.SENT,
        MessageStatus.READ,
    ]


def test_played_means_read(desk: Desk) -> None:
    """Who played a message has read it."""
    message = desk.sent()
    told(desk, Receipt.PLAYED, 1)
    assert desk.get(message).status is MessageStatus.READ


def test_receipts_before_the_result_are_parked_and_taken(desk: Desk, aws: EmulatedAws) -> None:
    """What overtook the result is applied once the message is sent, in the order of the ladder."""
    assert told(desk, Receipt.READ, 2, sequence=12).parked
    assert told(desk, Receipt.DELIVERED, 1, sequence=11).parked
    message = desk.sent()
    taken = service.take_parked(message, clock=desk.clock)
    assert [(one.receipt, one.sequence) for one in taken] == [(Receipt.DELIVERED, 11), (Receipt.READ, 12)]
    assert all(one.result.change for one in taken)
    assert desk.get(message).status is MessageStatus.READ
    again = service.take_parked(message, clock=desk.clock)
    assert [one.result.change for one in again] == [one.result.change for one in taken]
    service.forget_parked(message, taken)
    assert service.take_parked(message, clock=desk.clock) == []
    assert not [item for item in aws.items("messages") if str(item["sk"]).startswith("receipt#")]


def test_a_result_written_between_the_two_looks_is_met_at_once(desk: Desk, monkeypatch: object) -> None:
    """Look, park, look again: a pointer that appears in between is not missed."""
    begun = desk.begun()
    original = service.receipts._park

    def park_then_result(item: object, now: object) -> None:
        original(item, now)  # type: ignore[arg-type]
        service.record_sent(begun, EPOCH, "3EB0A1", START, lid=PATIENT.lid, clock=desk.clock)

    monkeypatch.setattr(service.receipts, "_park", park_then_result)  # type: ignore[attr-defined]
    assert told(desk, Receipt.DELIVERED, 1).change is not None
    assert desk.get(begun).status is MessageStatus.DELIVERED
    assert service.take_parked(desk.get(begun), clock=desk.clock) == []


def test_a_parked_receipt_waits_seven_days(desk: Desk) -> None:
    """A receipt for something that was never ours does not wait for ever."""
    told(desk, Receipt.DELIVERED, 1)
    desk.clock.advance(days=7)
    assert service.take_parked(desk.sent(), clock=desk.clock) == []


def test_a_receipt_from_another_chat_is_not_believed(desk: Desk) -> None:
    """A contact cannot mark a message to somebody else as read."""
    message = desk.sent()
    stranger = Party(e164="+5511966660002", lid="900000002@lid")
    assert told(desk, Receipt.READ, 1, chat=stranger) == ReceiptResult()
    assert desk.get(message).status is MessageStatus.SENT


def test_a_brazilian_number_without_its_ninth_digit_is_the_same_chat(desk: Desk) -> None:
    """Receipts by number count also when WhatsApp's form of the number is the old one."""
    message = desk.sent()
    told(desk, Receipt.DELIVERED, 1, chat=Party(e164="+551177770001"))
    assert desk.get(message).status is MessageStatus.DELIVERED


def test_a_receipt_in_another_clinic_touches_nothing(desk: Desk, neighbour: Desk) -> None:
    """WhatsApp ids are looked up within one channel of one clinic."""
    message = desk.sent("3EB0A1")
    assert told(neighbour, Receipt.READ, 1).parked
    assert desk.get(message).status is MessageStatus.SENT


def told(
    desk: Desk, receipt: Receipt, seconds: int, *, chat: Party = PATIENT, sequence: int = 1, whatsapp_id: str = "3EB0A1"
) -> ReceiptResult:
    return service.apply_receipt(
        desk.clinic_id,
        desk.channel_id,
        whatsapp_id,
        receipt,
        START + timedelta(seconds=seconds),
        chat=chat,
        sequence=sequence,
        clock=desk.clock,
    )
