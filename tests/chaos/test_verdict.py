"""The ledger comparison itself: each way in which a message can end is told apart, and the classes sum."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.chaos.options import Act, Options, parsed, plan
from tests.chaos.program import _figures, failures
from tests.chaos.records import Kill, LedgerRow, Logged, Records, Sent, Takeover, VaultVersion
from tests.chaos.scene import Figures
from tests.chaos.verdict import Verdict, in_flight, judge, stale_snapshots

T = datetime(2026, 11, 22, 13, tzinfo=UTC)
NUMBER, OTHER = "5511988880001", "5511988880002"


def at(seconds: float) -> datetime:
    return T + timedelta(seconds=seconds)


def sent(text: str, seconds: float = 0.0, number: str = NUMBER) -> Sent:
    return Sent(text, number, "5511977770001", at(seconds), at(seconds + 0.1), f"msg {text}")


def logged(text: str, status: str = "delivered", *, ended: float | None = 0.5, clinic: str = "cli_a") -> Logged:
    ended_at = None if ended is None else at(ended)
    return Logged(f"msg {text}", text, clinic, "chn_a", status, None, f"WA {text}", ended_at)


def row(text: str, *, outbound: bool = True, seconds: float | None = 0.4, **more: Any) -> LedgerRow:
    moment = None if seconds is None else at(seconds)
    return LedgerRow(
        f"WA {text}", outbound, more.get("read", text), at(0.4) if outbound else T, moment, more.get("error")
    )


@pytest.mark.parametrize(
    ("status", "copies", "expected"),
    [
        ("delivered", 1, "sent_once"),
        ("sent", 0, "lost"),
        ("delivered", 2, "doubled_silently"),
        ("uncertain", 0, "uncertain"),
        ("uncertain", 1, "uncertain"),
        ("uncertain", 2, "doubled_silently"),
        ("queued", 0, "held"),
        ("failed", 0, "failed"),
        ("expired", 0, "failed"),
    ],
)
def test_an_outbound_message_is_in_the_class_of_its_status_and_its_copies(
    status: str, copies: int, expected: str
) -> None:
    """What the contact has and what the clinic is told are both looked at."""
    records = Records(out=[sent("a")], logged_out=[logged("a", status)], ledger=[row("a")] * copies)
    verdict = judge(records)
    assert getattr(verdict.outbound, expected) == 1
    assert verdict.outbound.total() == 1


def test_an_accepted_message_that_nobody_knows_is_lost() -> None:
    """The 202 is a promise."""
    assert judge(Records(out=[sent("a")])).outbound.lost == 1


def test_a_message_that_the_contact_could_not_read_for_a_repeated_key_is_counted_apart() -> None:
    """The client did that, and the ledger says so for this very message."""
    unread = row("a", read=None, error="repeated_key")
    verdict = judge(Records(out=[sent("a")], logged_out=[logged("a")], ledger=[unread]))
    assert verdict.outbound.lost_key_reuse == 1
    assert verdict.outbound.lost == 0


@pytest.mark.parametrize(
    ("acknowledged", "killed", "inside"),
    [(9.5, 10.0, True), (8.5, 10.0, False), (11.0, 10.0, False), (None, 10.0, False)],
)
def test_an_inbound_loss_is_excused_only_just_before_a_kill_of_its_own_session(
    acknowledged: float | None, killed: float, inside: bool
) -> None:
    """What WhatsApp was never told to have been delivered must come again, so losing it is never excused."""
    lost = Records(
        inward=[sent("in")],
        ledger=[row("in", outbound=False, seconds=acknowledged)],
        kills=[Kill(Act.HOST_KILL, at(killed), frozenset({NUMBER}), window=1.0)],
    )
    assert judge(lost).inbound.lost_in_window == int(inside)
    assert judge(lost).inbound.lost_outside_window == int(not inside)
    lost.kills = [Kill(Act.HOST_KILL, at(killed), frozenset({OTHER}), window=1.0)]
    assert judge(lost).inbound.lost_outside_window == 1


def test_a_message_in_the_log_of_another_clinic_is_foreign_and_one_there_twice_is_doubled() -> None:
    """Nobody in the wrong room, nothing twice."""
    records = Records(
        inward=[sent("in")], logged_in=[logged("in"), logged("in", clinic="cli_b")], clinic_of={NUMBER: "cli_a"}
    )
    verdict = judge(records)
    assert (verdict.foreign, verdict.in_doubled, verdict.inbound.logged) == (1, 1, 1)


def test_in_flight_is_at_most_one_for_each_channel_that_the_kill_took_down() -> None:
    """A channel sends one message at a time, and messages that had ended were not under way."""
    records = Records(
        out=[sent("ended"), sent("b", 9), sent("c", 9), sent("other", 9, OTHER), sent("later", 20)],
        logged_out=[logged("ended"), logged("b", ended=10.2), logged("c", ended=11), logged("other", ended=11)],
    )
    assert in_flight(Kill(Act.HOST_KILL, at(10), frozenset({NUMBER}), 1.0), records) == 1
    assert in_flight(Kill(Act.TASK_LOSS, at(10), frozenset({NUMBER, OTHER}), 1.0), records) == 2
    assert in_flight(Kill(Act.HOST_KILL, at(15), frozenset({OTHER}), 1.0), records) == 0


def test_a_message_that_overtakes_another_of_its_chat_is_noticed() -> None:
    """Order is promised in the order of the answers."""
    first, second = row("a"), row("b")
    late = LedgerRow("WA a", True, "a", at(9), None, None)
    records = Records(out=[sent("a", 0), sent("b", 1)], ledger=[first, second])
    assert judge(records).out_of_order == 0
    records.ledger = [late, second]
    assert judge(records).out_of_order == 1


def test_a_send_under_an_old_epoch_after_a_takeover_is_stale() -> None:
    """However it came about."""
    records = Records(
        out=[sent("a")], logged_out=[logged("a")], ledger=[row("a")], epochs={"msg a": 1}, takeovers=[Takeover(2, T)]
    )
    assert judge(records).stale_messages == 1
    records.takeovers = [Takeover(1, T), Takeover(2, at(5))]
    assert judge(records).stale_messages == 0


def test_a_snapshot_over_a_newer_owners_is_stale() -> None:
    """Along an object's sequence, epochs never fall."""
    versions = [VaultVersion("k", epoch, sequence, clean=False) for sequence, epoch in enumerate([1, 1, 2, 3])]
    assert stale_snapshots(versions) == 0
    assert stale_snapshots([*versions, VaultVersion("k", 2, 9, clean=True)]) == 1


