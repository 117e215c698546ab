"""Every half minute: how the shard stands, and everything counted since, written out."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable

from aws_lambda_powertools.metrics import MetricUnit

from recado.channels.model import ChannelState
from recado.kernel.clock import Clock
from session_runner.health.metrics import Metrics
from session_runner.hosts.pool import HostPool
from session_runner.publishing.publisher import Publisher

SECONDS = 30.0


class Measuring:
    """Measures one shard.

    Args:
        metrics: where it goes.
        states: the present state of each session.
        pool: the hosts.
        publisher: the journals.
        clock: tells the age of what waits.
        wanted: the present state of each session that is meant to be connected.
    """

    def __init__(
        self,
        metrics: Metrics,
        states: Callable[[], Iterable[ChannelState]],
        pool: HostPool,
        publisher: Publisher,
        clock: Clock,
        *,
        wanted: Callable[[], Iterable[ChannelState]],
    ) -> None:
        self._metrics = metrics
        self._states = states
        self._wanted = wanted
        self._pool = pool
        self._publisher = publisher
        self._clock = clock
        self._since = clock.monotonic()
        self._seen: set[ChannelState] = set()

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            self.measure()
            self._metrics.flush()
            await asyncio.sleep(SECONDS)

    def measure(self) -> None:
        """Take down how everything stands."""
        states = Counter(self._states())
        # A state that nobody is in any more says zero once and again; one never seen costs no metric.
        self._seen |= set(states)
        for state in self._seen:
            self._metrics.gauge("Sessions", states[state], event_type=state.value)
        self._metrics.gauge("TaskSeconds", self._clock.monotonic() - self._since, unit=MetricUnit.Seconds)
        wanted = Counter(self._wanted())
        self._metrics.gauge("SessionsWanted", wanted.total())
        self._metrics.gauge("SessionsDown", wanted.total() - wanted[ChannelState.CONNECTED])
        self._metrics.gauge("Hosts", sum(not seat.pairing for seat in self._pool.seats))
        self._metrics.gauge("JournalPending", self._publisher.pending)
        oldest = self._publisher.oldest_at
        age = max((self._clock.now() - oldest).total_seconds(), 0.0) if oldest else 0.0
        self._metrics.gauge("JournalOldestSeconds", age, unit=MetricUnit.Seconds)
