"""Choosing a format by the Accept header."""

import pytest

from functions.api.media_types import preferred

_OFFERED = ("application/json", "image/png", "text/plain")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("image/png", "image/png"),
        ("text/plain", "text/plain"),
        ("TEXT/PLAIN; charset=utf-8", "text/plain"),
        ("image/*", "image/png"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("application/json;q=0.2, image/png;q=0.9", "image/png"),
        ("*/*, application/json;q=0.1, image/png;q=0.2", "text/plain"),
        ("application/pdf", "application/json"),
        ("image/png;q=abc", "application/json"),
    ],
)
def test_the_caller_gets_the_offered_format_it_likes_best(accept: str | None, expected: str) -> None:
    """Closest range and highest quality win; what nobody offers falls back to JSON."""
    assert preferred(accept, _OFFERED) == expected
