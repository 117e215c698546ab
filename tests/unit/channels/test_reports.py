"""What reports do to a channel, for every state, every report and every order."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.channels.model import Channel, ChannelState, Desired
from recado.channels.reports import Outcome, Report, apply, outcome_of
from tests.unit.channels.strategies import REPORTS, START, STATES, channels

S = ChannelState


def _channel(state: ChannelState = S.CREATED, sequence: int = 0) -> Channel:
    return Channel(
        clinic_id="cli_a",
        channel_id="chn_a",
        name="Recepção",
        external_id=None,
        expected_phone=None,
        shard_id="shard-001",
        created_at=START,
        updated_at=START,
        state_since=START,
        state=state,
        reported_state=state,
        state_sequence=sequence,
    )


def _report(state: ChannelState, sequence: int = 1) -> Report:
    return Report(state, None, sequence, START)


@pytest.mark.parametrize("state", S)
@pytest.mark.parametrize("reported", S)
def test_every_pair_of_state_and_report_is_decided(state: ChannelState, reported: ChannelState) -> None:
    """There is an outcome for each, and it is what happens."""
    outcome = outcome_of(state, reported)
    after, happened = apply(_channel(state), _report(reported))
    assert happened is outcome
    assert outcome in (Outcome.MOVED, Outcome.STAYED, Outcome.IGNORED)
    assert after.state is (reported if outcome is Outcome.MOVED else state)


@given(channels().map(lambda channel: replace(channel, state=S.DELETED)), st.lists(REPORTS, max_size=10))
def test_no_report_leads_out_of_deleted(channel: Channel, reports: list[Report]) -> None:
    """A deleted channel stays deleted, without place and number."""
    for report in reports:
        channel, _ = apply(channel, report)
        assert channel.state is S.DELETED


@given(channels(), REPORTS)
def test_no_report_deletes(channel: Channel, report: Report) -> None:
    """A channel is deleted by the transaction that frees its guards, never by a report."""
    after, _ = apply(channel, report)
    assert (after.state is S.DELETED) == (channel.state is S.DELETED)
    assert after.state is not S.CREATED or channel.state is S.CREATED


@given(channels(), REPORTS)
def test_an_older_report_changes_nothing(channel: Channel, report: Report) -> None:
    """What is not newer than what is known leaves the very same channel."""
    after, outcome = apply(channel, report)
    if report.sequence <= channel.state_sequence:
        assert after is channel
        assert outcome in (Outcome.OUTDATED, Outcome.REPLAYED)
    else:
        assert after.state_sequence == report.sequence


@given(channels(), REPORTS)
def test_a_report_taken_in_twice_is_taken_in_once(channel: Channel, report: Report) -> None:
    """The second time changes nothing, and still tells what the first time changed."""
    once, first = apply(channel, report)
    twice, second = apply(once, report)
    assert twice is once
    if first not in (Outcome.OUTDATED, Outcome.REPLAYED):
        assert second is Outcome.REPLAYED


@given(
    channels().filter(lambda channel: channel.state is not S.DELETED),
    st.lists(REPORTS, max_size=6, unique_by=lambda report: report.sequence).flatmap(st.permutations),
    st.integers(0, 6),
)
def test_the_newest_report_decides_whatever_the_order(channel: Channel, reports: list[Report], place: int) -> None:
    """A connection that stands, reported last, is believed wherever among the earlier reports it arrives."""
    after = channel
    reports.insert(min(place, len(reports)), _report(S.CONNECTED, 100))
    for report in reports:
        after, _ = apply(after, report)
    assert (after.state, after.state_sequence) == (S.CONNECTED, 100)


@given(channels(), REPORTS)
def test_reports_touch_only_what_is_theirs(channel: Channel, report: Report) -> None:
    """Name, place, number and guards are never a report's; the wish is only ever ended, not made."""
    after, _ = apply(channel, report)
    for field in ("clinic_id", "channel_id", "name", "external_id", "shard_id", "phone", "paired_at", "created_at"):
        assert getattr(after, field) == getattr(channel, field)
    assert after.desired_version == channel.desired_version
    assert after.desired in (channel.desired, Desired.DISCONNECTED)


@given(channels(), REPORTS)
def test_the_end_of_an_attempt_ends_only_the_wish_it_was_made_for(channel: Channel, report: Report) -> None:
    """A later request is not undone by the end of an earlier attempt."""
    after, outcome = apply(channel, report)
    if after.desired is not channel.desired:
        assert channel.desired is Desired.CONNECTED
        assert report.clear_desired_version == channel.desired_version
        assert outcome in (Outcome.MOVED, Outcome.STAYED, Outcome.IGNORED)
        assert after.pairing is None


@given(channels(), STATES)
def test_since_is_when_the_state_was_entered(channel: Channel, state: ChannelState) -> None:
    """A report of the same state does not make it younger."""
    report = replace(_report(state, channel.state_sequence + 1), observed_at=START.replace(year=2027))
    after, outcome = apply(channel, report)
    assert (after.state_since != channel.state_since) == (outcome is Outcome.MOVED)


def test_what_a_request_wrote_is_still_announced_when_the_runner_reports_it() -> None:
    """The API writes "pairing" at once; the runner's report of it is the change that is announced."""
    channel = replace(_channel(), state=S.PAIRING)
    after, outcome = apply(channel, _report(S.PAIRING, 5))
    assert outcome is Outcome.STAYED
    assert (after.changed_sequence, after.previous_state, after.reported_state) == (5, S.CREATED, S.PAIRING)
    again, _ = apply(after, _report(S.PAIRING, 6))
    assert again.changed_sequence == 5


@pytest.mark.parametrize("state", [S.LOGGED_OUT, S.REJECTED, S.BANNED, S.REPLACED, S.OUTDATED, S.FAILED])
def test_a_closing_socket_does_not_hide_why(state: ChannelState) -> None:
    """ "Disconnected" after the reason for it says less than is known."""
    after, outcome = apply(_channel(state), _report(S.DISCONNECTED))
    assert (after.state, outcome) == (state, Outcome.IGNORED)


@pytest.mark.parametrize("state", [state for state in S if state is not S.DELETED])
def test_a_working_connection_is_believed_from_every_state(state: ChannelState) -> None:
    """Nothing but deletion can be truer than a connection that stands."""
    after, _ = apply(_channel(state), _report(S.CONNECTED))
    assert after.state is S.CONNECTED
    assert after.last_connected_at == START
    assert after.pairing is None


def test_the_end_of_a_ban_is_kept_while_it_lasts() -> None:
    """It is there with the ban and gone with it."""
    banned, _ = apply(_channel(S.CONNECTED), replace(_report(S.BANNED), ban_expires_at=START.replace(year=2027)))
    assert banned.ban_expires_at == START.replace(year=2027)
    back, _ = apply(banned, _report(S.CONNECTED, 2))
    assert back.ban_expires_at is None
