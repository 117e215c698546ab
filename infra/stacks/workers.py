"""The functions that queues and the clock start."""

from typing import Any

from aws_cdk import Duration, Stack, Tags
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.assets import Assets
from infra.config import Stage
from infra.constructs import encryption_grants, grants
from infra.constructs.acknowledged import acknowledge
from infra.constructs.environment import Environment
from infra.constructs.functions import Layers, RecadoFunction
from infra.constructs.item_grants import allow_items, allow_queries
from infra.constructs.key_grants import allow_making_keys, allow_unwrapping_keys
from infra.constructs.queues import DeadLetters, DurableQueue
from infra.stacks.data import DataStack
from infra.stacks.messaging import MessagingStack


class WorkersStack(Stack):
    """Recorder, webhooks, analytics and backup."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        assets: Assets,
        data: DataStack,
        messaging: MessagingStack,
        **options: Any,
    ) -> None:
        super().__init__(scope, construct_id, **options)
        Tags.of(self).add("recado:component", "workers")
        self._stage = stage
        self._assets = assets
        self._data = data
        self._messaging = messaging
        self._environment = Environment(stage, data, messaging)
        self._key = kms.Key.from_key_arn(self, "Key", data.key.key_arn)
        self._layers = Layers(self, "Layers", stage=stage, assets=assets, owner="workers")
        self._add_recorder()
        self._add_webhooks()
        self._add_webhook_attempts()
        self._add_webhook_schedule()
        self._add_analytics()
        self._add_backup()

    def _add_recorder(self) -> None:
        environment = self._environment
        function = self._function(
            "recorder", environment={**environment.bus(), **environment.ingest(), **environment.key()}
        )
        tables = self._data.tables
        allow_items(function, tables["core"], "GetItem", "UpdateItem")
        allow_items(
            function, tables["messages"], "GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"
        )
        # It seals what is broken, whose clinic is not to be believed, for the platform.
        allow_making_keys(function, tables["keys"], self._data.key, clinic="platform")
        self._messaging.bus.grant_put_events_to(function)
        self._consume(function, self._messaging.ingest, batch_size=10)
        grants.allow_postponing(function, self._messaging.ingest.queue)

    def _add_webhooks(self) -> None:
        function = self._function("webhooks", environment=self._environment.deliveries())
        tables = self._data.tables
        allow_items(function, tables["core"], "Query")
        allow_items(function, tables["messages"], "GetItem", "PutItem")
        self._send(function, self._messaging.deliveries)
        self._consume(function, self._messaging.webhooks, batch_size=10)

    def _add_webhook_attempts(self) -> None:
        environment = self._environment
        function = self._function(
            "webhook_attempts",
            environment={**environment.deliveries(), **environment.webhooks(), **environment.key()},
        )
        tables = self._data.tables
        allow_items(function, tables["core"], "GetItem", "UpdateItem")
        allow_items(function, tables["messages"], "GetItem", "UpdateItem")
        allow_items(function, tables["runtime"], "PutItem", "DeleteItem")
        allow_unwrapping_keys(function, tables["keys"], self._data.key)
        self._send(function, self._messaging.deliveries)
        # One at a time: a slow endpoint then holds up nothing but its own try.
        self._consume(function, self._messaging.deliveries, batch_size=1)

    def _add_webhook_schedule(self) -> None:
        function = self._function("webhook_schedule", environment=self._environment.deliveries())
        # Of the table of leases and codes it has to do with the buckets only.
        allow_items(
            function, self._data.tables["runtime"], "GetItem", "Query", "UpdateItem", "DeleteItem", leading=["due#*"]
        )
        self._send(function, self._messaging.deliveries)
        self._every(Duration.minutes(1), function, "webhook-schedule")

    def _add_analytics(self) -> None:
        function = self._function("analytics", environment={})
        allow_items(function, self._data.tables["analytics"], "PutItem", "UpdateItem")
        self._consume(function, self._messaging.analytics, batch_size=10)

    def _add_backup(self) -> None:
        environment = self._environment
        function = self._function("backup", environment={**environment.buckets(), **environment.key()})
        allow_items(function, self._data.tables["core"], "Query", leading=["clinic#*"])
        allow_queries(function, self._data.tables["core"], "by_kind", leading=["clinic"])
        encryption_grants.allow_writing_through(function, self._data.key, self.region, "s3")
        grants.allow_reading_objects(function, self._data.vault)
        grants.allow_writing_objects(function, self._data.backups)
        self._every(Duration.hours(1), function, "backup")

    def _function(self, name: str, *, environment: dict[str, str]) -> lambda_.Function:
        function = RecadoFunction(
            self,
            "".join(part.capitalize() for part in name.split("_")),
            name=name,
            stage=self._stage,
            assets=self._assets,
            layers=self._layers,
            environment={**self._environment.tables(), **environment},
        ).function
        encryption_grants.allow_reading_through(function, self._data.key, self.region, "dynamodb")
        return function

    def _send(self, function: lambda_.Function, target: DurableQueue) -> None:
        grants.allow_sending(function, target.queue)
        encryption_grants.allow_writing_through(function, self._data.key, self.region, "sqs")

    def _consume(self, function: lambda_.Function, source: DurableQueue, *, batch_size: int) -> None:
        # What fails goes back to the queue and in the end to its dead letters: SQS mappings have no other destination.
        # Not the CDK's event source, which also grants what Lambda's poller never does.
        function.add_event_source_mapping(
            "Source",
            event_source_arn=source.queue.queue_arn,
            batch_size=batch_size,
            max_concurrency=self._stage.function_concurrency,
            report_batch_item_failures=True,
        )
        grants.allow_being_fed(function, source.queue)
        encryption_grants.allow_reading_through(function, self._data.key, self.region, "sqs")

    def _every(self, period: Duration, function: lambda_.Function, name: str) -> None:
        """Start a function by the clock. What fails, on its way or in the function, ends in its dead-letter queue."""
        failed = DeadLetters(
            function,
            "Failed",
            name=f"recado-{self._stage.name}-{name}",
            # By its ARN: a right for the rule must not be written into the key's policy, which is another stack's.
            key=self._key,
            alarms=self._messaging.alarms,
        ).queue
        acknowledge(failed, "SQS3", "It is a dead-letter queue itself: of a function that the clock starts.")
        rule = events.Rule(function, "Schedule", schedule=events.Schedule.rate(period))
        # A run that starts later than the next one is of no use: the next does its work.
        rule.add_target(
            targets.LambdaFunction(function, retry_attempts=2, max_event_age=period, dead_letter_queue=failed)
        )
        lambda_.CfnEventInvokeConfig(
            function,
            "Failures",
            function_name=function.function_name,
            qualifier="$LATEST",
            maximum_retry_attempts=2,
            maximum_event_age_in_seconds=int(period.to_seconds()),
            destination_config=lambda_.CfnEventInvokeConfig.DestinationConfigProperty(
                on_failure=lambda_.CfnEventInvokeConfig.OnFailureProperty(destination=failed.queue_arn)
            ),
        )
        grants.allow_sending(function, failed)
        encryption_grants.allow_writing_through(function, self._data.key, self.region, "sqs")
