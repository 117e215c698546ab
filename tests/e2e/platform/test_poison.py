"""Garbage in any queue is set aside and holds up nobody."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from recado.kernel.clock import to_text
from recado.kernel.envelopes import Entry
from recado.kernel.ids import Prefix, new_id
from tests.bench.platform import Phones
from tests.e2e.platform.desk import Desk
from tests.e2e.platform.endpoint_server import EndpointServer
from tests.e2e.platform.waiting import eventually
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]
Talk = Callable[[Desk], Awaitable[None]]
_WITH_DEAD_LETTERS = ("shard-001-commands", "webhook-events", "webhook-deliveries", "analytics-events")
_VISIBILITY_SECONDS = 1


class Queues:
    """The deployed queues as their operator sees them."""

    def __init__(self, stack: RunningStack) -> None:
        self._sqs = stack.aws("sqs")

    async def call(self, operation: str, name: str, **parameters: Any) -> Any:
        """Make one call for a queue, named without the stage's prefix."""
        url = (await asyncio.to_thread(self._sqs.get_queue_url, QueueName=f"recado-local-{name}"))["QueueUrl"]
        return await asyncio.to_thread(getattr(self._sqs, operation), QueueUrl=url, **parameters)

    async def attribute(self, name: str, attribute: str) -> int:
        """Return a number that describes a queue."""
        answer = await self.call("get_queue_attributes", name, AttributeNames=[attribute])
        return int(answer["Attributes"][attribute])

    async def take(self, name: str) -> list[str]:
        """Take what lies in a queue and return the bodies."""
        bodies = []
        while found := (await self.call("receive_message", name, MaxNumberOfMessages=10)).get("Messages"):
            for message in found:
                bodies.append(message["Body"])
                await self.call("delete_message", name, ReceiptHandle=message["ReceiptHandle"])
        return bodies


@pytest.fixture
async def queues(stack: RunningStack) -> AsyncIterator[Queues]:
    """The queues, handing out again after a second what was not taken in; deployed, that is minutes."""
    queues = Queues(stack)
    before = {name: await queues.attribute(name, "VisibilityTimeout") for name in _WITH_DEAD_LETTERS}
    for name in _WITH_DEAD_LETTERS:
        await queues.call("set_queue_attributes", name, Attributes={"VisibilityTimeout": str(_VISIBILITY_SECONDS)})
    yield queues
    for name, seconds in before.items():
        await queues.call("set_queue_attributes", name, Attributes={"VisibilityTimeout": str(seconds)})


@pytest.fixture
async def talk(phones: Phones, server: EndpointServer, contact: str) -> Talk:
    """Sends a message and an answer to it, and waits until webhooks have told of both."""

    async def both_ways(desk: Desk) -> None:
        endpoint = await desk.listen(server, ["message.*"])
        await desk.until_status(await desk.send(contact, "apesar de tudo"), "delivered")
        await phones.send(contact, desk.number, "recebido")

        async def told() -> bool:
            types = {event["type"] for event in server.events_at(endpoint["path"])}
            return types >= {"message.sent", "message.delivered", "message.received"}

        await eventually(told, "webhooks tell of both messages")
        await desk.call("DELETE", f"/webhook-endpoints/{endpoint['webhook_endpoint_id']}")

    return both_ways


def _garbage(clinic_id: str, channel_id: str) -> list[str]:
    """Return what no consumer can take: no JSON, JSON of another kind, and what looks almost right."""
    mark = str(uuid4())
    almost = {
        "version": 1,
        "kind": "nonsense",
        "command_id": mark,
        "clinic_id": clinic_id,
        "channel_id": channel_id,
        "detail": {"type": "message.received", "clinic_id": clinic_id},
        "data": None,
    }
    return [f"nonsense {mark}", json.dumps([mark]), json.dumps(almost)]


