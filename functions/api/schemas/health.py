"""Health on the wire."""

from typing import Any, Literal

from functions.api.schemas.base import Answer, Moment, with_example

_CHECKS = {
    name: {"status": "healthy", "response_time_ms": 4.2} for name in ("database", "queue", "sessions", "memory", "disk")
}

Verdict = Literal["healthy", "unhealthy"]


class PartAnswer(Answer):
    """The outcome of one check."""

    status: Verdict
    response_time_ms: float


class HealthAnswer(Answer):
    """Whether the platform works; no particulars, since anybody may ask."""

    model_config = with_example({"status": "healthy", "timestamp": "2026-11-22T13:00:00.000Z", "checks": _CHECKS})

    status: Verdict
    timestamp: Moment
    checks: dict[str, PartAnswer]


class DetailedPartAnswer(PartAnswer):
    """The outcome of one check with its figures."""

    details: dict[str, Any]


class DetailedHealthAnswer(Answer):
    """Health with figures, for the operators."""

    model_config = with_example(
        {
            "status": "healthy",
            "timestamp": "2026-11-22T13:00:00.000Z",
            "checks": {
                "database": {"status": "healthy", "response_time_ms": 4.2, "details": {}},
                "memory": {"status": "healthy", "response_time_ms": 0.1, "details": {"used_mb": 148}},
            },
        }
    )

    status: Verdict
    timestamp: Moment
    checks: dict[str, DetailedPartAnswer]
