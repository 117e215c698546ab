"""When a delivery is tried again."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from recado.aws.settings import WebhookSettings
from recado.webhooks.retries import LONGEST_RETRY_AFTER, delay_before, parse_retry_after

NOW = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)


def middle(low: float, high: float) -> float:
    return (low + high) / 2


def test_the_documented_gaps_are_kept() -> None:
    gaps = WebhookSettings().webhook_retry_gaps
    waits = [delay_before(number, gaps, draw=middle) for number in range(1, 11)]
    minutes, hours = timedelta(minutes=1), timedelta(hours=1)
    assert waits == [
        timedelta(0),
        timedelta(seconds=5),
        5 * minutes,
        30 * minutes,
        2 * hours,
        5 * hours,
        10 * hours,
        14 * hours,
        20 * hours,
        24 * hours,
    ]
    assert delay_before(11, gaps) is None


@given(st.integers(1, 12), st.lists(st.floats(0, 90_000), max_size=12))
def test_a_gap_strays_by_a_fifth_at_most(attempt: int, gaps: list[float]) -> None:
    wait = delay_before(attempt, gaps)
    if attempt > len(gaps):
        assert wait is None
    else:
        assert wait is not None
        assert gaps[attempt - 1] * 0.8 - 0.001 <= wait.total_seconds() <= gaps[attempt - 1] * 1.2 + 0.001


def test_the_receivers_wish_lengthens_a_gap_but_never_shortens_it() -> None:
    gaps = (0, 60)
    assert delay_before(2, gaps, retry_after=timedelta(seconds=90), draw=middle) == timedelta(seconds=90)
    assert delay_before(2, gaps, retry_after=timedelta(seconds=1), draw=middle) == timedelta(seconds=60)
    assert delay_before(2, gaps, retry_after=timedelta(days=9), draw=middle) == LONGEST_RETRY_AFTER


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    assert parse_retry_after("120", NOW) == timedelta(minutes=2)
    assert parse_retry_after("Sun, 22 Nov 2026 13:05:00 GMT", NOW) == timedelta(minutes=5)
    for useless in (None, "", "0", "-5", "soon", "Sun, 22 Nov 2026 12:00:00 GMT"):
        assert parse_retry_after(useless, NOW) is None


@given(st.text())
def test_no_header_breaks_the_reading_of_retry_after(text: str) -> None:
    wish = parse_retry_after(text, NOW)
    assert wish is None or wish > timedelta(0)


@given(st.integers(0, 10**30))
def test_no_number_of_seconds_is_too_large_to_read(seconds: int) -> None:
    wish = parse_retry_after(str(seconds), NOW)
    assert wish is None if seconds == 0 else wish is not None and wish <= LONGEST_RETRY_AFTER