def test_a_plan_follows_from_its_seed_and_holds_all_that_was_asked_for() -> None:
    """Printed with every run, so that a failure can be looked at again."""
    options = Options(seed=5, host_kills=7, task_losses=2)
    assert plan(options) == plan(options)
    assert plan(options) != plan(Options(seed=6, host_kills=7, task_losses=2))
    acts = [step.act for step in plan(options)]
    assert acts.count(Act.HOST_KILL) == 7
    losses = [step.service for step in plan(options) if step.act is Act.TASK_LOSS]
    assert sorted(losses) == ["", "events"]


def test_the_command_line_sets_the_options() -> None:
    """Names with hyphens; outages as a list."""
    options = parsed(["--seed", "9", "--host-kills", "3", "--outages", "sqs,s3", "--rate", "1.5"])
    assert (options.seed, options.host_kills, options.outages, options.rate) == (9, 3, ("sqs", "s3"), 1.5)
    assert parsed(["--outages", ""]).outages == ()
    assert parsed(["--gap", "0.5", "2"]).gap == (0.5, 2.0)


def test_only_what_is_asked_for_happens() -> None:
    """One kind of failure at a time is how a run is understood."""
    steps = plan(parsed(["--seed", "9", "--only", "--task-losses", "2", "--outages", "s3"]))
    assert sorted(step.act for step in steps) == [Act.OUTAGE, Act.TASK_LOSS, Act.TASK_LOSS]


def test_the_figures_have_the_agreed_names() -> None:
    """Whoever compares runs reads them by name; a run in which nothing happened has no failure."""
    nothing = SimpleNamespace(channels=[], out=[], inward=[], unanswered=0, complaints=dict)
    figures = _figures(Options(), Figures(), Verdict(), nothing, nothing) | {"unrecorded": 0}  # type: ignore[arg-type]
    agreed = {
        *("seed", "host_kills", "task_losses", "out_accepted", "out_lost", "out_doubled_silently", "uncertain"),
        *("in_flight_at_kills", "in_sent", "in_lost", "in_lost_outside_window", "recovery_host_s", "recovery_task_s"),
        *("stale", "drain"),
    }
    assert agreed <= set(figures)
    assert set(figures["recovery_host_s"]) == set(figures["recovery_task_s"]) == {"p50", "max"}
    assert set(figures["stale"]) >= {"messages", "snapshots", "displaced"}
    assert set(figures["drain"]) == {"sessions", "seconds", "unclean"}
    assert failures(figures) == []
    assert failures(figures | {"out_lost": 1, "unrecorded": 2})[0] == "out_lost: 1"
