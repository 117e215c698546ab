"""How a shard stands, as it is written down every half minute."""

import json
from types import SimpleNamespace
from typing import Any, cast

from recado.channels.model import ChannelState, Desired
from session_runner.carrying import Carrying
from session_runner.health.measuring import Measuring
from session_runner.health.metrics import Metrics
from tests.support.clock import FixedClock


def _session(state: ChannelState, desired: Desired, *, linked: bool = True) -> Any:
    channel = SimpleNamespace(desired=desired, paired_at="then" if linked else None)
    return SimpleNamespace(state=state, channel=channel)


def _written(sessions: list[Any]) -> dict[str, Any]:
    lines: list[str] = []
    metrics = Metrics("test", "shard-001", lines.append)
    carrying = Carrying(cast("Any", None))
    carrying.sessions = {str(number): session for number, session in enumerate(sessions)}
    publisher: Any = SimpleNamespace(pending=0, oldest_at=None)
    pool: Any = SimpleNamespace(seats=[])
    clock = FixedClock()
    measuring = Measuring(
        metrics, lambda: carrying.states, pool, publisher, clock, wanted=lambda: carrying.wanted_states
    )
    clock.advance(90)
    measuring.measure()
    metrics.flush()
    (whole,) = [line for line in map(json.loads, lines) if "event_type" not in line]
    return cast("dict[str, Any]", whole)


def test_only_sessions_that_are_meant_to_be_connected_can_be_down() -> None:
    """Who hung up, never linked a phone or was banned for good is not missed; who lost the connection is."""
    written = _written(
        [
            _session(ChannelState.CONNECTED, Desired.CONNECTED),
            _session(ChannelState.CONNECTING, Desired.CONNECTED),
            _session(ChannelState.DISCONNECTED, Desired.CONNECTED),
            _session(ChannelState.DISCONNECTED, Desired.DISCONNECTED),
            _session(ChannelState.PAIRING, Desired.CONNECTED, linked=False),
            _session(ChannelState.BANNED, Desired.DISCONNECTED),
        ]
    )
    assert (written["SessionsWanted"], written["SessionsDown"]) == ([3.0], [2.0])


def test_an_empty_shard_says_that_it_is_there() -> None:
    """The alarm on a silent shard looks for ``Hosts``; that on sessions that are down needs the other three."""
    written = _written([])
    assert written["TaskSeconds"] == [90.0]
    assert (written["Hosts"], written["SessionsWanted"], written["SessionsDown"]) == ([0.0], [0.0], [0.0])
