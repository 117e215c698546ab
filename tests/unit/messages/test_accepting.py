"""Accepting messages."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from recado.kernel.errors import IdempotencyConflictError, InvalidRequestError, MessageNotFoundError
from recado.messages import service
from recado.messages.model import Accepted, Direction, Source
from recado.messages.status import MessageStatus
from tests.support.aws import EmulatedAws
from tests.unit.messages.conftest import Desk


def stored_messages(aws: EmulatedAws) -> list[dict[str, object]]:
    return [item for item in aws.items("messages") if str(item["sk"]).startswith("message#")]


def test_an_accepted_message_can_be_read_and_waits_in_the_outbox(desk: Desk) -> None:
    """Acceptance makes the message readable as queued and puts one row into the channel's outbox."""
    accepted = desk.accept("Olá", client_reference="42", ttl_seconds=60)
    message = desk.get(accepted.message)
    assert message == accepted.message
    assert (message.status, message.direction, message.source) == (
        MessageStatus.QUEUED,
        Direction.OUTBOUND,
        Source.API,
    )
    assert (message.text, message.client_reference, message.to.e164) == ("Olá", "42", "+5511977770001")
    (row,) = desk.rows()
    assert (row.message_id, row.sequence, row.expires_at) == (message.message_id, 1, message.valid_until)
    assert not row.is_expired(desk.clock.now())
    assert row.is_expired(desk.clock.advance(60))


def test_rows_come_in_the_order_of_acceptance_and_can_be_read_on(desk: Desk) -> None:
    """The outbox is drained in the order of its sequence, from wherever the reader stands."""
    ids = [desk.accept(str(number)).message.message_id for number in range(12)]
    rows = desk.rows()
    assert [row.message_id for row in rows] == ids
    assert [row.sequence for row in rows] == list(range(1, 13))
    assert [row.message_id for row in desk.rows(after=rows[9].sequence)] == ids[10:]
    assert service.outbox_counter(desk.clinic_id, desk.channel_id) == 12


def test_the_outbox_of_a_fresh_channel_is_empty(desk: Desk) -> None:
    """A channel nobody wrote through has counter 0 and no rows."""
    assert service.outbox_counter(desk.clinic_id, desk.channel_id) == 0
    assert desk.rows() == []


def test_the_same_key_and_body_gets_the_first_answer_again(desk: Desk, aws: EmulatedAws) -> None:
    """A repeated request makes no second message, and its answer is the first one whatever happened since."""
    first = desk.accept(key="consulta-42", body=b"one")
    message = service.begin_send(desk.rows()[0], 1)
    service.record_sent(message, 1, "3EB0", desk.clock.now(), lid="9@lid", clock=desk.clock)
    desk.clock.advance(hours=1)
    again = desk.accept(key="consulta-42", body=b"one")
    assert (first.replayed, again.replayed) == (False, True)
    assert again.message == first.message
    assert len(stored_messages(aws)) == 1
    assert len(desk.rows()) == 1


def test_the_same_key_with_another_body_is_refused(desk: Desk, aws: EmulatedAws) -> None:
    """A reused key must not silently drop the second text."""
    desk.accept(key="consulta-42", body=b"one")
    with pytest.raises(IdempotencyConflictError):
        desk.accept(key="consulta-42", body=b"two")
    assert len(stored_messages(aws)) == 1


def test_without_a_key_every_request_is_a_message(desk: Desk, aws: EmulatedAws) -> None:
    """Equal texts are two messages unless the caller says that they are one."""
    desk.accept(body=b"one")
    desk.accept(body=b"one")
    assert len(stored_messages(aws)) == 2


def test_a_key_is_free_again_after_a_day(desk: Desk) -> None:
    """The window is 24 hours, also while DynamoDB has not deleted the record yet."""
    desk.accept(key="consulta-42", body=b"one")
    desk.clock.advance(hours=23, minutes=59)
    assert desk.accept(key="consulta-42", body=b"one").replayed
    desk.clock.advance(minutes=1)
    assert not desk.accept(key="consulta-42", body=b"two").replayed


def test_another_clinic_and_another_channel_have_keys_of_their_own(desk: Desk, neighbour: Desk) -> None:
    """The same key elsewhere is another request, and tells nothing of the first."""
    mine = desk.accept(key="consulta-42", body=b"one")
    theirs = neighbour.accept(key="consulta-42", body=b"two")
    other_channel = Desk(desk.clock, desk.clinic_id, neighbour.channel_id).accept(key="consulta-42", body=b"three")
    assert not theirs.replayed
    assert not other_channel.replayed
    assert len({one.message.message_id for one in (mine, theirs, other_channel)}) == 3


def test_fifty_requests_at_once_with_one_key_make_one_message(desk: Desk, aws: EmulatedAws) -> None:
    """However the threads interleave, one is accepted and the others get its answer."""
    start = threading.Barrier(50)

    def one(_: int) -> Accepted:
        start.wait()
        return desk.accept(key="consulta-42", body=b"one")

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(one, range(50)))
    assert [answer.replayed for answer in answers].count(False) == 1
    assert len({answer.message.message_id for answer in answers}) == 1
    assert len(stored_messages(aws)) == 1
    assert len(desk.rows()) == 1


def test_requests_at_once_without_keys_get_sequences_of_their_own(desk: Desk) -> None:
    """Parallel acceptances lose no message and share no place in the outbox."""
    with ThreadPoolExecutor(10) as pool:
        ids = {one.message.message_id for one in pool.map(lambda number: desk.accept(str(number)), range(20))}
    rows = desk.rows()
    assert {row.message_id for row in rows} == ids
    assert len({row.sequence for row in rows}) == 20


def test_a_quoted_message_must_be_of_the_same_channel(desk: Desk, neighbour: Desk) -> None:
    """A message of another clinic cannot be quoted, and looks like one that does not exist."""
    foreign = neighbour.accept().message
    with pytest.raises(InvalidRequestError) as refused:
        desk.accept(context_message_id=foreign.message_id)
    assert refused.value.field == "context.message_id"
    own = desk.sent("3EB0Q")
    assert desk.accept(context_message_id=own.message_id).message.context_whatsapp_id == "3EB0Q"


def test_another_clinic_cannot_read_the_message(desk: Desk, neighbour: Desk) -> None:
    """Neither the other clinic nor another channel of the same clinic finds it by its id."""
    message = desk.accept().message
    for clinic_id, channel_id in (
        (neighbour.clinic_id, neighbour.channel_id),
        (neighbour.clinic_id, desk.channel_id),
        (desk.clinic_id, neighbour.channel_id),
    ):
        with pytest.raises(MessageNotFoundError):
            service.get(clinic_id, channel_id, message.message_id)


@pytest.mark.parametrize("text", ["", "msg_", "nonsense", "cli_01jd0000000000000000000000", "msg_" + "!" * 26])
def test_what_is_no_message_id_is_not_found(desk: Desk, text: str) -> None:
    """Ids come from callers: a misshapen one is a message that does not exist."""
    with pytest.raises(MessageNotFoundError):
        service.get(desk.clinic_id, desk.channel_id, text)
