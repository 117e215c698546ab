"""What stands in for ECS says of tasks what ECS would say, to the very client that a runner uses."""

import asyncio

import boto3
import pytest
from aws_lambda_powertools import Logger
from botocore.config import Config

from local.stack.ecs import EcsRecords
from session_runner.lease.task_evidence import EcsEvidence, owner_of, task_arn


def test_a_task_learns_its_name_and_another_ones_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Running is no evidence, stopped is; a task that never was, and an ECS that is away, are none either."""

    async def whole() -> None:
        records = EcsRecords()
        await records.start()
        task = records.begin()
        for name, value in {**task.environment, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}.items():
            monkeypatch.setenv(name, value)
        assert await asyncio.to_thread(task_arn, task.environment["ECS_CONTAINER_METADATA_URI_V4"]) == task.arn

        def stopped(arn: str) -> bool:
            quiet = Logger(service="test", level="CRITICAL")
            once = Config(retries={"total_max_attempts": 1})
            client = boto3.client("ecs", region_name="sa-east-1", config=once)
            return EcsEvidence(client, lambda: 0.0, quiet).stopped(owner_of(arn))

        assert not await asyncio.to_thread(stopped, task.arn)
        records.end(task.arn)
        assert await asyncio.to_thread(stopped, task.arn)
        assert not await asyncio.to_thread(stopped, f"{task.arn}0")
        records.silent = True
        assert not await asyncio.to_thread(stopped, task.arn)
        await records.stop()

    asyncio.run(whole())
