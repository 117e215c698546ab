"""What an AWS account holds of a stage's shards: read before a deployment, never written."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from infra.shard_names import command_queue_name, unlisted
from infra.shard_removal import Deployed, Remains, UnknownRemainsError

if TYPE_CHECKING:
    from boto3 import Session
    from mypy_boto3_sqs.literals import QueueAttributeNameType

# A stack of which nothing was ever there: its creation has failed, or was only planned.
_NEVER_THERE = frozenset({"ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS", "DELETE_COMPLETE"})
_WAITING: "tuple[QueueAttributeNameType, ...]" = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


class DeployedShards:
    """Reads a stage's shards from the outputs of its stacks, its queues, its channels and the vault's bucket.

    Args:
        session: credentials and region of the account.
        stage_name: which stage.
    """

    def __init__(self, session: "Session", stage_name: str) -> None:
        self._stage_name = stage_name
        self._cloudformation = session.client("cloudformation")
        self._sqs = session.client("sqs")
        self._dynamodb = session.client("dynamodb")
        self._s3 = session.client("s3")

    def read(self) -> Deployed:
        """Return what is there; nothing of a stage that was never deployed.

        Raises:
            UnknownRemainsError: the account does not say.
        """
        try:
            outputs = self._outputs("messaging")
            queues = frozenset(self._queued())
        except (ClientError, BotoCoreError) as error:
            raise UnknownRemainsError(_why(error)) from error
        if outputs is None:
            return Deployed(left=queues)
        if not {"Shards", "SharedShards"} <= outputs.keys():
            raise UnknownRemainsError(f"the stack recado-{self._stage_name}-messaging does not say which shards it has")
        carried = frozenset(unlisted(outputs["Shards"]))
        return Deployed(carried, queues - carried, int(outputs["SharedShards"]))

    def remains_of(self, shard_id: str) -> Remains:
        """Return what is left on a shard.

        Raises:
            UnknownRemainsError: the account does not say.
        """
        try:
            return Remains(self._channels(shard_id), self._commands(shard_id), self._has_spilled(shard_id))
        except (ClientError, BotoCoreError) as error:
            raise UnknownRemainsError(_why(error)) from error

    def _outputs(self, stack: str) -> Mapping[str, str] | None:
        try:
            described = self._cloudformation.describe_stacks(StackName=f"recado-{self._stage_name}-{stack}")
        except ClientError as error:
            # CloudFormation has no code of its own for this.
            if "does not exist" in str(error):
                return None
            raise
        (found,) = described["Stacks"]
        if found["StackStatus"] in _NEVER_THERE:
            return None
        return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}

    def _queued(self) -> Iterator[str]:
        """Yield the shards that have a command queue, which stays when a shard is taken away."""
        pattern = re.compile(re.escape(command_queue_name(self._stage_name, "*")).replace(r"\*", "(shard-[0-9a-z]+)"))
        prefix = command_queue_name(self._stage_name, "*").partition("*")[0]
        pages = self._sqs.get_paginator("list_queues").paginate(QueueNamePrefix=f"{prefix}shard-")
        for page in pages:
            for url in page.get("QueueUrls", []):
                if named := pattern.fullmatch(url.rpartition("/")[2]):
                    yield named[1]

    def _channels(self, shard_id: str) -> int:
        # The channels themselves, not the count that placement keeps: that one is in no backup.
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=f"recado-{self._stage_name}-core",
            IndexName="by_shard",
            KeyConditionExpression="shard_id = :shard",
            ExpressionAttributeValues={":shard": {"S": shard_id}},
            Select="COUNT",
        )
        return sum(page["Count"] for page in pages)

    def _commands(self, shard_id: str) -> int:
        try:
            url = self._sqs.get_queue_url(QueueName=command_queue_name(self._stage_name, shard_id))["QueueUrl"]
        except self._sqs.exceptions.QueueDoesNotExist:
            return 0
        answer = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(_WAITING))
        return sum(int(answer["Attributes"][name]) for name in _WAITING)

    def _has_spilled(self, shard_id: str) -> bool:
        outputs = self._outputs("data") or {}
        if "VaultBucket" not in outputs:
            raise UnknownRemainsError(f"the stack recado-{self._stage_name}-data names no vault")
        listed = self._s3.list_objects_v2(Bucket=outputs["VaultBucket"], Prefix=f"spill/{shard_id}/", MaxKeys=1)
        return listed["KeyCount"] > 0


def _why(error: Exception) -> str:
    if isinstance(error, ClientError):
        return f"{error.operation_name} answers {error.response['Error']['Code']}"
    return str(error)
