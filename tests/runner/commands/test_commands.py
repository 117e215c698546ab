"""The command queue: taken in at most once each while it matters, and nothing unreadable holds anything up."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from recado.aws import clients, settings
from recado.kernel.clock import SystemClock
from recado.kernel.envelopes import Command
from session_runner.blocking import Blocking
from session_runner.commands.polling import CommandQueue
from tests.runner.fakes import until
from tests.support.aws import EmulatedAws


def command(kind: str = "channel.reconcile", *, old: bool = False, **data: Any) -> Command:
    now = SystemClock().now()
    expires_at = now + timedelta(seconds=-1 if old else 60)
    return Command("cmd_1", kind, "cli_a", "chn_a", now, expires_at, data)


class Taken:
    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.error: Exception | None = None

    async def __call__(self, command: Command) -> None:
        self.commands.append(command)
        if self.error:
            raise self.error


@pytest.fixture
def taken() -> Taken:
    return Taken()


def queue(taken: Taken) -> CommandQueue:
    return CommandQueue(
        clients.sqs(),
        queue_url=settings.shard_queues()["shard-001"],
        handlers={"channel.reconcile": taken},
        blocking=Blocking(1),
        clock=SystemClock(),
        logger=Logger(service="test", level="CRITICAL"),
        wait_seconds=0,
    )


def left() -> int:
    attributes = clients.sqs().get_queue_attributes(
        QueueUrl=settings.shard_queues()["shard-001"],
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )["Attributes"]
    return sum(int(value) for value in attributes.values())


def put(*bodies: str) -> None:
    for body in bodies:
        clients.sqs().send_message(QueueUrl=settings.shard_queues()["shard-001"], MessageBody=body)


def run_until(taken: Taken, probe: Any) -> None:
    async def whole() -> None:
        running = asyncio.create_task(queue(taken).run())
        await until(probe, "the queue is worked off")
        await asyncio.sleep(0.1)
        running.cancel()

    asyncio.run(whole())


def test_a_command_is_handed_over_and_deleted(aws: EmulatedAws, taken: Taken) -> None:
    sent = command(request_id="req_1")
    put(sent.to_json())
    run_until(taken, lambda: taken.commands)
    assert [found.data for found in taken.commands] == [{"request_id": "req_1"}]
    assert left() == 0


def test_what_cannot_be_read_stays_for_the_dead_letter_queue_and_holds_nothing_up(
    aws: EmulatedAws, taken: Taken
) -> None:
    put("{}", "not json", command("no.such_kind").to_json(), command().to_json())
    run_until(taken, lambda: taken.commands)
    assert len(taken.commands) == 1
    assert left() == 3


def test_a_command_that_outlived_whoever_waited_is_dropped(aws: EmulatedAws, taken: Taken) -> None:
    put(command(old=True).to_json(), command().to_json())
    run_until(taken, lambda: taken.commands)
    assert len(taken.commands) == 1
    assert left() == 0


def test_a_command_whose_handler_fails_comes_again_and_holds_nothing_up(aws: EmulatedAws, taken: Taken) -> None:
    taken.error = RuntimeError("not now")
    put(command().to_json(), command().to_json())
    run_until(taken, lambda: len(taken.commands) == 2)
    assert left() == 2
