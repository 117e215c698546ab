"""The status ladder of messages."""

from hypothesis import given
from hypothesis import strategies as st

from recado.messages.status import PROVED, TRANSITIONS, MessageStatus, is_settled, may_follow, predecessors

_FINAL = {status for status, following in TRANSITIONS.items() if not following}
_OUT = {MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.READ}
_HEIGHT = {MessageStatus.SENT: 1, MessageStatus.DELIVERED: 2, MessageStatus.READ: 3}

proposals = st.lists(st.sampled_from(list(MessageStatus)), max_size=40)


def climb(start: MessageStatus, proposed: list[MessageStatus]) -> list[MessageStatus]:
    """Return the statuses a message goes through when each proposal is taken if the ladder allows it."""
    path = [start]
    for status in proposed:
        if may_follow(path[-1], status):
            path.append(status)
    return path


@given(proposals)
def test_a_message_known_to_have_gone_out_never_goes_back(proposed: list[MessageStatus]) -> None:
    """Whatever arrives in whatever order, sent, delivered and read only ever climb."""
    path = climb(MessageStatus.QUEUED, proposed)
    first_out = next((index for index, status in enumerate(path) if status in _OUT), len(path))
    heights = [_HEIGHT.get(status, 0) for status in path[first_out:]]
    assert heights == sorted(set(heights))
    assert 0 not in heights


@given(proposals)
def test_a_final_status_ends_the_path(proposed: list[MessageStatus]) -> None:
    """After read, failed, expired or suppressed nothing follows."""
    path = climb(MessageStatus.QUEUED, proposed)
    assert not set(path[:-1]) & _FINAL


@given(proposals)
def test_a_message_goes_out_only_through_sending(proposed: list[MessageStatus]) -> None:
    """No order of facts makes a message sent that nobody began to send."""
    path = climb(MessageStatus.QUEUED, proposed)
    first_out = next((index for index, status in enumerate(path) if status in _OUT), None)
    assert first_out is None or MessageStatus.SENDING in path[:first_out]


@given(proposals)
def test_evidence_alone_moves_what_was_put_back_and_only_upwards(proposed: list[MessageStatus]) -> None:
    """With evidence of a former try, a resent message may become sent without a second one, and never falls again."""
    path = [MessageStatus.QUEUED]
    for status in proposed:
        if may_follow(path[-1], status, resent=True):
            path.append(status)
    out = [status in _OUT for status in path]
    assert out == sorted(out)
    assert set(PROVED) == {MessageStatus.QUEUED}
    assert PROVED[MessageStatus.QUEUED] == {MessageStatus.SENT}


@given(proposals)
def test_an_inbound_message_stays_received(proposed: list[MessageStatus]) -> None:
    """Nothing moves an inbound message."""
    assert climb(MessageStatus.RECEIVED, proposed) == [MessageStatus.RECEIVED]


def test_every_status_is_on_the_table_and_every_outbound_one_is_reached() -> None:
    """The table names all statuses, and none but received is out of a queued message's reach."""
    assert set(TRANSITIONS) == set(MessageStatus)
    reached, pending = {MessageStatus.QUEUED}, [MessageStatus.QUEUED]
    while pending:
        new = TRANSITIONS[pending.pop()] - reached
        reached |= new
        pending += new
    assert reached == set(MessageStatus) - {MessageStatus.RECEIVED}


@given(st.sampled_from(list(MessageStatus)), st.sampled_from(list(MessageStatus)))
def test_predecessors_are_the_table_read_backwards(current: MessageStatus, following: MessageStatus) -> None:
    """The condition of a conditional write names exactly the statuses the table allows to be left."""
    assert (current in predecessors(following)) == may_follow(current, following)


def test_only_queued_and_sending_keep_their_outbox_row() -> None:
    """A row may be removed in every status in which a sender has nothing left to do."""
    assert {status for status in MessageStatus if not is_settled(status)} == {
        MessageStatus.QUEUED,
        MessageStatus.SENDING,
    }
