"""The runner's metrics: collected in memory and written every half minute as lines of CloudWatch's embedded format.

Dimensions are stage, component, shard and, where it says anything, the event type: never clinic or channel, a
dimension of which would cost more than the clinic. Each pair of name and event type is one custom metric.
"""

import json
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

NAMESPACE = "Recado"
COMPONENT = "runner"
VALUES_PER_LINE = 99  # the format takes 100 values of a metric; at 100 Powertools writes by itself


def write_line(line: str) -> None:
    """Write a line to standard output in one piece, so that no log line of another thread gets inside."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


_Key = tuple[str, MetricUnit]
_Values = dict[str | None, dict[_Key, list[float]]]


@dataclass(slots=True)
class Metrics:
    """Collects one shard's metrics; safe from several threads.

    Args:
        stage: the installation.
        shard_id: the shard.
        write: takes each line.
    """

    stage: str
    shard_id: str
    write: Callable[[str], None] = write_line
    _counts: dict[tuple[str | None, str], float] = field(default_factory=dict)
    _observed: _Values = field(default_factory=dict)
    _gauges: dict[tuple[str | None, str, MetricUnit], float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, name: str, value: float = 1.0, *, event_type: str | None = None) -> None:
        """Add to a count; the sum of the half minute is written."""
        with self._lock:
            self._counts[event_type, name] = self._counts.get((event_type, name), 0.0) + value

    def observe(
        self, name: str, value: float, *, unit: MetricUnit = MetricUnit.Seconds, event_type: str | None = None
    ) -> None:
        """Take down one value of a distribution; every one is written."""
        with self._lock:
            self._observed.setdefault(event_type, defaultdict(list))[name, unit].append(value)

    def gauge(
        self, name: str, value: float, *, unit: MetricUnit = MetricUnit.Count, event_type: str | None = None
    ) -> None:
        """Say how something stands; the last word before a writing counts."""
        with self._lock:
            self._gauges[event_type, name, unit] = value

    def flush(self) -> None:
        """Write what was collected since the last time, one line for each event type, more for many values."""
        for event_type, values in self._taken().items():
            longest = max(len(each) for each in values.values())
            for at in range(0, longest, VALUES_PER_LINE):
                part = {key: each[at : at + VALUES_PER_LINE] for key, each in values.items() if each[at:]}
                self.write(self._line(event_type, part))

    def _taken(self) -> _Values:
        with self._lock:
            counts, self._counts = self._counts, {}
            taken, self._observed = self._observed, {}
            gauges, self._gauges = self._gauges, {}
        for (event_type, name), value in counts.items():
            taken.setdefault(event_type, defaultdict(list))[name, MetricUnit.Count].append(value)
        for (event_type, name, unit), value in gauges.items():
            taken.setdefault(event_type, defaultdict(list))[name, unit].append(value)
        return taken

    def _line(self, event_type: str | None, values: dict[_Key, list[float]]) -> str:
        dimensions = {"stage": self.stage, "component": COMPONENT, "shard": self.shard_id}
        if event_type is not None:
            dimensions["event_type"] = event_type
        made = AmazonCloudWatchEMFProvider(namespace=NAMESPACE, default_dimensions=dimensions)
        for (name, unit), each in values.items():
            for value in each:
                made.add_metric(name, unit, value)
        return json.dumps(made.serialize_metric_set(), separators=(",", ":"))
