"""How the parts talk: the event bus with one queue per consumer, the ingest queue and the shards' command queues."""

from typing import Any

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Stack, Tags
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.config import Shard, Stage
from infra.constructs.queues import DurableQueue
from infra.shard_names import command_queue_arn, command_queue_name, command_queue_url, listed
from infra.timeouts import FUNCTION_TIMEOUTS

EVENT_SOURCE = "recado"
_COMMAND_HANDLING_SECONDS = 10


class MessagingStack(Stack):
    """Bus, rules and queues of a stage.

    Attributes:
        bus: carries every event.
        ingest: what the runners saw, on its way to the recorder.
        commands: the command queue of each shard, by shard id.
        webhooks: events that may have to be delivered.
        deliveries: deliveries that are due.
        analytics: events to be counted.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, key: kms.IKey, **options: Any) -> None:
        super().__init__(scope, construct_id, **options)
        Tags.of(self).add("recado:component", "messaging")
        self._stage = stage
        # By its ARN, so that granting does not write this stack's ARNs into the key's policy: that would be a circle.
        self._key = kms.Key.from_key_arn(self, "Key", key.key_arn)
        self.alarms = self._make_alarm_topic()
        self.bus = events.EventBus(self, "Bus", event_bus_name=f"recado-{stage.name}")
        # The recorder lets failed messages come again after 5 s to 10 minutes: 30 attempts are four hours.
        self.ingest = self._make_queue("Ingest", "ingest", consumer="recorder", attempts=30)
        self.webhooks = self._make_queue("Webhooks", "webhook-events", consumer="webhooks", attempts=10)
        self.deliveries = self._make_queue("Deliveries", "webhook-deliveries", consumer="webhook_attempts", attempts=5)
        self.analytics = self._make_queue("Analytics", "analytics-events", consumer="analytics", attempts=10)
        self.commands = {shard.shard_id: self._make_command_queue(shard) for shard in stage.shards}
        self._route("WebhooksRule", self.webhooks)
        self._route("AnalyticsRule", self.analytics, detail_type=events.Match.prefix("message."))
        self._keep_events()
        CfnOutput(self, "EventBus", value=self.bus.event_bus_name)
        CfnOutput(self, "IngestQueueUrl", value=self.ingest.queue.queue_url)
        CfnOutput(self, "DeliveriesQueueUrl", value=self.deliveries.queue.queue_url)
        CfnOutput(self, "Shards", value=listed(stage.shard_ids))
        CfnOutput(self, "SharedShards", value=str(stage.shared_shards))
        CfnOutput(self, "ShardQueueUrl", value=command_queue_url(stage.name))

    def _make_alarm_topic(self) -> sns.Topic:
        topic = sns.Topic(
            self, "Alarms", topic_name=f"recado-{self._stage.name}-alarms", master_key=self._key, enforce_ssl=True
        )
        if self._stage.alarm_email:
            topic.add_subscription(subscriptions.EmailSubscription(self._stage.alarm_email))
        return topic

    def _make_queue(self, construct_id: str, name: str, *, consumer: str, attempts: int) -> DurableQueue:
        return DurableQueue(
            self,
            construct_id,
            name=f"recado-{self._stage.name}-{name}",
            handling=Duration.seconds(FUNCTION_TIMEOUTS[consumer]),
            attempts=attempts,
            retention=Duration.days(14),
            key=self._key,
            alarms=self.alarms,
        )

    def _make_command_queue(self, shard: Shard) -> sqs.IQueue:
        """Make a shard's queue; it stays when the shard's declaration goes, since its channels may still be moving.

        Other stacks get it by its name: what they imported could not be removed as long as they did.
        """
        construct_id = "".join(part.capitalize() for part in shard.shard_id.split("-"))
        durable = DurableQueue(
            self,
            construct_id,
            name=command_queue_name(self._stage.name, shard.shard_id),
            handling=Duration.seconds(_COMMAND_HANDLING_SECONDS),
            attempts=10,
            retention=Duration.days(1),
            key=self._key,
            alarms=self.alarms,
            removal=RemovalPolicy.RETAIN if self._stage.keep_data else RemovalPolicy.DESTROY,
        )
        Tags.of(durable).add("recado:shard", shard.shard_id)
        if shard.clinic_id:
            Tags.of(durable).add("recado:clinic", shard.clinic_id)
        return sqs.Queue.from_queue_arn(
            self, f"{construct_id}ByName", command_queue_arn(self._stage.name, shard.shard_id)
        )

    def _keep_events(self) -> None:
        """Keep what was sent, to be replayed to a consumer that was broken: consumers do nothing twice."""
        events.Archive(
            self,
            "Archive",
            source_event_bus=self.bus,
            archive_name=f"recado-{self._stage.name}",
            description="Thin events: ids and facts, no texts",
            event_pattern=events.EventPattern(source=[EVENT_SOURCE]),
            retention=Duration.days(self._stage.event_archive_days),
        )

    def _route(self, construct_id: str, consumer: DurableQueue, *, detail_type: Any = None) -> None:
        rule = events.Rule(
            self,
            construct_id,
            event_bus=self.bus,
            event_pattern=events.EventPattern(source=[EVENT_SOURCE], detail_type=detail_type),
        )
        rule.add_target(targets.SqsQueue(consumer.queue, dead_letter_queue=consumer.dead_letters))
