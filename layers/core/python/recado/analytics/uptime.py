"""A channel's uptime, MTTR and MTBF, from its ``channel.state_changed`` events alone.

The rules stand in ``docs/runner-metrics.md``. Anybody who keeps the events (a webhook receiver, an archive) can apply
them; here they are in code, and on the command line::

    python -m recado.analytics.uptime 2026-11-01T00:00:00Z 2026-12-01T00:00:00Z < events.jsonl

with one event a line, as webhooks carry them; it prints one JSON object for each channel.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from recado.channels.model import ChannelState
from recado.kernel.clock import from_text

STATE_CHANGED = "channel.state_changed"
_ENDED = frozenset(
    {
        ChannelState.CREATED,
        ChannelState.PAIRING,
        ChannelState.LOGGED_OUT,
        ChannelState.REPLACED,
        ChannelState.REJECTED,
        ChannelState.DELETED,
    }
)
_ASKED_FOR = frozenset({"requested", "not_paired", "pairing_timed_out"})


@dataclass(frozen=True, slots=True)
class Change:
    """What one event says: the state and reason since a moment, in the order of ``sequence``."""

    sequence: int
    at: datetime
    state: ChannelState
    reason: str | None

    @property
    def wanted(self) -> bool:
        """Whether anybody wants the channel connected from here on."""
        if self.state in {ChannelState.DISCONNECTED, ChannelState.FAILED}:
            reason = self.reason or ""
            return reason not in _ASKED_FOR and not reason.startswith("pairing_")
        return self.state not in _ENDED


@dataclass(frozen=True, slots=True)
class Availability:
    """How a channel did in a period; seconds, and None where there is nothing to divide by.

    Attributes:
        up: connected.
        down: not connected though somebody wanted it to be.
        failures: changes from connected to anything else that nobody asked for.
        uptime: the share of ``up`` in both.
        mttr: mean time to recovery.
        mtbf: mean time between failures.
    """

    up: float
    down: float
    failures: int

    @property
    def uptime(self) -> float | None:
        """The share of connected time, 0 to 1."""
        return self.up / (self.up + self.down) if self.up + self.down else None

    @property
    def mttr(self) -> float | None:
        """Mean seconds until it was connected again."""
        return self.down / self.failures if self.failures else None

    @property
    def mtbf(self) -> float | None:
        """Mean seconds of connection between failures."""
        return self.up / self.failures if self.failures else None


def change_of(event: Mapping[str, Any]) -> Change | None:
    """Return what an event says of its channel; None for other events.

    Args:
        event: the event as webhooks carry it.
    """
    if event["type"] != STATE_CHANGED:
        return None
    data = event["data"]
    moment = from_text(event["timestamp"])
    return Change(int(event["sequence"]), moment, ChannelState(data["state"]), data["reason"])


def availability(changes: Iterable[Change], start: datetime, end: datetime) -> Availability:
    """Return how one channel did from ``start`` to ``end``.

    Args:
        changes: its changes, in any order and with repeats; the last one before ``start`` should be among them, or the
            time until the first is not counted.
        start: the period's beginning.
        end: its end; what holds then goes on.
    """
    ordered = sorted({change.sequence: change for change in changes}.values(), key=lambda change: change.sequence)
    up = down = 0.0
    failures = 0
    for place, change in enumerate(ordered):
        following = ordered[place + 1] if place + 1 < len(ordered) else None
        until = end if following is None else min(end, following.at)
        seconds = max(0.0, (until - max(start, change.at)).total_seconds())
        if change.state is ChannelState.CONNECTED:
            up += seconds
            if following is not None and start <= following.at < end and _is_failure(following):
                failures += 1
        elif change.wanted:
            down += seconds
    return Availability(up, down, failures)


def _is_failure(change: Change) -> bool:
    return change.state is not ChannelState.CONNECTED and not (
        change.reason == "requested" or change.state is ChannelState.DELETED
    )


def main() -> None:
    """Read events and print each channel's availability."""
    start, end = (from_text(text) for text in sys.argv[1:3])
    channels: dict[str, list[Change]] = defaultdict(list)
    for line in sys.stdin:
        event = json.loads(line)
        if change := change_of(event):
            channels[event["channel_id"]].append(change)
    for channel_id, changes in sorted(channels.items()):
        found = availability(changes, start, end)
        derived = {"uptime": found.uptime, "mttr": found.mttr, "mtbf": found.mtbf}
        sys.stdout.write(json.dumps({"channel_id": channel_id, **asdict(found), **derived}) + "\n")


if __name__ == "__main__":
    main()
