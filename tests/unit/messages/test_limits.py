"""The pure rules of pace and budget."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.contacts.model import Contact
from recado.messages.limits import HOUR_SECONDS, UNLIMITED, Pace, SendLimits, day_of, is_cold, next_day

NOW = datetime(2026, 11, 22, 23, 59, 58, tzinfo=UTC)
fractions = st.floats(0, 1)


@given(
    st.lists(st.tuples(st.floats(0, 900), fractions), max_size=80),
    st.integers(1, 12),
    st.tuples(st.floats(0, 5), st.floats(0, 60)),
)
def test_no_order_of_events_sends_too_close_or_too_many(
    tries: list[tuple[float, float]], per_hour: int, gap: tuple[float, float]
) -> None:
    """Whenever somebody tries, what is let through keeps the least distance, and no hour holds more than its limit."""
    least, more = gap
    pace = Pace(SendLimits(gap=(least, least + more), per_hour=per_hour))
    now, sent = 0.0, list[float]()
    for pause, fraction in tries:
        now += pause
        if pace.gap_left(now) == 0 and pace.hour_left(now) <= 0:
            pace.note(now, fraction)
            sent.append(now)
    assert all(later - earlier >= least - 1e-6 for earlier, later in pairwise(sent))
    for place, moment in enumerate(sent[per_hour:]):
        assert moment - sent[place] >= HOUR_SECONDS - 1e-6


@given(st.floats(0, 1e6), fractions, st.integers(1, 5))
def test_waiting_as_long_as_told_is_enough(start: float, fraction: float, per_hour: int) -> None:
    """A sender that sleeps for what is left may send then: it need not poll, and never waits for ever."""
    pace, now = Pace(SendLimits(per_hour=per_hour)), start
    for _ in range(3 * per_hour):
        now += max(pace.gap_left(now), pace.hour_left(now)) + 1e-3
        assert pace.gap_left(now) == 0
        assert pace.hour_left(now) <= 0
        pace.note(now, fraction)


def test_without_limits_nothing_ever_waits() -> None:
    pace = Pace(UNLIMITED)
    for _ in range(1000):
        assert (pace.gap_left(5.0), pace.hour_left(5.0)) == (0, 0)
        pace.note(5.0, 1.0)
    assert UNLIMITED.are_none
    assert UNLIMITED.cold_budget(None, NOW) is None
    assert UNLIMITED.typing_seconds("x" * 4096, 1.0) == 0
    assert not SendLimits().are_none


@pytest.mark.parametrize(
    ("days", "budget"), [(None, 5), (-1, 5), (0, 5), (6, 5), (7, 10), (13, 10), (14, 20), (4000, 20)]
)
def test_the_budget_of_strangers_grows_with_the_channels_age(days: int | None, budget: int) -> None:
    paired_at = None if days is None else NOW - timedelta(days=days)
    assert SendLimits().cold_budget(paired_at, NOW) == budget


def test_before_the_first_step_nobody_is_written_to() -> None:
    assert SendLimits(cold_per_day=((3, 10),)).cold_budget(NOW, NOW) == 0


@given(st.text(max_size=500), fractions)
def test_typing_takes_its_seconds_and_longer_texts_longer(text: str, fraction: float) -> None:
    limits = SendLimits()
    assert limits.typing[0] <= limits.typing_seconds(text, fraction) <= limits.typing[1]
    assert limits.typing_seconds(text, fraction) <= limits.typing_seconds(text + "x", fraction)


def test_who_wrote_is_not_cold_and_who_is_answered_is_not_either() -> None:
    wrote = Contact(known_since=NOW - timedelta(days=200), wrote_at=NOW - timedelta(days=200))
    assert is_cold(Contact(), NOW, answers=False)
    assert not is_cold(wrote, NOW, answers=False)
    assert not is_cold(Contact(), NOW, answers=True)


def test_a_day_ends_at_midnight_in_utc() -> None:
    assert day_of(NOW) == "20261122"
    assert next_day(NOW) == datetime(2026, 11, 23, tzinfo=UTC)
