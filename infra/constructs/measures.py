"""The metrics that dashboards and alarms look at, ours and AWS's, each by the dimensions it is published with."""

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from infra.config import Stage

OWN_NAMESPACE = "Recado"
_MINUTE = Duration.minutes(1)


class Measures:
    """A stage's metrics, by the names of what they are about: referring to it would tie stacks together.

    Args:
        stage: the stage.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def of_component(
        self, component: str, name: str, statistic: str, period: Duration = _MINUTE, **dimensions: str
    ) -> cloudwatch.Metric:
        """Return one of our own metrics, as processes write it in CloudWatch's embedded format."""
        return cloudwatch.Metric(
            namespace=OWN_NAMESPACE,
            metric_name=name,
            dimensions_map={"stage": self._stage.name, "component": component, **dimensions},
            statistic=statistic,
            period=period,
        )

    def of_shard(self, shard_id: str, name: str, statistic: str, period: Duration = _MINUTE) -> cloudwatch.Metric:
        """Return a metric of one shard's runner."""
        return self.of_component("runner", name, statistic, period, shard=shard_id)

    def of_all_shards(
        self, name: str, statistic: str, label: str, *, event_type: str | None = None, total: bool = False
    ) -> cloudwatch.MathExpression:
        """Return a metric of every shard, or their sum; only for dashboards, since no alarm can search.

        Args:
            name: the metric.
            statistic: how the values of a minute become one.
            label: what the legend says.
            event_type: for a metric with this dimension, which one; empty for each.
            total: whether shards are added up.
        """
        schema = "Recado,component,shard,stage" if event_type is None else "Recado,component,event_type,shard,stage"
        wanted = f'MetricName="{name}" stage="{self._stage.name}" component="runner"'
        if event_type:
            wanted += f' event_type="{event_type}"'
        found = f"SEARCH('{{{schema}}} {wanted}', '{statistic}', 60)"
        return cloudwatch.MathExpression(
            expression=f"SUM({found})" if total else found, label=label, using_metrics={}, period=_MINUTE
        )

    def of_api(self, name: str, statistic: str, period: Duration = _MINUTE) -> cloudwatch.Metric:
        """Return a metric of API Gateway."""
        return _of_aws(
            "AWS/ApiGateway", name, statistic, period, ApiName=f"recado-{self._stage.name}", Stage=self._stage.name
        )

    def of_function(self, folder: str, name: str, statistic: str, period: Duration = _MINUTE) -> cloudwatch.Metric:
        """Return a metric of the function of ``functions/<folder>``."""
        return _of_aws("AWS/Lambda", name, statistic, period, FunctionName=self.function_name(folder))

    def of_queue(self, queue: str, name: str, statistic: str, period: Duration = _MINUTE) -> cloudwatch.Metric:
        """Return a metric of a queue, named without ``recado-<stage>-``."""
        return _of_aws("AWS/SQS", name, statistic, period, QueueName=f"recado-{self._stage.name}-{queue}")

    def of_table(self, table: str, name: str, statistic: str) -> cloudwatch.Metric:
        """Return a metric of a table."""
        return _of_aws("AWS/DynamoDB", name, statistic, _MINUTE, TableName=f"recado-{self._stage.name}-{table}")

    def of_all_services(self, name: str, label: str) -> cloudwatch.MathExpression:
        """Return a metric of every shard's ECS service; only for dashboards."""
        wanted = f'MetricName="{name}" ClusterName="recado-{self._stage.name}"'
        return cloudwatch.MathExpression(
            expression=f"SEARCH('{{AWS/ECS,ClusterName,ServiceName}} {wanted}', 'Average', 60)",
            label=label,
            using_metrics={},
            period=_MINUTE,
        )

    def function_name(self, folder: str) -> str:
        """Return the deployed name of a function."""
        return f"recado-{self._stage.name}-{folder.replace('_', '-')}"


def _of_aws(namespace: str, name: str, statistic: str, period: Duration, **dimensions: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=namespace, metric_name=name, dimensions_map=dimensions, statistic=statistic, period=period
    )
