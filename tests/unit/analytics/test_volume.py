"""Counting messages."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.analytics import service
from recado.analytics.model import UncountableEventError, Volume, direction_of, hour_of
from recado.analytics.table import VolumeItem, hours_between, volume_key
from recado.kernel.envelopes import Event
from recado.kernel.ids import Prefix, derived_id, new_id
from recado.messages.model import Direction
from tests.support.aws import EmulatedAws
from tests.support.clock import FixedClock

CLINIC, OTHER_CLINIC = new_id(Prefix.CLINIC), new_id(Prefix.CLINIC)
CHANNEL, OTHER_CHANNEL = new_id(Prefix.CHANNEL), new_id(Prefix.CHANNEL)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def event(number: int = 1, **changes: Any) -> Event:
    plain = Event(derived_id(Prefix.EVENT, NOON, str(number)), "message.received", CLINIC, CHANNEL, number, NOON)
    return replace(plain, **changes)


def rows(clinic_id: str = CLINIC, channel: str | None = None) -> list[Volume]:
    return service.volume(clinic_id, NOON - timedelta(days=400), NOON + timedelta(days=400), channel)


def test_an_event_counts_once_however_often_it_comes(aws: EmulatedAws, clock: FixedClock) -> None:
    """The first time it is counted, after that it is known."""
    assert service.count(event(), clock=clock)
    assert not service.count(event(), clock=clock)
    assert rows() == [Volume(NOON, CHANNEL, Direction.INBOUND, 1)]


def test_the_same_event_at_once_from_many_sides_counts_once(aws: EmulatedAws, clock: FixedClock) -> None:
    """Parallel deliveries of few events add up to the number of events."""
    with ThreadPoolExecutor(8) as pool:
        counted = list(pool.map(lambda number: service.count(event(number % 4), clock=clock), range(24)))
    assert counted.count(True) == 4
    assert [row.count for row in rows()] == [4]


def test_hours_channels_and_directions_are_counted_apart(aws: EmulatedAws, clock: FixedClock) -> None:
    """A row is one channel, one direction and one hour of UTC."""
    late = NOON + timedelta(minutes=59, seconds=59)
    local = datetime(2026, 11, 22, 10, 30, tzinfo=timezone(timedelta(hours=-3)))
    different: list[dict[str, Any]] = [
        {"timestamp": late},
        {"type": "message.sent"},
        {"channel_id": OTHER_CHANNEL},
        {"timestamp": NOON + timedelta(hours=1)},
        {"timestamp": local},
        {},
    ]
    for number, changes in enumerate(different):
        service.count(event(number, **changes), clock=clock)
    assert sorted(rows(), key=lambda row: (row.hour, row.channel_id != CHANNEL, row.direction)) == [
        Volume(NOON, CHANNEL, Direction.INBOUND, 2),
        Volume(NOON, CHANNEL, Direction.OUTBOUND, 1),
        Volume(NOON, OTHER_CHANNEL, Direction.INBOUND, 1),
        Volume(NOON + timedelta(hours=1), CHANNEL, Direction.INBOUND, 2),
    ]
    assert [row.channel_id for row in rows(channel=OTHER_CHANNEL)] == [OTHER_CHANNEL]


@pytest.mark.parametrize("event_type", ["message.delivered", "message.read", "message.failed", "channel.connected"])
def test_other_events_are_not_counted(aws: EmulatedAws, clock: FixedClock, event_type: str) -> None:
    """A message is counted once, when it comes in or is known to be out."""
    assert not service.count(event(type=event_type), clock=clock)
    assert rows() == []


def test_a_report_covers_the_hours_from_start_to_before_end(aws: EmulatedAws, clock: FixedClock) -> None:
    """Bounds on the hour are exact, across the end of a month too; the oldest row comes first."""
    moments = [datetime(2026, 10, 31, 22, tzinfo=UTC) + timedelta(hours=number) for number in range(5)]
    for number, moment in enumerate(moments):
        service.count(event(number, timestamp=moment + timedelta(minutes=30)), clock=clock)
    assert [row.hour for row in service.volume(CLINIC, moments[1], moments[4])] == moments[1:4]
    assert [row.hour for row in service.volume(CLINIC, moments[1], moments[1] + timedelta(minutes=1))] == moments[1:2]
    assert service.volume(CLINIC, moments[1], moments[1]) == []
    assert service.volume(CLINIC, moments[3], moments[1]) == []


def test_another_clinic_sees_only_its_own_counts(aws: EmulatedAws, clock: FixedClock) -> None:
    """The same event id in another clinic is another event, and its counts are the other clinic's."""
    service.count(event(), clock=clock)
    assert rows(OTHER_CLINIC) == []
    assert service.count(event(clinic_id=OTHER_CLINIC, channel_id=OTHER_CHANNEL), clock=clock)
    assert [row.channel_id for row in rows(OTHER_CLINIC)] == [OTHER_CHANNEL]
    assert [row.channel_id for row in rows()] == [CHANNEL]


@pytest.mark.parametrize("flaw", [{"id": "evt_1"}, {"clinic_id": "x"}, {"channel_id": None}, {"clinic_id": 7}])
def test_an_event_that_names_no_clinic_or_channel_is_refused(flaw: dict[str, Any]) -> None:
    """What cannot be placed is not counted somewhere."""
    with pytest.raises(UncountableEventError):
        direction_of(event(**flaw))


@given(
    st.integers(0, 60 * 365 * 24 * 3600).map(lambda seconds: NOON + timedelta(seconds=seconds)),
    st.sampled_from(Direction),
    st.timedeltas(timedelta(0), timedelta(days=40)),
)
def test_a_key_says_what_is_counted_and_lies_within_its_hours(
    moment: datetime, direction: Direction, width: timedelta
) -> None:
    """A stored row reads back as what it was written for, and every span round its hour contains it."""
    _, sort_key = volume_key(CLINIC, CHANNEL, direction, moment)
    row = VolumeItem(pk="x", sk=sort_key, messages=3).volume()
    assert row == Volume(hour_of(moment), CHANNEL, direction, 3)
    low, high = hours_between(hour_of(moment) - width, hour_of(moment) + width)
    assert low <= sort_key <= high
