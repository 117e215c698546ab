"""Queues whose messages, once given up, are kept and noticed."""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.alarms import described

# Lambda's advice for SQS sources, so that batches that were throttled are not handed out twice.
VISIBILITY_TIMES_TIMEOUT = 6
_DEAD_LETTERS_KEPT_DAYS = 14


class DeadLetters(Construct):
    """Where given-up messages are kept, and the alarm that rings at the first.

    Args:
        name: of whom the messages are; the queue is called ``<name>-dead-letters``, and so is the alarm.
        key: encrypts the queue.
        alarms: the topic to notify.
        removal: what becomes of the queue when its stack goes.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        key: kms.IKey,
        alarms: sns.ITopic,
        removal: RemovalPolicy = RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=f"{name}-dead-letters",
            encryption_master_key=key,
            data_key_reuse=Duration.minutes(5),
            enforce_ssl=True,
            retention_period=Duration.days(_DEAD_LETTERS_KEPT_DAYS),
            removal_policy=removal,
        )
        alarm = cloudwatch.Alarm(
            self,
            "Alarm",
            alarm_name=f"{name}-dead-letters",
            alarm_description=described(
                f"Messages of {name} were given up; they are kept for {_DEAD_LETTERS_KEPT_DAYS} days. Mend what they "
                "failed at, then hand them out again.",
                "dead-letters",
            ),
            metric=self.queue.metric_approximate_number_of_messages_visible(
                period=Duration.minutes(1), statistic="Maximum"
            ),
            threshold=1,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(alarms))


class DurableQueue(Construct):
    """A queue, its dead-letter queue and the alarm that rings at the first dead letter.

    Args:
        name: the queue's physical name; the dead-letter queue's is ``<name>-dead-letters``.
        handling: how long one handling may take; the visibility time-out is six times that.
        attempts: how often a message is handed out before it is a dead letter.
        retention: how long a message waits for a consumer at most.
        key: encrypts both queues.
        alarms: the topic to notify.
        removal: what becomes of the queue when its stack goes.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        handling: Duration,
        attempts: int,
        retention: Duration,
        key: kms.IKey,
        alarms: sns.ITopic,
        removal: RemovalPolicy = RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = DeadLetters(self, "DeadLetters", name=name, key=key, alarms=alarms, removal=removal).queue
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=name,
            encryption_master_key=key,
            data_key_reuse=Duration.minutes(5),
            enforce_ssl=True,
            retention_period=retention,
            visibility_timeout=Duration.seconds(int(handling.to_seconds()) * VISIBILITY_TIMES_TIMEOUT),
            receive_message_wait_time=Duration.seconds(20),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=attempts),
            removal_policy=removal,
        )
