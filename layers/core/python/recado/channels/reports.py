"""How a report of a runner changes a channel: every pair of state and report has a decided outcome."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from recado.channels.model import Channel, ChannelState, Desired

_S = ChannelState

# Reports that say less than what is known already. A closed socket, for one, says nothing about a channel whose
# phone is unlinked, and must not hide why it was. "created" is nothing a runner can see, and "deleted" becomes true
# only by the transaction that deletes.
_UNINFORMATIVE: dict[ChannelState, frozenset[ChannelState]] = {
    _S.CREATED: frozenset({_S.DISCONNECTED}),
    _S.PAIRING: frozenset(),
    _S.CONNECTING: frozenset(),
    _S.CONNECTED: frozenset(),
    _S.DISCONNECTED: frozenset(),
    _S.LOGGED_OUT: frozenset({_S.DISCONNECTED, _S.REPLACED, _S.FAILED}),
    _S.BANNED: frozenset({_S.DISCONNECTED, _S.FAILED}),
    _S.REPLACED: frozenset({_S.DISCONNECTED}),
    _S.OUTDATED: frozenset({_S.DISCONNECTED, _S.FAILED}),
    _S.REJECTED: frozenset({_S.DISCONNECTED, _S.LOGGED_OUT, _S.FAILED}),
    _S.FAILED: frozenset({_S.DISCONNECTED}),
    _S.DELETED: frozenset(_S) - {_S.DELETED},
}
_NEVER_REPORTED_OF_OTHERS = frozenset({_S.CREATED, _S.DELETED})


class Outcome(StrEnum):
    """What became of a report."""

    MOVED = "moved"
    STAYED = "stayed"
    IGNORED = "ignored"
    REPLAYED = "replayed"
    OUTDATED = "outdated"


@dataclass(frozen=True, slots=True)
class Report:
    """What a runner reports of a channel.

    Attributes:
        state: what it is now.
        reason: why, as a stable word such as ``pairing_timed_out``; None if there is nothing to add.
        sequence: rises with every report of the channel.
        observed_at: when the runner saw it.
        lid: the linked account's LID, if known.
        ban_expires_at: when a ban ends.
        retry_at: when a connection is tried again without anybody asking, if that is planned.
        clear_desired_version: the request that has ended without success and is not wanted any more, unless a
            later one was made.
    """

    state: ChannelState
    reason: str | None
    sequence: int
    observed_at: datetime
    lid: str | None = None
    ban_expires_at: datetime | None = None
    retry_at: datetime | None = None
    clear_desired_version: int | None = None


def outcome_of(state: ChannelState, reported: ChannelState) -> Outcome:
    """Return what a newer report does to a channel in that state: it moves, stays, or takes no notice."""
    if reported is state:
        return Outcome.STAYED
    if reported in _NEVER_REPORTED_OF_OTHERS or reported in _UNINFORMATIVE[state]:
        return Outcome.IGNORED
    return Outcome.MOVED


def apply(channel: Channel, report: Report) -> tuple[Channel, Outcome]:
    """Return the channel after a report, and what became of it; the same object if nothing changed."""
    if report.sequence <= channel.state_sequence:
        return channel, Outcome.REPLAYED if report.sequence == channel.state_sequence else Outcome.OUTDATED
    outcome = outcome_of(channel.state, report.state)
    after = replace(channel, state_sequence=report.sequence)
    if outcome is Outcome.IGNORED:
        return _cleared(after, report), outcome
    if channel.reported_state is not report.state:
        after = replace(
            after,
            reported_state=report.state,
            previous_state=channel.reported_state,
            changed_sequence=report.sequence,
        )
    if channel.state is ChannelState.DELETED:
        return after, outcome
    after = replace(
        after,
        state=report.state,
        reason=report.reason,
        state_since=report.observed_at if outcome is Outcome.MOVED else channel.state_since,
        updated_at=max(report.observed_at, channel.updated_at),
        ban_expires_at=report.ban_expires_at if report.state is ChannelState.BANNED else None,
        retry_at=report.retry_at,
    )
    if report.state is ChannelState.CONNECTED:
        after = replace(after, last_connected_at=report.observed_at, pairing=None, lid=report.lid or channel.lid)
    return _cleared(after, report), outcome


def _cleared(channel: Channel, report: Report) -> Channel:
    ended = report.clear_desired_version == channel.desired_version and channel.desired is Desired.CONNECTED
    return replace(channel, desired=Desired.DISCONNECTED, pairing=None) if ended else channel
