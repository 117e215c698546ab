"""Durations: how long connections last, and how long it takes to get one back after it was lost."""

from session_runner.health.uptime import Uptime


def test_a_lost_connection_that_comes_back_is_a_recovery() -> None:
    uptime = Uptime()
    assert uptime.connected(10) is None
    assert uptime.disconnected(70, "host_lost") == 60
    assert uptime.connected(73) == (3, "host_lost")
    assert uptime.disconnected(80, "disconnected") == 7


def test_a_connection_ended_on_purpose_is_no_loss() -> None:
    uptime = Uptime()
    uptime.connected(10)
    assert uptime.disconnected(20, None) == 10
    assert uptime.connected(500) is None


def test_what_is_said_twice_counts_once() -> None:
    uptime = Uptime()
    uptime.connected(10)
    assert uptime.connected(11) is None
    assert uptime.disconnected(20, "host_lost") == 10
    assert uptime.disconnected(25, None) is None
    assert uptime.disconnected(26, "disconnected") is None
    assert uptime.connected(30) == (10, "host_lost")


def test_a_connection_nobody_waits_for_any_more_does_not_recover() -> None:
    uptime = Uptime()
    uptime.connected(10)
    uptime.disconnected(20, "logged_out")
    uptime.written_off()
    assert uptime.connected(90_000) is None


def test_a_new_task_measures_from_its_start() -> None:
    uptime = Uptime()
    uptime.wanted(5, "task_started")
    assert uptime.connected(9) == (4, "task_started")
