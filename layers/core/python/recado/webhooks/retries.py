"""When to try again: the gaps between attempts, their jitter and the receiver's own wish (Retry-After)."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

JITTER = 0.2
LONGEST_RETRY_AFTER = timedelta(hours=24)


def delay_before(
    attempt: int,
    gaps: Sequence[float],
    *,
    retry_after: timedelta | None = None,
    draw: Callable[[float, float], float] | None = None,
) -> timedelta | None:
    """Return how long to wait before an attempt, counted from the end of the one before.

    Args:
        attempt: the number of the attempt to come, from 1.
        gaps: seconds before each attempt; as many attempts are made as there are gaps.
        retry_after: what the receiver asked for; lengthens the gap, up to a day, and never shortens it.
        draw: picks a number between two, for the jitter that keeps receivers from being hit by all at once.

    Returns:
        The wait, or None if no attempt is left.
    """
    if attempt > len(gaps):
        return None
    gap = gaps[attempt - 1]
    wait = timedelta(seconds=(draw or random.uniform)(gap * (1 - JITTER), gap * (1 + JITTER)))
    return max(wait, min(retry_after, LONGEST_RETRY_AFTER)) if retry_after else wait


def parse_retry_after(text: str | None, now: datetime) -> timedelta | None:
    """Read a Retry-After header: seconds or an HTTP date (RFC 9110, 10.2.3); None if absent, past or not readable."""
    if not text:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:12]), LONGEST_RETRY_AFTER.total_seconds())) or None
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment - now if moment > now else None
