"""What is looked at, and what calls somebody: two dashboards, and alarms that name their runbooks."""

from typing import Any

from aws_cdk import Duration, Stack, Tags
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.config import Stage
from infra.constructs.alarms import BELOW, MISSING_IS_BAD, Alarms
from infra.constructs.clinic_dashboard import ClinicDashboard
from infra.constructs.measures import Measures
from infra.constructs.operations_dashboard import QUEUES, OperationsDashboard
from infra.constructs.shard_alarms import ShardAlarms
from infra.timeouts import FUNCTION_TIMEOUTS

_FEW_REQUESTS = 20
"""Below so many requests in five minutes one failure is no share of anything."""


class ObservabilityStack(Stack):
    """Dashboards and alarms of a stage.

    It looks at everything by its name, so that no other stack depends on it or is held fast by it. Alarms on dead
    letters stand beside their queues.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, topic: sns.ITopic, **options: Any) -> None:
        super().__init__(scope, construct_id, **options)
        Tags.of(self).add("recado:component", "observability")
        self._thresholds = stage.alarms
        self._alarms = Alarms(stage, topic)
        self._measures = Measures(stage)
        OperationsDashboard(self, "Operations", stage=stage, measures=self._measures)
        ClinicDashboard(self, "Clinic", stage=stage)
        self._watch_api()
        self._watch_queues()
        self._watch_functions()
        self._watch_backup()
        # What stands in for ECS tasks writes no metrics that CloudWatch would see.
        for shard in stage.shards if stage.session_tasks else ():
            ShardAlarms(
                self,
                "".join(part.capitalize() for part in shard.shard_id.split("-")),
                shard=shard,
                stage=stage,
                alarms=self._alarms,
                measures=self._measures,
            )

    def _watch_api(self) -> None:
        five = Duration.minutes(5)
        self._alarms.add(
            self,
            "ApiErrors",
            name="api-errors",
            what=f"{self._thresholds.api_error_percent:g} % or more of the API's answers are 5xx: integrators cannot "
            "send. Look at the function's log for error_code.",
            runbook="api-errors",
            metric=cloudwatch.MathExpression(
                expression=f"IF(requests >= {_FEW_REQUESTS}, 100 * errors / requests, 0)",
                label="% of requests",
                using_metrics={
                    "errors": self._measures.of_api("5XXError", "Sum", five),
                    "requests": self._measures.of_api("Count", "Sum", five),
                },
                period=five,
            ),
            threshold=self._thresholds.api_error_percent,
            minutes=2,
        )
        self._alarms.add(
            self,
            "ApiLatency",
            name="api-latency",
            what="The slowest hundredth of requests takes "
            f"{self._thresholds.api_latency_ms} ms or more, long polls left out. Look at throttles and traces.",
            runbook="api-latency",
            metric=self._measures.of_component("api", "RequestMilliseconds", "p99", five),
            threshold=self._thresholds.api_latency_ms,
            minutes=3,
        )

    def _watch_queues(self) -> None:
        for queue in QUEUES:
            slow = queue == "webhook-deliveries"
            self._alarms.add(
                self,
                "".join(part.capitalize() for part in queue.split("-")) + "Age",
                name=f"{queue}-age",
                what=f"The oldest message of {queue} waits too long: its function fails, is throttled or cannot keep "
                "up. Nothing is lost; look at the function's errors.",
                runbook="queue-age",
                metric=self._measures.of_queue(queue, "ApproximateAgeOfOldestMessage", "Maximum"),
                threshold=self._thresholds.delivery_age_seconds if slow else self._thresholds.queue_age_seconds,
                minutes=5,
            )
        self._alarms.add(
            self,
            "Poison",
            name="entries-poisoned",
            what="The recorder set aside something that a runner saw, since it breaks its contract; it is kept sealed "
            "for 30 days.",
            runbook="entries-poisoned",
            metric=self._measures.of_component("recorder", "EntriesPoisoned", "Sum"),
            threshold=1,
            minutes=1,
        )

    def _watch_functions(self) -> None:
        for folder in FUNCTION_TIMEOUTS:
            shown = f"function-{folder.replace('_', '-')}"
            construct_id = "Function" + "".join(part.capitalize() for part in folder.split("_"))
            self._alarms.add(
                self,
                f"{construct_id}Errors",
                name=f"{shown}-errors",
                what=f"functions/{folder} ends with errors or in its time-out. Look at the last errors of its log.",
                runbook="function-errors",
                metric=self._measures.of_function(folder, "Errors", "Sum"),
                threshold=1,
                # One failure is tried again by its queue or the next minute; the backup's next try is an hour away.
                minutes=1 if folder == "backup" else 3,
                of=1 if folder == "backup" else 10,
            )
            self._alarms.add(
                self,
                f"{construct_id}Throttles",
                name=f"{shown}-throttles",
                what=f"Lambda refuses to run functions/{folder}: the account's concurrency is used up. Look at what "
                "uses it.",
                runbook="function-throttles",
                metric=self._measures.of_function(folder, "Throttles", "Sum"),
                threshold=1,
                minutes=3,
                of=5,
            )

    def _watch_backup(self) -> None:
        self._alarms.add(
            self,
            "BackupMissing",
            name="backup-missing",
            what="No backup has been made for two hours. Look at the schedule's rule and at functions/backup.",
            runbook="backup-missing",
            metric=self._measures.of_component("backup", "ClinicsBackedUp", "SampleCount", Duration.hours(1)),
            threshold=1,
            comparison=BELOW,
            minutes=2,
            missing=MISSING_IS_BAD,
        )
        self._alarms.add(
            self,
            "BackupLeft",
            name="backup-incomplete",
            what="Runs of the backup end before every clinic had its turn, three hours in a row. Give the function "
            "more memory, or have it run more often.",
            runbook="backup-missing",
            metric=self._measures.of_component("backup", "ClinicBackupsLeft", "Maximum", Duration.hours(1)),
            threshold=1,
            minutes=3,
        )
