"""The shard's command queue: long-polled, each command deleted once it has been taken in.

Most commands are nudges (the truth is in DynamoDB), so taking one in means waking the channel's session. A command
that cannot be read or handled is left in the queue, which moves it to its dead-letter queue after a few tries;
it holds up nothing, because each command is handled by itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger

from recado.kernel.clock import Clock
from recado.kernel.envelopes import Command
from session_runner.blocking import Blocking

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

WAIT_SECONDS = 20
BATCH = 10
SHORT_POLL_SECONDS = 0.05
RETRY_SECONDS = (0.5, 15.0)

Handler = Callable[[Command], Awaitable[None]]


class CommandQueue:
    """Takes commands off the shard's queue.

    Args:
        client: an SQS client whose read time-out outlasts the long poll.
        queue_url: the shard's queue.
        handlers: by kind; a handler returns once the command is taken in, not once it is carried out.
        blocking: a thread of its own, because a long poll occupies one all the time.
        clock: tells whether a command has outlived the one who waits for it.
        logger: for commands that are left to the dead-letter queue.
        wait_seconds: how long a receive call waits for the first command.
    """

    def __init__(
        self,
        client: "SQSClient",
        *,
        queue_url: str,
        handlers: Mapping[str, Handler],
        blocking: Blocking,
        clock: Clock,
        logger: Logger,
        wait_seconds: int = WAIT_SECONDS,
    ) -> None:
        self._client = client
        self._queue_url = queue_url
        self._handlers = handlers
        self._blocking = blocking
        self._clock = clock
        self._logger = logger
        self._wait_seconds = wait_seconds

    async def run(self) -> None:
        """Take commands in until cancelled."""
        retry = RETRY_SECONDS[0]
        while True:
            try:
                messages = await self._blocking(self._receive)
                retry = RETRY_SECONDS[0]
                if not messages and not self._wait_seconds:
                    await asyncio.sleep(SHORT_POLL_SECONDS)
                if done := [message for message in messages if await self.take_in(message.get("Body", ""))]:
                    await self._blocking(self._delete, done)
            except Exception:
                self._logger.exception("the command queue does not answer, trying again")
                await asyncio.sleep(retry)
                retry = min(retry * 2, RETRY_SECONDS[1])

    async def take_in(self, body: str) -> bool:
        """Hand a command to its handler; say whether it is done with (taken in, or too old to matter)."""
        try:
            command = Command.from_json(body)
            handler = self._handlers[command.kind]
        except (ValueError, KeyError):
            self._logger.exception("a command cannot be read")
            return False
        fields = {"clinic_id": command.clinic_id, "channel_id": command.channel_id, "kind": command.kind}
        if command.expires_at <= self._clock.now():
            self._logger.info("a command has expired", extra=fields)
            return True
        try:
            await handler(command)
        except Exception:
            self._logger.exception("a command was not taken in", extra=fields)
            return False
        return True

    def _receive(self) -> "list[MessageTypeDef]":
        answer = self._client.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=BATCH, WaitTimeSeconds=self._wait_seconds
        )
        return answer.get("Messages", [])

    def _delete(self, messages: "list[MessageTypeDef]") -> None:
        answer = self._client.delete_message_batch(
            QueueUrl=self._queue_url,
            Entries=[
                {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]} for place, message in enumerate(messages)
            ],
        )
        for failed in answer.get("Failed", []):
            # It will come again, and taking a command in twice changes nothing.
            self._logger.warning("a command was not deleted", extra={"code": failed["Code"]})
