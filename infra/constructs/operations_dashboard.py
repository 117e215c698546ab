"""The dashboard of whoever runs the platform: from what integrators feel down to the shards."""

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.config import Stage
from infra.constructs.measures import Measures
from infra.tables import TABLES
from infra.timeouts import FUNCTION_TIMEOUTS

QUEUES = ("ingest", "webhook-events", "webhook-deliveries", "analytics-events")
"""The queues that feed functions, named without ``recado-<stage>-``."""

_STATES = ("connected", "connecting", "pairing", "disconnected", "logged_out", "banned", "replaced", "failed")
_WIDE, _HALF, _THIRD = 24, 12, 8


class OperationsDashboard(Construct):
    """Everything a stage does, clinics aside.

    Args:
        stage: the stage.
        measures: its metrics.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, measures: Measures) -> None:
        super().__init__(scope, construct_id)
        self._measures = measures
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=f"recado-{stage.name}-operations",
            default_interval=Duration.hours(6),
            widgets=[
                [_title("API")],
                self._api(),
                [_title("Queues: what waits, for how long, and what was given up")],
                self._queues(),
                [_title("Shards")],
                self._sessions(),
                self._traffic(),
                self._runners(),
                [_title("Functions")],
                self._functions(),
                [_title("Tables")],
                self._tables(),
            ],
        )

    def _api(self) -> list[cloudwatch.IWidget]:
        of_api = self._measures.of_api
        own = [
            self._measures.of_component("api", "RequestMilliseconds", statistic) for statistic in ("p50", "p90", "p99")
        ]
        return [
            _graph("Requests", [of_api("Count", "Sum")], _THIRD),
            _graph("Errors", [of_api("4XXError", "Sum"), of_api("5XXError", "Sum")], _THIRD),
            _graph("Milliseconds (without long polls)", own, _THIRD),
        ]

    def _queues(self) -> list[cloudwatch.IWidget]:
        of_queue = self._measures.of_queue
        waiting, age, dead = (
            "ApproximateNumberOfMessagesVisible",
            "ApproximateAgeOfOldestMessage",
            "ApproximateNumberOfMessagesVisible",
        )
        return [
            _graph("Messages waiting", [of_queue(queue, waiting, "Maximum") for queue in QUEUES], _THIRD),
            _graph("Age of the oldest, seconds", [of_queue(queue, age, "Maximum") for queue in QUEUES], _THIRD),
            _graph("Dead letters", [of_queue(f"{queue}-dead-letters", dead, "Maximum") for queue in QUEUES], _THIRD),
        ]

    def _sessions(self) -> list[cloudwatch.IWidget]:
        all_shards = self._measures.of_all_shards
        return [
            _graph("Heartbeats a minute (two are right)", [all_shards("Hosts", "SampleCount", "")], _THIRD),
            _graph(
                "Sessions by state",
                [all_shards("Sessions", "Maximum", state, event_type=state, total=True) for state in _STATES],
                _THIRD,
                stacked=True,
            ),
            _graph(
                "Wanted sessions that are down, sessions that are not well",
                [
                    all_shards("SessionsDown", "Maximum", "down "),
                    all_shards("SessionsDegraded", "Maximum", "not well "),
                ],
                _THIRD,
            ),
        ]

    def _traffic(self) -> list[cloudwatch.IWidget]:
        all_shards = self._measures.of_all_shards
        return [
            _graph("Messages by shard and type", [all_shards("Messages", "Sum", "", event_type="")], _THIRD),
            _graph("How sendings ended", [all_shards("MessageResults", "Sum", "", event_type="")], _THIRD),
            _graph("Connection errors by type", [all_shards("Errors", "Sum", "", event_type="")], _THIRD),
        ]

    def _runners(self) -> list[cloudwatch.IWidget]:
        all_shards, services = self._measures.of_all_shards, self._measures.of_all_services
        return [
            _graph(
                "Facts not handed on: seconds, and spilled ones",
                [
                    all_shards("JournalOldestSeconds", "Maximum", "oldest "),
                    all_shards("SpilledFacts", "Sum", "spilled "),
                ],
                _THIRD,
            ),
            _graph("Recovery, seconds", [all_shards("RecoverySeconds", "p90", "", event_type="")], _THIRD),
            _graph(
                "CPU and memory of tasks, %",
                [services("CPUUtilization", "CPU "), services("MemoryUtilization", "memory ")],
                _THIRD,
            ),
        ]

    def _functions(self) -> list[cloudwatch.IWidget]:
        of_function = self._measures.of_function
        shown = (
            ("Errors", "Errors", "Sum"),
            ("Throttles", "Throttles", "Sum"),
            ("Duration p99, milliseconds", "Duration", "p99"),
            ("At the same time", "ConcurrentExecutions", "Maximum"),
        )
        return [
            _graph(title, [of_function(folder, name, statistic) for folder in FUNCTION_TIMEOUTS], 6)
            for title, name, statistic in shown
        ]

    def _tables(self) -> list[cloudwatch.IWidget]:
        of_table, names = self._measures.of_table, [table.name for table in TABLES]
        return [
            _graph(title, [of_table(table, name, "Sum") for table in names], _HALF)
            for title, name in (("Throttled reads", "ReadThrottleEvents"), ("Throttled writes", "WriteThrottleEvents"))
        ]


def _graph(
    title: str, metrics: Sequence[cloudwatch.IMetric], width: int, *, stacked: bool = False
) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=width, height=6, stacked=stacked)


def _title(text: str) -> cloudwatch.TextWidget:
    return cloudwatch.TextWidget(
        markdown=f"## {text}", width=_WIDE, height=1, background=cloudwatch.TextWidgetBackground.TRANSPARENT
    )
