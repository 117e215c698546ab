"""Uptime, MTTR and MTBF follow from the events of a channel and nothing else."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.recorder.channel_events import state_events
from recado.analytics.uptime import Availability, Change, availability, change_of
from recado.channels.model import ChannelState
from recado.kernel.envelopes import Entry
from recado.kernel.ids import Prefix, new_id

START = datetime(2026, 11, 1, tzinfo=UTC)
END = START + timedelta(hours=10)
C = ChannelState


def changes(*rows: tuple[float, ChannelState, str | None]) -> list[Change]:
    return [
        Change(place, START + timedelta(hours=hour), state, reason)
        for place, (hour, state, reason) in enumerate(rows, start=1)
    ]


def hours(found: Availability) -> tuple[float, float, int]:
    return round(found.up / 3600, 6), round(found.down / 3600, 6), found.failures


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(-1, C.CONNECTED, None)], (10, 0, 0)),
        ([(0, C.CONNECTED, None), (4, C.DISCONNECTED, "connection_lost"), (5, C.CONNECTED, None)], (9, 1, 1)),
        ([(0, C.CONNECTED, None), (4, C.DISCONNECTED, "requested"), (9, C.CONNECTING, None)], (4, 1, 0)),
        ([(0, C.CONNECTED, None), (4, C.CONNECTING, None), (4.5, C.CONNECTED, None)], (9.5, 0.5, 1)),
        ([(0, C.CONNECTED, None), (1, C.BANNED, "ban_101"), (9, C.CONNECTED, None)], (2, 8, 1)),
        ([(0, C.CONNECTED, None), (1, C.LOGGED_OUT, "unlinked_by_phone"), (8, C.PAIRING, None)], (1, 0, 1)),
        ([(0, C.CONNECTED, None), (2, C.DISCONNECTED, "silent"), (4, C.FAILED, "unreachable")], (2, 8, 1)),
        ([(0, C.PAIRING, None), (1, C.FAILED, "pairing_passkey_required")], (0, 0, 0)),
        ([(5, C.CONNECTED, None), (11, C.DISCONNECTED, "host_lost")], (5, 0, 0)),
        ([], (0, 0, 0)),
    ],
)
def test_time_up_and_down_and_failures_are_counted_as_documented(
    rows: list[tuple[float, ChannelState, str | None]], expected: tuple[float, float, int]
) -> None:
    assert hours(availability(changes(*rows), START, END)) == expected


def test_the_means_follow_and_nothing_is_divided_by_nothing() -> None:
    found = availability(
        changes((0, C.CONNECTED, None), (4, C.DISCONNECTED, "host_lost"), (5, C.CONNECTED, None)), START, END
    )
    assert (found.uptime, found.mttr, found.mtbf) == (0.9, 3600.0, 9 * 3600.0)
    empty = Availability(0, 0, 0)
    assert (empty.uptime, empty.mttr, empty.mtbf) == (None, None, None)


STATES = st.tuples(
    st.floats(-5, 15), st.sampled_from(C), st.sampled_from([None, "requested", "silent", "pairing_error"])
)


@given(st.lists(STATES, max_size=12), st.randoms())
def test_order_and_repeats_of_events_change_nothing_and_no_time_is_counted_twice(rows: Any, chance: Any) -> None:
    made = changes(*sorted(rows, key=lambda row: float(row[0])))
    found = availability(made, START, END)
    mixed = made + made[:3]
    chance.shuffle(mixed)
    assert availability(mixed, START, END) == found
    assert 0 <= found.up + found.down <= (END - START).total_seconds() + 0.001


def test_the_recorders_events_are_all_it_takes() -> None:
    lines = []
    for sequence, (hour, state, reason) in enumerate(
        [(0, C.CONNECTED, None), (4, C.DISCONNECTED, "host_lost"), (5, C.CONNECTED, None)], start=1
    ):
        at = START + timedelta(hours=hour)
        entry = Entry(new_id(Prefix.EVENT, at), "channel.state", "cli_a", "chn_a", "shard-001", 1, sequence, at)
        for event in state_events(entry, state, reason, None, None):
            lines.append(event.to_json())
            assert (change_of(json.loads(lines[-1])) is None) is (event.type != "channel.state_changed")
    period = ["2026-11-01T00:00:00Z", "2026-11-01T10:00:00Z"]
    command = [sys.executable, "-m", "recado.analytics.uptime", *period]
    printed = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=True).stdout
    assert json.loads(printed) == {
        "channel_id": "chn_a",
        "up": 9 * 3600.0,
        "down": 3600.0,
        "failures": 1,
        "uptime": 0.9,
        "mttr": 3600.0,
        "mtbf": 9 * 3600.0,
    }
