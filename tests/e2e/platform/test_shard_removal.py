"""A deployment that would take a shard away asks the deployed stacks what is left on it."""

import asyncio

import boto3
import pytest

from infra.command_line import objections
from infra.config import Stage
from tests.e2e.platform.desk import Desk
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]


@pytest.fixture
def account(stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    """The account that the stack is deployed into."""
    for name, value in stack.described["environment"].items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return boto3.Session(region_name=stack.described["environment"]["AWS_REGION"])


async def test_a_shard_with_channels_of_two_clinics_cannot_be_given_up(
    account: boto3.Session, aurora: Desk, brisa: Desk
) -> None:
    """The stack's own outputs name the shard, and its table the channels; unchanged it may be deployed."""
    assert await asyncio.to_thread(objections, Stage(name="local", shared_shards=1), account) == []
    without = Stage(name="local", shared_shards=2, retired_shards=(1,))
    (said,) = await asyncio.to_thread(objections, without, account)
    assert said.startswith("shard-001 would disappear, but it still has ")
    assert int(said.split("still has ")[1].split(" channels")[0]) >= 2
