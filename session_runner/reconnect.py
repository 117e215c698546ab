"""What a session's fate means: report it, try again and when, or give up. Pure rules, no clock and no chance inside.

Sources: whatsmeow reconnects by itself after a plain drop, never after a log-out, a replacement, a ban or a refused
version; its first dial is not repeated. A ban says how long it lasts. Trying again sooner risks the number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from recado.channels.model import ChannelState

REPLACED_RETRY_SECONDS = 5.0
REPLACED_WINDOW_SECONDS = 600.0
REPLACED_LIMIT = 3
WATCHDOG_SECONDS = 300.0
_LARGEST_EXPONENT = 16


class Fate(StrEnum):
    """What can happen to a session, in the words of the host's ``session_event`` notices, and some of our own."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    LOGGED_OUT = "logged_out"
    REPLACED = "replaced"
    BANNED = "banned"
    OUTDATED = "outdated"
    CONNECT_FAILURE = "connect_failure"
    PUMP_ENDED = "pump_ended"
    HOST_LOST = "host_lost"
    START_FAILED = "start_failed"


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter, so that a shard's sessions do not knock together.

    ``least`` is the ceiling of the first wait, ``most`` of every later one, both in seconds.
    """

    least: float
    most: float

    def delay(self, attempt: int, fraction: float) -> float:
        """Return seconds to wait before this attempt (counted from 0); ``fraction`` in [0, 1] is the jitter."""
        ceiling: float = min(self.most, self.least * 2.0 ** min(attempt, _LARGEST_EXPONENT))
        return ceiling * fraction


@dataclass(frozen=True, slots=True)
class History:
    """What decides how patient to be: failed attempts in a row, and the monotonic moments of recent replacements."""

    attempts: int = 0
    replaced_at: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Ruling:
    """What to do about a fate.

    Attributes:
        state: the channel state to report.
        reason: a stable code that goes with the state.
        stop: this incarnation must be stopped.
        retry_after: seconds until a new incarnation may start; None when none may.
        gives_up: nothing is tried again until somebody asks anew (``desired_version`` rises).
        clears_desired: nor by any later owner: the wish to be connected is taken back.
        forgets: WhatsApp has ended the link, the credentials are worthless.
        banned_for: seconds the ban lasts, if it is one.
    """

    state: ChannelState
    reason: str = ""
    stop: bool = False
    retry_after: float | None = None
    gives_up: bool = False
    clears_desired: bool = False
    forgets: bool = False
    banned_for: float | None = None


def rule(
    fate: Fate,
    detail: Mapping[str, Any],
    history: History,
    *,
    now: float,
    ours: bool,
    backoff: Backoff,
    fraction: float,
) -> tuple[Ruling, History]:
    """Say what to do about a fate.

    Args:
        fate: what happened.
        detail: the notice's further fields: ``code`` and ``expire_seconds`` of a ban, ``reason`` of a failure.
        history: what happened before.
        now: monotonic seconds.
        ours: whether the lease is provably ours, so that a replacement cannot have been our own successor.
        backoff: how long to wait after failures.
        fraction: the jitter, in [0, 1].
    """
    if fate is Fate.CONNECTED:
        return Ruling(ChannelState.CONNECTED), replace(history, attempts=0)
    if fate is Fate.DISCONNECTED:
        return Ruling(ChannelState.DISCONNECTED, "connection_lost"), history
    if fate is Fate.REPLACED:
        return _replaced(history, now=now, ours=ours)
    if fate in _FINAL:
        return _final(fate, detail), history
    if fate is Fate.HOST_LOST:
        return Ruling(ChannelState.DISCONNECTED, fate.value, stop=True, retry_after=0.0), history
    reason = str(detail.get("reason") or fate.value)
    wait = backoff.delay(history.attempts, fraction)
    if fate is Fate.PUMP_ENDED and history.attempts == 0:
        wait = 0.0
    ruling = Ruling(ChannelState.DISCONNECTED, reason, stop=True, retry_after=wait)
    return ruling, replace(history, attempts=history.attempts + 1)


_FINAL = {Fate.LOGGED_OUT, Fate.BANNED, Fate.OUTDATED}


def _final(fate: Fate, detail: Mapping[str, Any]) -> Ruling:
    if fate is Fate.LOGGED_OUT:
        return Ruling(
            ChannelState.LOGGED_OUT, "unlinked_by_phone", stop=True, gives_up=True, clears_desired=True, forgets=True
        )
    if fate is Fate.OUTDATED:
        # Still desired: the next release of the runner speaks a newer version and connects.
        return Ruling(ChannelState.OUTDATED, "client_outdated", stop=True, gives_up=True)
    seconds = max(float(detail.get("expire_seconds") or 0), 0.0)
    reason = f"ban_{detail.get('code') or 'unknown'}"
    return Ruling(ChannelState.BANNED, reason, stop=True, retry_after=seconds, banned_for=seconds)


def _replaced(history: History, *, now: float, ours: bool) -> tuple[Ruling, History]:
    recent = (*(moment for moment in history.replaced_at if now - moment < REPLACED_WINDOW_SECONDS), now)
    history = replace(history, replaced_at=recent)
    if not ours or len(recent) >= REPLACED_LIMIT:
        state = ChannelState.REPLACED
        return Ruling(state, "replaced_elsewhere", stop=True, gives_up=True, clears_desired=True), history
    ruling = Ruling(ChannelState.DISCONNECTED, "stream_replaced", stop=True, retry_after=REPLACED_RETRY_SECONDS)
    return ruling, history
