"""Arbitrary channels and reports."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from recado.channels.model import Channel, ChannelState, Desired, Pairing, PairingMethod
from recado.channels.reports import Report

START = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
MOMENTS = st.integers(0, 100_000).map(lambda seconds: START + timedelta(seconds=seconds))
STATES = st.sampled_from(ChannelState)
PAIRINGS = st.builds(Pairing, st.sampled_from(PairingMethod), st.none() | st.just("+5511988880001"), MOMENTS)


@st.composite
def channels(draw: st.DrawFn) -> Channel:
    """A channel in any combination of fields that can be stored."""
    return Channel(
        clinic_id="cli_a",
        channel_id="chn_a",
        name="Recepção",
        external_id=draw(st.none() | st.just("recepcao")),
        expected_phone=draw(st.none() | st.just("+5511988880001")),
        shard_id="shard-001",
        created_at=START,
        updated_at=START,
        state_since=START,
        state=draw(STATES),
        reason=draw(st.none() | st.just("why")),
        previous_state=draw(st.none() | STATES),
        state_sequence=draw(st.integers(0, 50)),
        reported_state=draw(STATES),
        changed_sequence=draw(st.integers(0, 50)),
        desired=draw(st.sampled_from(Desired)),
        desired_version=draw(st.integers(0, 5)),
        pairing=draw(st.none() | PAIRINGS),
        drain_sequence=draw(st.none() | st.integers(0, 9)),
        phone=draw(st.none() | st.just("+5511988880001")),
        lid=draw(st.none() | st.just("1@lid")),
        paired_at=draw(st.none() | st.just(START)),
        last_connected_at=draw(st.none() | MOMENTS),
        ban_expires_at=draw(st.none() | MOMENTS),
    )


REPORTS = st.builds(
    Report,
    STATES,
    st.none() | st.just("because"),
    st.integers(0, 60),
    MOMENTS,
    lid=st.none() | st.just("1@lid"),
    ban_expires_at=st.none() | MOMENTS,
    clear_desired_version=st.none() | st.integers(0, 5),
)
