"""The next step towards what is desired: decided for every combination, and reaching its end from everywhere."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recado.channels.model import Channel, ChannelState, Desired, Pairing, PairingMethod
from session_runner.sessions.convergence import ENDING_SECONDS, WATCHDOG_SECONDS, Moment, Phase, Step, View, next_step

NOW = datetime(2026, 11, 22, 13, tzinfo=UTC)
MOMENT = Moment(NOW, 10_000.0)
REQUEST = Pairing(PairingMethod.QR, None, NOW)
CHANNEL = Channel(
    clinic_id="cli_a",
    channel_id="chn_a",
    name="Recepção",
    external_id=None,
    expected_phone=None,
    shard_id="shard-001",
    created_at=NOW,
    updated_at=NOW,
    state_since=NOW,
    desired_version=1,
)
PAIRED = replace(CHANNEL, phone="+5511988880001", paired_at=NOW)


def channels() -> st.SearchStrategy[Channel]:
    moments = st.none() | st.just(NOW) | st.just(NOW + timedelta(hours=1))
    return st.builds(
        replace,
        st.sampled_from([CHANNEL, PAIRED]),
        state=st.sampled_from(sorted(set(ChannelState) - {ChannelState.DELETED})),
        desired=st.sampled_from(Desired),
        desired_version=st.integers(0, 3),
        pairing=st.none() | st.just(REQUEST),
        restart_requested_at=moments,
        ban_expires_at=moments,
        drain_sequence=st.none() | st.integers(0, 100),
    )


def views() -> st.SearchStrategy[View]:
    monotonic = st.floats(MOMENT.monotonic - 1000, MOMENT.monotonic + 1000)
    moments = st.none() | st.just(NOW)
    return st.builds(
        View,
        phase=st.sampled_from(Phase),
        connected=st.booleans(),
        not_connected_since=monotonic,
        reported=st.none() | st.sampled_from(ChannelState),
        gave_up_version=st.integers(-1, 3),
        not_before=monotonic,
        banned_until=st.none() | st.just(NOW + timedelta(minutes=5)),
        restart_seen=moments,
        pairing_requested_at=st.none() | st.just(NOW),
        paired=st.none() | st.booleans(),
        ending_since=st.none() | monotonic,
    )


@given(channels(), views())
def test_a_wait_is_always_for_some_time(channel: Channel, view: View) -> None:
    step, seconds = next_step(channel, view, MOMENT)
    assert (step is Step.WAIT) is (seconds > 0)


@given(channels(), views())
def test_nothing_starts_or_pairs_unless_it_is_wanted_and_absent(channel: Channel, view: View) -> None:
    step, _ = next_step(channel, view, MOMENT)
    if step in {Step.START, Step.PAIR}:
        assert view.phase is Phase.ABSENT
        assert channel.desired not in {Desired.NONE, Desired.DISCONNECTED}
    if step is Step.PAIR:
        assert channel.desired is Desired.CONNECTED


@given(channels(), views())
def test_nothing_connects_during_a_ban_or_before_its_time(channel: Channel, view: View) -> None:
    step, _ = next_step(channel, view, MOMENT)
    if step in {Step.START, Step.PAIR}:
        assert view.banned_until is None
        assert view.not_before <= MOMENT.monotonic


@given(channels(), views())
def test_an_attempt_that_ended_for_good_is_not_repeated(channel: Channel, view: View) -> None:
    wanted = replace(channel, desired=Desired.CONNECTED, desired_version=view.gave_up_version)
    step, _ = next_step(wanted, replace(view, phase=Phase.ABSENT), MOMENT)
    assert step is Step.NOTHING


def _after(step: Step, channel: Channel, view: View) -> tuple[Channel, View]:
    """The world after a step that went well; a wait is sat out, and the session connects in it."""
    absent = replace(view, phase=Phase.ABSENT, connected=False)
    if step is Step.WAIT:
        return channel, replace(view, not_before=0.0, banned_until=None, connected=view.phase is Phase.RUNNING)
    worlds = {
        Step.PAIR: (
            channel,
            replace(view, phase=Phase.PAIRING, pairing_requested_at=NOW, reported=ChannelState.PAIRING),
        ),
        Step.START: (
            channel,
            replace(
                view,
                phase=Phase.RUNNING,
                connected=False,
                not_connected_since=MOMENT.monotonic,
                restart_seen=channel.restart_requested_at,
                reported=ChannelState.CONNECTING,
            ),
        ),
        Step.LOG_OUT: (channel, replace(absent, paired=False, reported=ChannelState.LOGGED_OUT)),
        Step.FORGET: (channel, replace(absent, paired=False, reported=ChannelState.LOGGED_OUT)),
        Step.REPORT_LOGGED_OUT: (channel, replace(view, reported=ChannelState.LOGGED_OUT)),
        Step.STOP: (channel, replace(absent, reported=ChannelState.DISCONNECTED)),
    }
    if step is Step.REPORT_DISCONNECTED:
        gave_up = channel.desired_version if channel.desired is Desired.CONNECTED else view.gave_up_version
        return channel, replace(view, reported=ChannelState.DISCONNECTED, gave_up_version=gave_up)
    return worlds.get(step, (channel, absent))


@settings(max_examples=500)
@given(channels(), views())
def test_every_situation_comes_to_rest_in_a_few_steps(channel: Channel, view: View) -> None:
    channel = replace(channel, ban_expires_at=None)
    for _ in range(10):
        step, _ = next_step(channel, view, MOMENT)
        if step in {Step.NOTHING, Step.DELETE}:
            break
        channel, view = _after(step, channel, view)
    else:
        raise AssertionError("no rest")
    if channel.desired in {Desired.NONE, Desired.DISCONNECTED, Desired.LOGGED_OUT}:
        assert view.phase is Phase.ABSENT
    if step is Step.DELETE:
        assert channel.desired is Desired.DELETED


@pytest.mark.parametrize(
    ("channel", "view", "step"),
    [
        (replace(PAIRED, desired=Desired.CONNECTED), View(), Step.START),
        (replace(CHANNEL, desired=Desired.CONNECTED, pairing=REQUEST), View(), Step.PAIR),
        (replace(CHANNEL, desired=Desired.CONNECTED), View(), Step.REPORT_DISCONNECTED),
        (replace(PAIRED, desired=Desired.DISCONNECTED), View(Phase.RUNNING, connected=True), Step.STOP),
        (replace(PAIRED, desired=Desired.LOGGED_OUT), View(Phase.RUNNING, connected=True), Step.LOG_OUT),
        (replace(PAIRED, desired=Desired.LOGGED_OUT), View(ending_since=MOMENT.monotonic), Step.START),
        (replace(PAIRED, desired=Desired.DELETED), View(Phase.RUNNING, connected=True), Step.LOG_OUT),
        (replace(CHANNEL, desired=Desired.DELETED), View(), Step.DELETE),
        (replace(CHANNEL, desired=Desired.DISCONNECTED), View(Phase.PAIRING), Step.END_PAIRING),
        (replace(CHANNEL, state=ChannelState.CONNECTED), View(), Step.REPORT_DISCONNECTED),
    ],
)
def test_the_step_for(channel: Channel, view: View, step: Step) -> None:
    assert next_step(channel, view, MOMENT)[0] is step


def test_a_newer_pairing_request_takes_the_place_of_the_running_one() -> None:
    newer = replace(REQUEST, requested_at=NOW + timedelta(seconds=1))
    wanted = replace(CHANNEL, desired=Desired.CONNECTED, pairing=newer)
    assert next_step(wanted, View(Phase.PAIRING, pairing_requested_at=NOW), MOMENT)[0] is Step.END_PAIRING
    assert next_step(wanted, View(Phase.PAIRING, pairing_requested_at=newer.requested_at), MOMENT)[0] is Step.NOTHING


def test_a_restart_is_carried_out_once() -> None:
    wanted = replace(PAIRED, desired=Desired.CONNECTED, restart_requested_at=NOW)
    running = View(Phase.RUNNING, connected=True)
    assert next_step(wanted, running, MOMENT)[0] is Step.RESTART
    assert next_step(wanted, replace(running, restart_seen=NOW), MOMENT)[0] is Step.NOTHING


def test_a_session_that_does_not_connect_for_five_minutes_is_begun_anew() -> None:
    wanted = replace(PAIRED, desired=Desired.CONNECTED)
    long_ago = MOMENT.monotonic - WATCHDOG_SECONDS
    assert next_step(wanted, View(Phase.RUNNING, not_connected_since=long_ago), MOMENT)[0] is Step.LOSE_PATIENCE
    step, seconds = next_step(wanted, View(Phase.RUNNING, not_connected_since=long_ago + 10), MOMENT)
    assert (step, seconds) == (Step.WAIT, 10.0)


def test_a_new_owner_waits_out_a_ban_it_reads_in_the_item() -> None:
    banned = replace(
        PAIRED, state=ChannelState.BANNED, desired=Desired.CONNECTED, ban_expires_at=NOW + timedelta(seconds=60)
    )
    assert next_step(banned, View(), MOMENT) == (Step.WAIT, 60.0)


def test_a_log_out_that_finds_no_connection_gives_the_credentials_up_in_the_end() -> None:
    wanted = replace(PAIRED, desired=Desired.LOGGED_OUT)
    late = View(Phase.RUNNING, ending_since=MOMENT.monotonic - ENDING_SECONDS)
    assert next_step(wanted, late, MOMENT)[0] is Step.FORGET
    banned = View(banned_until=NOW + timedelta(days=1), ending_since=MOMENT.monotonic)
    assert next_step(wanted, banned, MOMENT)[0] is Step.FORGET
