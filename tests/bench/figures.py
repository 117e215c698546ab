"""How measured durations are summed up."""

import statistics
from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict


class Figures(TypedDict):
    """One direction of traffic beside the bare client in the same run; times in milliseconds."""

    p50_ms: float
    p99_ms: float
    per_s: float
    p50_ratio_to_bare: float
    bare_p50_ms: float
    bare_per_s: float


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share (0..1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered)) - 1))]


def figures(ours: Sequence[float], ours_per_s: float, bare: Sequence[float], bare_per_s: float) -> Figures:
    """Sum up durations in seconds and rates a second."""
    p50, bare_p50 = statistics.median(ours), statistics.median(bare)
    return Figures(
        p50_ms=round(p50 * 1000, 1),
        p99_ms=round(percentile(ours, 0.99) * 1000, 1),
        per_s=round(ours_per_s, 1),
        p50_ratio_to_bare=round(p50 / bare_p50, 1),
        bare_p50_ms=round(bare_p50 * 1000, 1),
        bare_per_s=round(bare_per_s, 1),
    )


def moment(text: str) -> float:
    """Return an RFC 3339 moment as Unix seconds."""
    return datetime.fromisoformat(text).timestamp()
