"""Moments are written in one way."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.kernel.clock import SystemClock, from_text, to_text

MOMENTS = st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(MOMENTS)
def test_what_is_written_can_be_read(moment: datetime) -> None:
    """Writing keeps the millisecond and drops what is finer."""
    assert from_text(to_text(moment)) == moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@given(MOMENTS, MOMENTS)
def test_texts_sort_as_their_moments_do(one: datetime, other: datetime) -> None:
    """Sorting texts sorts moments, which keys in DynamoDB rely on."""
    if abs(one - other) > timedelta(milliseconds=1):
        assert (to_text(one) < to_text(other)) == (one < other)


def test_other_zones_are_written_in_utc() -> None:
    """A moment in São Paulo is written as the same moment in UTC."""
    moment = datetime(2026, 11, 22, 10, 0, tzinfo=timezone(timedelta(hours=-3)))
    assert to_text(moment) == "2026-11-22T13:00:00.000Z"


@pytest.mark.parametrize("text", ["2026-11-22T13:00:00", "yesterday", ""])
def test_texts_without_a_zone_or_sense_are_refused(text: str) -> None:
    """A moment without a zone would mean something else on every machine."""
    with pytest.raises(ValueError, match=r"."):
        from_text(text)


def test_the_machines_clock_tells_utc_and_never_runs_backwards() -> None:
    """The system clock is aware of its zone, its monotonic seconds do not fall."""
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()
