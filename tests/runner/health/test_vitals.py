"""Judging sessions and hosts: what asks for a new incarnation, what is only reported, when a host is worn out."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_runner.health.vitals import (
    Condition,
    HostLimits,
    HostVitals,
    SessionVitals,
    Window,
    judge_host,
    judge_session,
    memory_of,
)

WELL = SessionVitals(connected=True, last_frame_age=3600.0)
LIMITS = HostLimits(threads=100, descriptors=500, memory_bytes=1000, rest=300.0)
HOST = HostVitals(threads=60, descriptors=200, memory_bytes=500, age=4000.0)


@pytest.mark.parametrize(
    ("changes", "condition", "reason"),
    [
        pytest.param({}, "healthy", "", id="quiet for an hour"),
        pytest.param({"last_frame_age": None}, "healthy", "", id="nothing heard yet"),
        pytest.param({"connected": False}, "degraded", "not_connected", id="not connected"),
        pytest.param({"connected": False, "errors": 9}, "degraded", "not_connected", id="convergence at work"),
        pytest.param({"thread_alive": False}, "unhealthy", "thread_ended", id="dead thread"),
        pytest.param({"errors": 4}, "healthy", "", id="four errors"),
        pytest.param({"errors": 5}, "unhealthy", "errors", id="five errors"),
        pytest.param({"errors": 5, "restarts": 3}, "degraded", "errors", id="restarting does not help"),
        pytest.param({"restarts": 3}, "degraded", "restarts", id="restarted often"),
        pytest.param({"keepalive_failures": 2}, "healthy", "", id="two keep-alives missed"),
        pytest.param({"keepalive_failures": 3}, "unhealthy", "silent", id="deaf"),
        pytest.param({"keepalive_failures": 3, "last_frame_age": 5.0}, "degraded", "keepalive", id="slow, not deaf"),
        pytest.param({"keepalive_failures": 9, "restarts": 9}, "unhealthy", "silent", id="deaf again"),
    ],
)
def test_a_session_is_judged_by_what_was_measured(
    changes: dict[str, float | int | bool | None], condition: str, reason: str
) -> None:
    finding = judge_session(replace(WELL, **changes))  # type: ignore[arg-type]
    assert (finding.condition.value, finding.reason) == (condition, reason)


@given(st.integers(0, 20), st.integers(3, 20), st.integers(0, 2))
def test_a_session_whose_restarts_do_not_help_is_not_restarted_for_its_errors(
    errors: int, restarts: int, keepalive_failures: int
) -> None:
    vitals = replace(WELL, errors=errors, restarts=restarts, keepalive_failures=keepalive_failures)
    assert judge_session(vitals).condition is Condition.DEGRADED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"descriptors": 500}, "descriptors"),
        ({"threads": 100}, "threads"),
        ({"memory_bytes": 1000}, "memory_bytes"),
        ({"descriptors": 5000, "age": 299.0}, None),
    ],
)
def test_a_host_is_replaced_when_it_is_worn_out_and_not_when_it_is_new(
    changes: dict[str, int], reason: str | None
) -> None:
    assert judge_host(replace(HOST, **changes), LIMITS) == reason


def test_a_window_forgets() -> None:
    window = Window(10)
    for moment in (0, 5, 9):
        window.add(moment)
    assert [window.count(now) for now in (9, 10, 15, 19)] == [3, 2, 1, 0]


def test_the_proportional_set_size_is_read_in_bytes() -> None:
    assert (
        memory_of("55d0-7ffc ---p 0 00:00 0 [rollup]\nRss:  9000 kB\nPss:   4321 kB\nPss_Anon: 1 kB\n") == 4321 * 1024
    )
    assert memory_of("") == 0
