"""What was seen on WhatsApp, in the message log."""

from datetime import UTC, datetime, timedelta

import pytest

from recado.kernel.errors import MessageNotFoundError
from recado.kernel.ids import Prefix, derived_id, time_of
from recado.messages import service
from recado.messages.model import Direction, MessageType, Party, Source
from recado.messages.service import Receipt
from recado.messages.status import MessageStatus
from tests.support.aws import EmulatedAws
from tests.unit.messages.conftest import EPOCH, PATIENT, START, Desk


def test_an_inbound_message_is_written_once(desk: Desk) -> None:
    """The same entry again is the same message."""
    message, created = service.record_inbound(desk.observed())
    again, created_again = service.record_inbound(desk.observed())
    assert (created, created_again) == (True, False)
    assert message == again == desk.get(message)
    assert (message.direction, message.source, message.status) == (
        Direction.INBOUND,
        Source.CONTACT,
        MessageStatus.RECEIVED,
    )
    assert (message.text, message.whatsapp_id, message.sender) == ("Confirmo", "ABC", PATIENT)


def test_a_contact_cannot_hide_a_message_behind_an_id_of_ours(desk: Desk) -> None:
    """Inbound WhatsApp ids are the other side's choice: one that repeats ours is a message all the same."""
    ours = desk.sent("3EB0A1")
    theirs, created = service.record_inbound(desk.observed("3EB0A1"))
    assert created
    told = service.apply_receipt(
        desk.clinic_id, desk.channel_id, "3EB0A1", Receipt.READ, START, chat=PATIENT, sequence=1, clock=desk.clock
    )
    assert told.message is not None
    assert told.message.message_id == ours.message_id
    assert desk.get(theirs).status is MessageStatus.RECEIVED


def test_what_was_typed_on_the_phone_is_sent_and_takes_receipts(desk: Desk) -> None:
    """A message from the clinic's own phone is outbound, sent, and can be delivered and read."""
    observed = desk.observed("PHONE1", chat=PATIENT, sender=Party(e164="+5511988880001"), to=Party())
    recorded = service.record_phone_sent(observed)
    assert recorded is not None
    message, created = recorded
    assert created
    assert (message.source, message.status, message.to) == (Source.PHONE, MessageStatus.SENT, PATIENT)
    assert service.record_phone_sent(observed) == (message, False)
    service.apply_receipt(
        desk.clinic_id, desk.channel_id, "PHONE1", Receipt.READ, START, chat=PATIENT, sequence=1, clock=desk.clock
    )
    assert desk.get(message).status is MessageStatus.READ


def test_the_phones_echo_of_an_api_message_is_no_second_message(desk: Desk, aws: EmulatedAws) -> None:
    """What went out through the API and comes back from the phone is known by its WhatsApp id."""
    desk.sent("3EB0A1")
    before = len(aws.items("messages"))
    assert service.record_phone_sent(desk.observed("3EB0A1")) is None
    assert len(aws.items("messages")) == before


def test_a_quote_is_resolved_within_its_chat_only(desk: Desk) -> None:
    """A quote of our message to this contact names it; a forged quote of another chat's message does not."""
    ours = desk.sent("3EB0A1")
    answer, _ = service.record_inbound(desk.observed("IN1", context_whatsapp_id="3EB0A1"))
    assert answer.context_message_id == ours.message_id
    stranger = Party(lid="900000002@lid")
    forged, _ = service.record_inbound(
        desk.observed("IN2", context_whatsapp_id="3EB0A1", chat=stranger, sender=stranger)
    )
    assert (forged.context_message_id, forged.context_whatsapp_id) == (None, "3EB0A1")
    own_quote, _ = service.record_inbound(desk.observed("IN3", context_whatsapp_id="IN1"))
    assert own_quote.context_message_id == answer.message_id


@pytest.mark.parametrize("told", [datetime(1970, 1, 1, tzinfo=UTC), START + timedelta(days=400)])
def test_a_senseless_time_does_not_hide_a_message_from_lists(desk: Desk, told: datetime) -> None:
    """A message with an impossible time is filed under the time it was seen; WhatsApp's own time is kept."""
    observed = desk.observed("X", entry_id=derived_id(Prefix.EVENT, told, "x"), timestamp=told)
    message, _ = service.record_inbound(observed)
    assert time_of(message.message_id) == START
    assert desk.get(message).timestamp == told


def test_a_kind_we_do_not_map_is_kept_as_unsupported(desk: Desk) -> None:
    """Nothing that came in is left out for want of a mapping."""
    message, _ = service.record_inbound(
        desk.observed("U", type=MessageType.UNSUPPORTED, text=None, unsupported_kind="poll")
    )
    assert (desk.get(message).type, desk.get(message).unsupported_kind) == (MessageType.UNSUPPORTED, "poll")


def test_a_late_result_resolves_what_a_new_owner_called_uncertain(desk: Desk) -> None:
    """That it was sent is a fact, also when told by the owner that lost the shard."""
    begun = desk.begun(epoch=7)
    service.record_uncertain(begun, 8, clock=desk.clock)
    message, change = confirm(desk, begun.message_id, MessageStatus.SENT, "3EB0L")
    assert message.status is MessageStatus.SENT
    assert change == message.history[-1]
    assert confirm(desk, begun.message_id, MessageStatus.SENT, "3EB0L") == (message, change)
    told = service.apply_receipt(
        desk.clinic_id, desk.channel_id, "3EB0L", Receipt.DELIVERED, START, chat=PATIENT, sequence=1, clock=desk.clock
    )
    assert told.change is not None


def test_a_result_that_never_came_to_be_has_no_line(desk: Desk) -> None:
    """A failure told of a message that was sent is no fact to be announced."""
    message = desk.sent()
    assert confirm(desk, message.message_id, MessageStatus.FAILED, None)[1] is None
    assert desk.get(message).status is MessageStatus.SENT


def test_a_result_the_runner_wrote_is_confirmed_as_written(desk: Desk) -> None:
    """The history line is the runner's, whatever time the entry carries."""
    begun = desk.begun()
    failed = service.record_failed(begun, EPOCH, "463", clock=desk.clock)
    _, change = confirm(desk, begun.message_id, MessageStatus.FAILED, None)
    assert change == failed.history[-1]


def test_a_result_for_another_clinics_message_is_refused(desk: Desk, neighbour: Desk) -> None:
    """An entry of one channel cannot move another clinic's message."""
    theirs = neighbour.begun()
    with pytest.raises(MessageNotFoundError):
        confirm(desk, theirs.message_id, MessageStatus.SENT, "3EB0X")
    assert neighbour.get(theirs).status is MessageStatus.SENDING


def confirm(desk: Desk, message_id: str, status: MessageStatus, whatsapp_id: str | None):  # type: ignore[no-untyped-def]
    return service.confirm_result(
        desk.clinic_id,
        desk.channel_id,
        message_id,
        status,
        whatsapp_id=whatsapp_id,
        code=None,
        at=START + timedelta(seconds=9),
    )
