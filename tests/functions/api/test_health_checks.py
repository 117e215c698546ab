"""The health checks: all at once, each bounded, none able to hang the answer."""

import asyncio
import threading

from fastapi.testclient import TestClient

from functions.api.health import Details, UnhealthyError, check_disk, check_memory, examine, verdict


def _fine() -> Details:
    return {"figure": 1}


def test_all_checks_fine_is_healthy() -> None:
    """Every check's figures are reported with the time it took."""
    outcomes = asyncio.run(examine({"one": _fine, "two": _fine}))
    assert verdict(outcomes) == "healthy"
    assert outcomes["one"].details == {"figure": 1}
    assert outcomes["one"].response_time_ms >= 0


def test_a_check_that_hangs_is_unhealthy_and_holds_up_nobody() -> None:
    """The answer comes when the time-out is over, although the check never ends by itself."""
    release = threading.Event()

    def hang() -> Details:
        release.wait(30)
        return {}

    try:
        outcomes = asyncio.run(examine({"hung": hang, "fine": _fine}, timeout_seconds=0.05))
    finally:
        release.set()
    assert outcomes["hung"].status == "unhealthy"
    assert outcomes["hung"].details == {"error": "timed_out"}
    assert outcomes["fine"].status == "healthy"
    assert verdict(outcomes) == "unhealthy"


def test_checks_run_at_the_same_time() -> None:
    """Two checks that wait for each other both succeed."""
    barrier = threading.Barrier(2, timeout=5)

    def meet() -> Details:
        barrier.wait()
        return {}

    outcomes = asyncio.run(examine({"one": meet, "two": meet}))
    assert verdict(outcomes) == "healthy"


def test_a_broken_check_tells_its_kind_and_not_its_words() -> None:
    """An exception's text may hold an address or a key; only its type is reported."""

    def broken() -> Details:
        raise RuntimeError("http://user:password@host")

    outcomes = asyncio.run(examine({"broken": broken}))
    assert outcomes["broken"].details == {"error": "RuntimeError"}


def test_an_unhealthy_check_keeps_its_figures() -> None:
    """The operators see what was measured."""

    def poor() -> Details:
        raise UnhealthyError({"free_mb": 0})

    outcomes = asyncio.run(examine({"poor": poor}))
    assert outcomes["poor"].status == "unhealthy"
    assert outcomes["poor"].details == {"free_mb": 0}


def test_memory_and_disk_are_measured(client: TestClient) -> None:
    """Both report megabytes."""
    assert check_memory()["used_mb"] > 0
    assert check_disk()["total_mb"] > 0
