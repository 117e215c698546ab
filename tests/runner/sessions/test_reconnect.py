"""What a session's fate means, for every history: no forbidden attempt, no endless silence, no endless knocking."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.channels.model import ChannelState
from session_runner.reconnect import (
    REPLACED_LIMIT,
    REPLACED_RETRY_SECONDS,
    REPLACED_WINDOW_SECONDS,
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
    assert (ruling.state, ruling.reason, ruling.retry_after) == (ChannelState.BANNED, "ban_101", float(seconds))


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
    assert history.attempts == 0


def test_a_dead_host_and_a_first_dead_pump_are_followed_at_once() -> None:
    assert judge(Fate.HOST_LOST, History(attempts=5))[0].retry_after == 0.0
    assert judge(Fate.PUMP_ENDED)[0].retry_after == 0.0
    assert judge(Fate.PUMP_ENDED, History(attempts=1))[0].retry_after == 4.0


def test_a_plain_drop_is_left_to_the_library() -> None:
    ruling, _ = judge(Fate.DISCONNECTED)
    assert (ruling.state, ruling.stop, ruling.retry_after) == (ChannelState.DISCONNECTED, False, None)
