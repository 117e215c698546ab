"""What a session's fate means: report it, try again and when, or give up. Pure rules, no clock and no chance inside.

What follows from each event stands in ``failure_policy``; here it is decided which event it was, and the waits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from recado.channels.model import ChannelState
from session_runner.sessions.failure_policy import POLICIES, Event, Policy, Retry

REPLACED_RETRY_SECONDS = 5.0
REPLACED_WINDOW_SECONDS = 600.0
REPLACED_LIMIT = 3
UNKNOWN_BAN_SECONDS = 3600.0
MOST_ATTEMPTS = 30
# A connection that lasts less is one more attempt that came to nothing.
STABLE_SECONDS = 60.0
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
    NOT_CONNECTED = "not_connected"
    PROXY_NOT_ALLOWED = "proxy_not_allowed"


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
    """What decides how patient to be.

    Attributes:
        attempts: failed ones in a row.
        connected_at: since when the present incarnation is connected; None when it is not. Monotonic, like all here.
        ever_connected: whether the present incarnation ever was.
        replaced_at: recent replacements.
    """

    attempts: int = 0
    connected_at: float | None = None
    ever_connected: bool = False
    replaced_at: tuple[float, ...] = ()

    def anew(self) -> "History":
        """Return the history for somebody who has asked anew: nothing has been tried for them yet."""
        return replace(self, attempts=0)

    def ended(self, now: float) -> "History":
        """Return the history once the incarnation is over."""
        lasted = self.connected_at is not None and now - self.connected_at >= STABLE_SECONDS
        attempts = 0 if lasted else self.attempts
        return replace(self, attempts=attempts, connected_at=None, ever_connected=False)


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
    most_attempts: int = MOST_ATTEMPTS,
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
        most_attempts: so many in a row, and no more.
    """
    if fate is Fate.CONNECTED:
        return Ruling(ChannelState.CONNECTED), replace(history, connected_at=now, ever_connected=True)
    event, reason = _event(fate, detail, history)
    if fate is Fate.REPLACED:
        recent = (*(at for at in history.replaced_at if now - at < REPLACED_WINDOW_SECONDS), now)
        history = replace(history, replaced_at=recent)
        event = Event.REPLACED if ours and len(recent) < REPLACED_LIMIT else Event.REPLACED_AGAIN
        reason = POLICIES[event].reason
    policy = POLICIES[event]
    if policy.retry is Retry.BY_CLIENT:
        # The library goes on by itself. A connection that has just broken may have been a good one.
        attempts = history.ended(now).attempts
        return _ruling(policy, reason, stop=False), replace(history, attempts=attempts, connected_at=None)
    history = history.ended(now)
    if policy.retry.counts:
        limit = min(most_attempts, policy.most_attempts or most_attempts)
        return _counted(policy, reason, history, limit, backoff.delay(history.attempts, fraction))
    if fate is Fate.BANNED:
        seconds = max(float(detail.get("expire_seconds") or 0), 0.0) or UNKNOWN_BAN_SECONDS
        return _ruling(policy, reason, retry_after=seconds, banned_for=seconds), history
    if policy.retry in {Retry.NEVER, Retry.NEXT_RELEASE}:
        return _ruling(policy, reason, gives_up=True), history
    wait = REPLACED_RETRY_SECONDS if policy.retry is Retry.AFTER_FIVE_SECONDS else 0.0
    return _ruling(policy, reason, retry_after=wait), history


def _counted(policy: Policy, reason: str, history: History, limit: int, wait: float) -> tuple[Ruling, History]:
    tried = replace(history, attempts=history.attempts + 1)
    if tried.attempts >= limit:
        return _ruling(POLICIES[Event.GAVE_UP], reason, gives_up=True), tried
    at_once = policy.retry is Retry.AT_ONCE_THEN_BACKOFF and history.attempts == 0
    return _ruling(policy, reason, retry_after=0.0 if at_once else wait), tried


def _ruling(
    policy: Policy,
    reason: str,
    *,
    stop: bool = True,
    retry_after: float | None = None,
    gives_up: bool = False,
    banned_for: float | None = None,
) -> Ruling:
    if policy.state is None:
        raise ValueError(f"{policy.event} says nothing of the connection")
    return Ruling(
        policy.state,
        reason,
        stop=stop,
        retry_after=retry_after,
        gives_up=gives_up,
        clears_desired=gives_up and policy.clears_desired,
        forgets=policy.forgets,
        banned_for=banned_for,
    )


_PUMP_EVENTS = {
    event.value: event
    for event in (Event.UNREACHABLE, Event.PROXY_UNREACHABLE, Event.SILENT, Event.ERRORS, Event.THREAD_ENDED)
}
_EVENTS = {
    Fate.LOGGED_OUT: Event.LOGGED_OUT,
    Fate.REPLACED: Event.REPLACED,
    Fate.BANNED: Event.BANNED,
    Fate.OUTDATED: Event.OUTDATED,
    Fate.CONNECT_FAILURE: Event.CONNECT_FAILURE,
    Fate.HOST_LOST: Event.HOST_LOST,
    Fate.START_FAILED: Event.START_FAILED,
    Fate.NOT_CONNECTED: Event.NOT_CONNECTED_IN_TIME,
    Fate.PROXY_NOT_ALLOWED: Event.PROXY_NOT_ALLOWED,
}


def _event(fate: Fate, detail: Mapping[str, Any], history: History) -> tuple[Event, str]:
    """Return which event of the policy it was, and the reason code to report."""
    word = str(detail.get("reason") or "")
    if fate is Fate.DISCONNECTED:
        event = Event.CONNECTION_LOST if history.ever_connected else Event.NOT_ACCEPTED
    elif fate is Fate.PUMP_ENDED:
        event = _PUMP_EVENTS.get(word) or (
            Event.UNREADABLE_REFUSAL if word == "unencodable_event" and not history.ever_connected else Event.PUMP_ENDED
        )
        if event is Event.PUMP_ENDED and word:
            return event, word
    else:
        event = _EVENTS[fate]
    if fate is Fate.BANNED:
        return event, f"ban_{detail.get('code') or 'unknown'}"
    if event in {Event.CONNECT_FAILURE, Event.START_FAILED}:
        return event, word or fate.value
    return event, POLICIES[event].reason
