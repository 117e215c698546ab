"""What a session's fate means, for every history: no forbidden attempt, no endless silence, no endless knocking."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.channels.model import ChannelState
from session_runner.sessions.failure_policy import POLICIES
from session_runner.sessions.reconnect import (
    MOST_ATTEMPTS,
    REPLACED_LIMIT,
    REPLACED_RETRY_SECONDS,
    REPLACED_WINDOW_SECONDS,
    STABLE_SECONDS,
    UNKNOWN_BAN_SECONDS,
    Backoff,
    Fate,
    History,
    Ruling,
    rule,
)

BACKOFF = Backoff(2.0, 300.0)
NEW = History()


def judge(
    fate: Fate,
    history: History = NEW,
    *,
    now: float = 1000.0,
    ours: bool = True,
    fraction: float = 1.0,
    **detail: Any,
) -> tuple[Ruling, History]:
    return rule(fate, detail, history, now=now, ours=ours, backoff=BACKOFF, fraction=fraction)


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_waits_grow_up_to_the_limit_and_never_beyond(attempt: int, fraction: float) -> None:
    assert 0 <= BACKOFF.delay(attempt, fraction) <= BACKOFF.most
    assert BACKOFF.delay(attempt, 1.0) <= BACKOFF.delay(attempt + 1, 1.0)


def test_the_first_wait_is_at_most_two_seconds_and_the_later_ones_reach_five_minutes() -> None:
    assert BACKOFF.delay(0, 1.0) == 2.0
    assert BACKOFF.delay(50, 1.0) == 300.0


@given(st.sampled_from(Fate), st.integers(0, 100), st.booleans(), st.floats(0, 1))
def test_every_fate_has_a_state_and_what_gives_up_does_not_retry(
    fate: Fate, attempts: int, ours: bool, fraction: float
) -> None:
    ruling, _ = judge(fate, History(attempts), ours=ours, fraction=fraction)
    assert isinstance(ruling.state, ChannelState)
    assert not (ruling.gives_up and ruling.retry_after is not None)
    assert not (ruling.clears_desired and not ruling.gives_up)
    if ruling.stop and not ruling.gives_up:
        assert ruling.retry_after is not None


@pytest.mark.parametrize("fate", [Fate.LOGGED_OUT, Fate.OUTDATED])
def test_an_unlinked_phone_and_a_refused_version_are_never_retried(fate: Fate) -> None:
    ruling, _ = judge(fate)
    assert (ruling.gives_up, ruling.retry_after, ruling.stop) == (True, None, True)


def test_only_a_log_out_makes_the_credentials_worthless() -> None:
    assert [fate for fate in Fate if judge(fate)[0].forgets] == [Fate.LOGGED_OUT]


def test_a_refused_version_stays_desired_so_that_the_next_release_connects() -> None:
    assert judge(Fate.OUTDATED)[0].clears_desired is False


@given(st.integers(0, 10**6))
def test_a_ban_is_waited_out_in_full(seconds: int) -> None:
    ruling, _ = judge(Fate.BANNED, expire_seconds=seconds, code=101)
    told = (ruling.state, ruling.reason, ruling.retry_after)
    assert told == (ChannelState.BANNED, "ban_101", float(seconds or UNKNOWN_BAN_SECONDS))


@given(st.lists(st.floats(0, 2000), min_size=1, max_size=12))
def test_replacements_are_answered_by_one_retry_each_until_the_third_in_ten_minutes(gaps: list[float]) -> None:
    history, now = NEW, 1000.0
    moments: list[float] = []
    for gap in gaps:
        now += gap
        moments = [moment for moment in moments if now - moment < REPLACED_WINDOW_SECONDS] + [now]
        ruling, history = judge(Fate.REPLACED, history, now=now)
        terminal = len(moments) >= REPLACED_LIMIT
        assert ruling.gives_up is terminal
        assert ruling.retry_after == (None if terminal else REPLACED_RETRY_SECONDS)


def test_a_replacement_while_the_lease_is_not_provably_ours_is_final() -> None:
    ruling, _ = judge(Fate.REPLACED, ours=False)
    assert (ruling.state, ruling.gives_up) == (ChannelState.REPLACED, True)


def test_failures_in_a_row_wait_longer_and_a_connection_forgets_them() -> None:
    first, history = judge(Fate.CONNECT_FAILURE, reason="503")
    second, history = judge(Fate.CONNECT_FAILURE, history, reason="503")
    assert (first.retry_after, second.retry_after, first.reason) == (2.0, 4.0, "503")
    _, history = judge(Fate.CONNECTED, history)
    ruling, history = judge(Fate.CONNECT_FAILURE, history, now=1000.0 + STABLE_SECONDS, reason="503")
    assert (ruling.retry_after, history.attempts) == (2.0, 1)


def test_a_connection_that_breaks_within_a_minute_is_one_more_attempt_that_came_to_nothing() -> None:
    history = NEW
    for attempt in range(3):
        _, history = judge(Fate.CONNECTED, history, now=1000.0)
        ruling, history = judge(Fate.PUMP_ENDED, history, now=1059.0, reason="unencodable_event")
        assert ruling.retry_after == (0.0 if attempt == 0 else 2.0 * 2**attempt)
    assert history.attempts == 3


@pytest.mark.parametrize(
    ("fate", "reason", "attempts"),
    [
        (Fate.CONNECT_FAILURE, "generic", MOST_ATTEMPTS),
        (Fate.PUMP_ENDED, "unreachable", MOST_ATTEMPTS),
        (Fate.PUMP_ENDED, "proxy_unreachable", MOST_ATTEMPTS),
        (Fate.NOT_CONNECTED, "not_connected_in_time", MOST_ATTEMPTS),
        (Fate.START_FAILED, "start_full", MOST_ATTEMPTS),
        (Fate.PUMP_ENDED, "unencodable_event", 3),
    ],
)
def test_so_many_failures_in_a_row_end_in_failed_with_the_last_reason_until_somebody_asks(
    fate: Fate, reason: str, attempts: int
) -> None:
    history = NEW
    for _ in range(attempts - 1):
        ruling, history = judge(fate, history, reason=reason)
        assert (ruling.state, ruling.gives_up) == (ChannelState.DISCONNECTED, False)
    ruling, history = judge(fate, history, reason=reason)
    assert (ruling.state, ruling.gives_up, ruling.retry_after) == (ChannelState.FAILED, True, None)
    assert ruling.reason == ("unreadable_refusal" if attempts == 3 else reason)
    assert judge(fate, history.anew(), reason=reason)[0].gives_up is False


def test_maintenance_is_told_apart_from_a_lost_connection() -> None:
    assert judge(Fate.DISCONNECTED)[0].reason == "whatsapp_unavailable"
    _, connected = judge(Fate.CONNECTED)
    ruling, history = judge(Fate.DISCONNECTED, connected)
    assert ruling.reason == "connection_lost"
    assert judge(Fate.DISCONNECTED, history)[0].reason == "connection_lost", "the client goes on trying by itself"


FATES = st.sampled_from([fate for fate in Fate if fate is not Fate.CONNECTED])
HISTORIES = st.builds(
    History,
    attempts=st.integers(0, 40),
    connected_at=st.none() | st.floats(0, 1000),
    ever_connected=st.booleans(),
    replaced_at=st.lists(st.floats(0, 1000), max_size=4).map(lambda moments: tuple(sorted(moments))),
)
REASONS = st.sampled_from(["", "unreachable", "silent", "errors", "thread_ended", "unencodable_event", "other", "x"])


@given(FATES, HISTORIES, REASONS, st.booleans(), st.floats(0, 1))
def test_whatever_happens_follows_a_row_of_the_table(
    fate: Fate, history: History, reason: str, ours: bool, fraction: float
) -> None:
    ruling, after = judge(fate, history, ours=ours, fraction=fraction, reason=reason)
    rows = [row for row in POLICIES.values() if row.state is ruling.state]
    assert rows
    assert "<" in "".join(row.reason for row in rows) or ruling.reason in {row.reason for row in rows}
    if ruling.gives_up:
        assert ruling.retry_after is None
    elif ruling.stop:
        assert ruling.retry_after is not None
        assert 0 <= ruling.retry_after <= max(BACKOFF.most, UNKNOWN_BAN_SECONDS)
    else:
        assert fate is Fate.DISCONNECTED
    if fate in {Fate.LOGGED_OUT, Fate.OUTDATED}:
        assert ruling.gives_up
    assert after.attempts <= history.attempts + 1


def test_a_dead_host_and_a_first_dead_pump_are_followed_at_once() -> None:
    assert judge(Fate.HOST_LOST, History(attempts=5))[0].retry_after == 0.0
    assert judge(Fate.PUMP_ENDED)[0].retry_after == 0.0
    assert judge(Fate.PUMP_ENDED, History(attempts=1))[0].retry_after == 4.0


def test_a_plain_drop_is_left_to_the_library() -> None:
    ruling, _ = judge(Fate.DISCONNECTED)
    assert (ruling.state, ruling.stop, ruling.retry_after) == (ChannelState.DISCONNECTED, False, None)
