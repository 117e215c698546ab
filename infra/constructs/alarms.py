"""Alarms that say what to do: each names its runbook, and rings and ends at the stage's topic."""

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.config import Stage

_AT_LEAST = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
MISSING_IS_BAD = cloudwatch.TreatMissingData.BREACHING
MISSING_IS_FINE = cloudwatch.TreatMissingData.NOT_BREACHING


def described(what: str, runbook: str) -> str:
    """Return an alarm's description.

    Args:
        what: what is wrong and the first thing to do, in whole sentences.
        runbook: the name of a file in ``docs/runbooks``, without its ending.
    """
    return f"{what} Runbook: docs/runbooks/{runbook}.md"


class Alarms:
    """Makes a stage's alarms.

    Args:
        stage: whose names they carry.
        topic: who is told when one rings and when it ends.
    """

    def __init__(self, stage: Stage, topic: sns.ITopic) -> None:
        self._prefix = f"recado-{stage.name}"
        self._topic = topic

    def add(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        what: str,
        runbook: str,
        metric: cloudwatch.IMetric,
        threshold: float,
        minutes: int,
        of: int | None = None,
        comparison: cloudwatch.ComparisonOperator = _AT_LEAST,
        missing: cloudwatch.TreatMissingData = MISSING_IS_FINE,
    ) -> None:
        """Make an alarm on a metric.

        Args:
            scope: where it belongs.
            construct_id: its id there.
            name: what its name ends in.
            what: what is wrong and the first thing to do.
            runbook: its page in ``docs/runbooks``.
            metric: what is compared.
            threshold: with what.
            minutes: how many of the metric's periods have to be bad.
            of: out of how many of the last ones; the same number if omitted.
            comparison: from where on it is bad; at the threshold and above if omitted.
            missing: what no data means.
        """
        alarm = cloudwatch.Alarm(
            scope,
            construct_id,
            alarm_name=f"{self._prefix}-{name}",
            alarm_description=described(what, runbook),
            metric=metric,
            threshold=threshold,
            evaluation_periods=of or minutes,
            datapoints_to_alarm=minutes,
            comparison_operator=comparison,
            treat_missing_data=missing,
        )
        action = actions.SnsAction(self._topic)
        alarm.add_alarm_action(action)
        alarm.add_ok_action(action)
