"""How far a session is from what is desired of its channel, and the next step. Pure: item and session in, step out.

The channel item's ``desired`` is the truth; commands only say "look again". So neither the order nor the loss of
commands matters, and the same rule serves start, take-over, the minute's re-reading and every nudge.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from recado.channels.model import Channel, ChannelState, Desired

WATCHDOG_SECONDS = 300.0
ENDING_SECONDS = 120.0


class Phase(StrEnum):
    """Where the session is, in this process."""

    ABSENT = "absent"
    PAIRING = "pairing"
    RUNNING = "running"


class Step(StrEnum):
    """What to do next."""

    NOTHING = "nothing"
    WAIT = "wait"
    PAIR = "pair"
    END_PAIRING = "end_pairing"
    START = "start"
    RESTART = "restart"
    LOSE_PATIENCE = "lose_patience"
    STOP = "stop"
    LOG_OUT = "log_out"
    FORGET = "forget"
    DELETE = "delete"
    REPORT_DISCONNECTED = "report_disconnected"
    REPORT_LOGGED_OUT = "report_logged_out"


@dataclass(slots=True)
class View:
    """What this process knows of a session beyond the channel item. Moments are monotonic seconds.

    Attributes:
        phase: where it is.
        connected: whether WhatsApp has accepted the running incarnation.
        not_connected_since: when it was begun or lost its connection.
        reported: the last state this process reported; the item may lag behind it.
        gave_up_version: the ``desired_version`` whose attempt has ended for good.
        not_before: before this no new incarnation may start.
        banned_until: the end of a ban seen by this process.
        restart_seen: the latest request to restart that the running incarnation came after.
        pairing_requested_at: which pairing request the running pairing serves.
        paired: whether this process saw the pairing or the log-out; None: ask the item.
        ending_since: since when the link should be ended (log-out or deletion).
    """

    phase: Phase = Phase.ABSENT
    connected: bool = False
    not_connected_since: float = 0.0
    reported: ChannelState | None = None
    gave_up_version: int = -1
    not_before: float = 0.0
    banned_until: datetime | None = None
    restart_seen: datetime | None = None
    pairing_requested_at: datetime | None = None
    paired: bool | None = None
    ending_since: float | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant on both clocks: ``now`` for what the item says, ``monotonic`` for waiting.

    ``patience`` is how many seconds an incarnation may take to be connected, at first or again.
    """

    now: datetime
    monotonic: float
    patience: float = WATCHDOG_SECONDS


Next = tuple[Step, float]
_DONE: Next = (Step.NOTHING, 0.0)
_UNDER_WAY = {ChannelState.PAIRING, ChannelState.CONNECTING, ChannelState.CONNECTED}


def is_paired(channel: Channel, view: View) -> bool:
    """Say whether the channel is linked to a phone, as far as anybody knows."""
    return channel.paired_at is not None if view.paired is None else view.paired


def next_step(channel: Channel, view: View, moment: Moment) -> Next:
    """Return the next step, and for WAIT the seconds until it is worth asking again.

    Args:
        channel: the channel item as last read.
        view: what this process knows.
        moment: the present.
    """
    if channel.desired in {Desired.LOGGED_OUT, Desired.DELETED}:
        return _towards_the_end(channel, view, moment)
    if channel.desired is Desired.CONNECTED:
        return _towards_connected(channel, view, moment)
    if view.phase is Phase.PAIRING:
        return Step.END_PAIRING, 0.0
    if view.phase is Phase.RUNNING:
        return Step.STOP, 0.0
    state = view.reported or channel.state
    return (Step.REPORT_DISCONNECTED, 0.0) if state in _UNDER_WAY else _DONE


def _towards_connected(channel: Channel, view: View, moment: Moment) -> Next:
    if view.phase is Phase.PAIRING:
        serves = channel.pairing is None or channel.pairing.requested_at == view.pairing_requested_at
        return _DONE if serves else (Step.END_PAIRING, 0.0)
    if view.phase is Phase.RUNNING:
        return _while_running(channel, view, moment)
    if channel.desired_version <= view.gave_up_version:
        return _DONE
    if wait := _patience(channel, view, moment):
        return Step.WAIT, wait
    if is_paired(channel, view):
        return Step.START, 0.0
    return (Step.PAIR if channel.pairing is not None else Step.REPORT_DISCONNECTED), 0.0


def _while_running(channel: Channel, view: View, moment: Moment) -> Next:
    # Told apart by being another, not by being later: the clocks of those who ask are not ours.
    if channel.restart_requested_at != view.restart_seen:
        return Step.RESTART, 0.0
    if view.connected:
        return _DONE
    left = view.not_connected_since + moment.patience - moment.monotonic
    return (Step.WAIT, left) if left > 0 else (Step.LOSE_PATIENCE, 0.0)


def _towards_the_end(channel: Channel, view: View, moment: Moment) -> Next:
    if view.phase is Phase.PAIRING:
        return Step.END_PAIRING, 0.0
    if not is_paired(channel, view):
        return _without_link(channel, view)
    if view.phase is Phase.RUNNING and view.connected:
        return Step.LOG_OUT, 0.0
    # Ending the link needs a connection. When none comes, the credentials are given up all the same.
    since = view.ending_since if view.ending_since is not None else moment.monotonic
    left = since + ENDING_SECONDS - moment.monotonic
    patience = _patience(channel, view, moment)
    gave_up = channel.desired_version <= view.gave_up_version
    if left <= 0 or patience > left or gave_up:
        return Step.FORGET, 0.0
    if view.phase is Phase.RUNNING:
        return Step.WAIT, left
    return (Step.WAIT, patience) if patience else (Step.START, 0.0)


def _without_link(channel: Channel, view: View) -> Next:
    if view.phase is Phase.RUNNING:
        return Step.STOP, 0.0
    if channel.desired is Desired.DELETED:
        return Step.DELETE, 0.0
    reported = (view.reported or channel.state) is ChannelState.LOGGED_OUT
    return _DONE if reported else (Step.REPORT_LOGGED_OUT, 0.0)


def _patience(channel: Channel, view: View, moment: Moment) -> float:
    banned_until = view.banned_until
    if banned_until is None and view.reported is None and channel.state is ChannelState.BANNED:
        banned_until = channel.ban_expires_at
    ban = (banned_until - moment.now).total_seconds() if banned_until else 0.0
    return max(ban, view.not_before - moment.monotonic, 0.0)
