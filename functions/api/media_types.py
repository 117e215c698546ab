"""Choosing an answer's format from the ``Accept`` header (RFC 9110 §12.5.1)."""

from collections.abc import Sequence


def preferred(accept: str | None, offered: Sequence[str]) -> str:
    """Return the offered media type that the caller likes best.

    Args:
        accept: the header's text, or None when it was not sent.
        offered: what can be given, the default first; it is also the answer to an ``Accept`` that names none of them,
            since a caller is helped more by an unasked format than by a 406 (RFC 9110 allows both).
    """
    ranges = [_range(part) for part in (accept or "*/*").split(",")]
    weights = [max((_weight(candidate, *each) for each in ranges), default=(0, 0.0)) for candidate in offered]
    best = max(range(len(offered)), key=lambda index: (weights[index][1], -index))
    return offered[best]


def _range(text: str) -> tuple[str, float]:
    media, *parameters = (piece.strip().lower() for piece in text.split(";"))
    quality = next((value for name, _, value in (each.partition("=") for each in parameters) if name == "q"), "1")
    try:
        return media, float(quality)
    except ValueError:
        return media, 0.0


def _weight(candidate: str, media: str, quality: float) -> tuple[int, float]:
    """Return how closely a range names the candidate, then its quality: the closest range decides."""
    if media == candidate:
        return 3, quality
    if media == f"{candidate.partition('/')[0]}/*":
        return 2, quality
    return (1, quality) if media == "*/*" else (0, 0.0)
