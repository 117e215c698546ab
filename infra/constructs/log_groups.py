"""Log groups that are made here, so that what is in them is forgotten in time and goes with its stack."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.config import Stage


class OwnedLogGroup(Construct):
    """A log group of a given name; whoever finds none makes one that keeps everything for ever.

    Attributes:
        group: the log group; who refers to it waits for it to be made.
        resource: its CloudFormation resource.
    """

    def __init__(self, scope: Construct, construct_id: str, *, name: str, stage: Stage) -> None:
        super().__init__(scope, construct_id)
        self.resource = logs.CfnLogGroup(self, "Group", log_group_name=name, retention_in_days=stage.log_retention_days)
        self.resource.apply_removal_policy(RemovalPolicy.DESTROY)
        self.group = logs.LogGroup.from_log_group_name(self, "ByName", self.resource.ref)
