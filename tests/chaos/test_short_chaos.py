"""The short form of ``make chaos``: the whole stack, a few kills, and every message accounted for."""

import pytest

from tests.chaos.options import Options
from tests.chaos.program import failures, run

pytestmark = pytest.mark.chaos


@pytest.mark.timeout(600)
def test_kills_a_lost_task_an_outage_and_a_stale_owner_lose_and_double_nothing() -> None:
    """Two hosts and a supervisor killed, two tasks lost while EventBridge or SQS is down, one frozen past its lease."""
    options = Options(
        seed=3,  # the frozen owner goes on when all sessions are the new owner's
        sessions=4,
        sessions_per_host=2,
        rate=2.0,
        host_kills=2,
        task_losses=1,
        untold_losses=0,
        spilled_losses=1,
        supervisor_kills=1,
        supervisor_freezes=0,
        disk_fulls=0,
        drains=0,
        stale_owners=1,
        pairing_host_kills=0,
        whatsapp_faults=0,
        outages=("events",),
        flaky=0,
        outage_seconds=3.0,
        gap=(0.5, 1.5),
        quiet_seconds=2.0,
        settle_seconds=120.0,
        still_seconds=30.0,
    )
    figures = run(options, print)
    assert failures(figures) == [], figures
    assert figures["host_kills"] == 2
    assert figures["task_losses"] == 2
    assert figures["supervisor_kills"] == 1
    assert figures["spilled"]["batches"] >= 2
    assert figures["stale_owners"] == 1
    assert figures["outages"] == ["events"]
    # Something was at stake: both ways, all the time.
    assert figures["out_accepted"] > 40
    assert figures["in_sent"] > 40