async def test_garbage_in_every_queue_ends_as_dead_letters_and_traffic_goes_on(
    own: Desk, contact: str, queues: Queues, talk: Talk
) -> None:
    """A message sent after it and its answer reach webhooks and counts; then each dead-letter queue holds all of it.

    The queues' visibility time-outs are shortened for this, their limits of receives are the deployed ones.
    """
    for name in _WITH_DEAD_LETTERS:
        await queues.take(f"{name}-dead-letters")
    # The runner's long poll that is under way would still hand out for a minute; this message ends it.
    await own.until_status(await own.send(contact, "antes"), "delivered")
    garbage = _garbage(own.clinic_id, own.channel_id)
    for name in _WITH_DEAD_LETTERS:
        for body in garbage:
            await queues.call("send_message", name, MessageBody=body)
    await talk(own)

    async def counted() -> bool:
        return await own.volume() == {"inbound": 1, "outbound": 2}

    await eventually(counted, "all three messages are counted")
    for name in _WITH_DEAD_LETTERS:

        async def given_up(dead_letters: str = f"{name}-dead-letters") -> bool:
            return await queues.attribute(dead_letters, "ApproximateNumberOfMessages") == len(garbage)

        await eventually(given_up, f"the garbage of {name} is given up", seconds=120)
        assert sorted(await queues.take(f"{name}-dead-letters")) == sorted(garbage), name
        assert await queues.attribute(name, "ApproximateNumberOfMessages") == 0


async def test_invalid_entries_are_kept_sealed_and_the_others_of_their_batch_recorded(
    stack: RunningStack, aurora: Desk, brisa: Desk, queues: Queues, talk: Talk
) -> None:
    """What breaks the contract goes to the poison table at once, unreadable for who looks there, and never to a DLQ."""
    before, logged = await _poison(stack), await brisa.messages("inbound")
    entries = ["nonsense", None, _foreign(brisa.clinic_id, aurora.channel_id)]
    bodies = [
        *_garbage(aurora.clinic_id, aurora.channel_id),
        json.dumps({"version": 1, "entries": entries}),
        json.dumps({"version": 99, "entries": []}),
    ]
    for body in bodies:
        await queues.call("send_message", "ingest", MessageBody=body)
    await talk(aurora)
    wanted = len(bodies) - 1 + len(entries)

    async def kept() -> list[dict[str, Any]] | None:
        found = [item for item in await _poison(stack) if item not in before]
        return found if len(found) >= wanted else None

    items = await eventually(kept, "all of it lies in the poison table")
    assert len(items) == wanted
    assert "nonsense" not in str(items)
    assert "segredo" not in str(items)
    assert await brisa.messages("inbound") == logged
    assert await queues.attribute("ingest-dead-letters", "ApproximateNumberOfMessages") == 0


def _foreign(clinic_id: str, channel_id: str) -> dict[str, Any]:
    """Return a message that is right in all but one thing: the channel is another clinic's."""
    now = datetime.now(UTC)
    party = {"e164": "+5511977770001", "lid": None}
    data = {
        "whatsapp_id": "3A01",
        "chat": party,
        "from": party,
        "to": {"e164": "+5511988880001", "lid": None},
        "type": "text",
        "text": {"body": "segredo"},
        "timestamp": to_text(now),
    }
    entry_id = new_id(Prefix.EVENT)
    entry = Entry(entry_id, "message.received", clinic_id, channel_id, "shard-001", 1, 10**9, now, data)
    plain: dict[str, Any] = json.loads(entry.to_json())
    return plain


async def _poison(stack: RunningStack) -> list[dict[str, Any]]:
    partition = {":day": {"S": f"poison#{datetime.now(UTC):%Y%m%d}"}}
    found = await asyncio.to_thread(
        stack.aws("dynamodb").query,
        TableName="recado-local-messages",
        KeyConditionExpression="pk = :day",
        ExpressionAttributeValues=partition,
    )
    return list(found["Items"])
