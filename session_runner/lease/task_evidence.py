"""Who owns a lease, in a way that others can ask ECS about: whether the owner's task has stopped.

The owner's name holds the ARN of its task, which ECS gives to no other, and a nonce of its start, so that a process
started again inside the same task is another owner.
"""

import json
import os
import secrets
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

METADATA_SECONDS = 2.0
PACE_SECONDS = 2.0
# The only word of ECS that means that no container of the task runs any more and none will
# (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html).
_STOPPED = "STOPPED"
_BETWEEN = " "


class Evidence(Protocol):
    """Knows of owners whose task has stopped."""

    def stopped(self, owner: str) -> bool:
        """Say whether nothing of this owner runs any more; False whenever that is not certain. Never raises."""
        ...


class NoEvidence:
    """For a runner that nobody would tell of other tasks' ends."""

    def stopped(self, owner: str) -> bool:  # noqa: ARG002 - nobody is known
        """Say that nothing is certain."""
        return False


class DescribesTasks(Protocol):
    """What is used of boto3's client for ECS."""

    def describe_tasks(self, *, cluster: str, tasks: Sequence[str]) -> Mapping[str, Any]:
        """Return ``{"tasks": [{"taskArn", "lastStatus", …}], "failures": […]}``."""
        ...


def task_arn(metadata_uri: str) -> str:
    """Return the ARN of the task that this process runs in.

    Args:
        metadata_uri: what ECS puts into ``ECS_CONTAINER_METADATA_URI_V4``
            (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-fargate.html).

    Raises:
        OSError, ValueError, KeyError: it does not answer, or not as documented.
    """
    # Past any proxy: the endpoint is link-local.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(f"{metadata_uri}/task", timeout=METADATA_SECONDS) as answer:
        return str(json.load(answer)["TaskARN"])


def place_of(metadata_uri: str, logger: Logger) -> str:
    """Return where this process runs: the ARN of its task, or the machine's name if there is nobody to tell it.

    Args:
        metadata_uri: as above, empty where there is no ECS.
        logger: for an endpoint that does not answer; whoever takes over from us will then have to wait.
    """
    if metadata_uri:
        try:
            return task_arn(metadata_uri)
        except (OSError, ValueError, KeyError) as error:
            logger.warning("this task does not learn its name", extra={"cause": type(error).__name__})
    return os.uname().nodename


def owner_of(place: str) -> str:
    """Return a new owner's name.

    Args:
        place: the task's ARN, or the machine's name where there is no ECS.
    """
    return f"{place}{_BETWEEN}{secrets.token_hex(8)}"


class EcsEvidence:
    """Asks ECS, at most every two seconds. An unknown task, another status and no answer are no evidence.

    Args:
        client: of ECS.
        monotonic: a clock in seconds.
        logger: for ECS not answering.
    """

    def __init__(self, client: DescribesTasks, monotonic: Callable[[], float], logger: Logger) -> None:
        self._client = client
        self._monotonic = monotonic
        self._logger = logger
        self._not_before = 0.0
        self._gone: str | None = None

    def stopped(self, owner: str) -> bool:
        """Say whether ECS says that the owner's task has stopped, which stays true for ever."""
        if owner == self._gone:
            return True
        arn = owner.partition(_BETWEEN)[0]
        cluster = _cluster_of(arn)
        if cluster is None or self._monotonic() < self._not_before:
            return False
        self._not_before = self._monotonic() + PACE_SECONDS
        try:
            answer = self._client.describe_tasks(cluster=cluster, tasks=[arn])
        except (ClientError, BotoCoreError) as error:
            self._logger.warning("ECS does not tell of the owner's task", extra={"cause": type(error).__name__})
            return False
        found = [task.get("lastStatus") for task in answer.get("tasks", []) if task.get("taskArn") == arn]
        if found != [_STOPPED]:
            return False
        self._gone = owner
        self._logger.info("the owner's task has stopped", extra={"task": arn})
        return True


def _cluster_of(arn: str) -> str | None:
    """Return the cluster in ``arn:aws:ecs:<region>:<account>:task/<cluster>/<id>``; None if that is no task's ARN."""
    service, _, rest = arn.partition(":task/")
    cluster, slash, task = rest.partition("/")
    return cluster if service.startswith("arn:") and ":ecs:" in service and slash and task else None
