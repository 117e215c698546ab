"""Which AWS calls one message costs in each process, counted in process against moto with the real handlers.

The counts are of the steady state: keys are cached, the contact is known, one webhook endpoint takes every event, and
nothing is retried. SQS polling is charged as three requests a message (send, receive, delete), EventBridge per event.
"""

import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict

import pytest
from fastapi.testclient import TestClient
from moto.core.botocore_stubber import BotocoreStubber

from functions.analytics.handler import handler as analytics
from functions.api.app import create_app
from functions.recorder.handler import handler as recorder
from functions.webhook_attempts.handler import handler as webhook_attempts
from functions.webhooks.handler import handler as webhooks
from recado.aws.settings import DeliverySettings
from recado.channels import service as channels
from recado.clinics import service as clinics
from recado.clinics.model import Scope
from recado.contacts import service as contacts
from recado.contacts.model import KnownBy, Resolution
from recado.kernel.clock import to_text
from recado.kernel.envelopes import Entry
from recado.kernel.ids import Prefix, new_id
from recado.messages import service as messages
from recado.messages.limits import UNLIMITED
from recado.webhooks import service as webhook_rooms
from recado.webhooks.service import attempts
from recado.webhooks.transport import Outcome
from session_runner.outbox.sender import Sender
from tests.bench.prices import PER_GB_SECOND, PER_REQUEST, Call, total
from tests.runner.fakes import FakeHost, World, a_channel, until
from tests.support.aws import EmulatedAws, emulated_aws
from tests.support.lambdas import lambda_context, sqs_event

PATIENT, CLINIC_PHONE = {"e164": "+5511977770001", "lid": "99@lid"}, {"e164": "+5511988880001", "lid": "7@lid"}
_LAMBDA_SECONDS, _LAMBDA_GB = 0.05, 0.25
"""An assumed warm duration and memory: durations here are the emulator's, not Lambda's."""


class AwsCalls(TypedDict):
    """Operation counts by process, and the list price of everything together in US dollars."""

    send: dict[str, dict[str, int]]
    receive: dict[str, dict[str, int]]
    usd_per_sent: float
    usd_per_received: float


class Counted:
    """The calls made so far, by process."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.by_process: dict[str, list[Call]] = {}

    @contextmanager
    def process(self, name: str) -> Iterator[None]:
        """Collect what is called inside under a process's name."""
        self.calls = []
        yield
        self.by_process.setdefault(name, []).extend(self.calls)

    def summary(self) -> dict[str, dict[str, int]]:
        """Return the counts of ``service:Operation`` by process."""
        return {
            name: dict(Counter(f"{call.service}:{call.operation}" for call in calls))
            for name, calls in self.by_process.items()
        }

    def price(self, *, invocations: int, queued: int) -> float:
        """Return the price of all calls, of so many Lambda invocations and so many messages through SQS."""
        compute = PER_REQUEST["lambda"] + PER_GB_SECOND * _LAMBDA_SECONDS * _LAMBDA_GB
        polling = 2 * PER_REQUEST["sqs"] * queued
        return total(call for calls in self.by_process.values() for call in calls) + invocations * compute + polling


def _watch(monkeypatch: pytest.MonkeyPatch, counted: Callable[[], Counted]) -> None:
    process = BotocoreStubber.process_request

    def watched(self: BotocoreStubber, request: Any) -> Any:
        target = request.headers.get("X-Amz-Target", b"")
        name = target.decode() if isinstance(target, bytes) else str(target)
        service, _, operation = name.rpartition(".")
        known = {"DynamoDB": "dynamodb", "AmazonSQS": "sqs", "AWSEvents": "events", "TrentService": "kms"}
        short = next((value for key, value in known.items() if service.startswith(key)), "s3")
        body = json.loads(request.body or b"{}") if operation else {}
        counted().calls.append(Call(short, operation or request.method, body))
        return process(self, request)

    monkeypatch.setattr(BotocoreStubber, "process_request", watched)


class _Scene:
    """One clinic with a connected channel and an endpoint, and the functions that its messages pass."""

    def __init__(self, account: EmulatedAws, scratch: Path) -> None:
        self.account = account
        self.scratch = scratch
        self.counted = Counted()
        self.gate = messages.ReachGate(UNLIMITED)
        clinic = clinics.create_clinic("Bench", time_zone="America/Sao_Paulo")
        self.clinic_id = clinic.clinic_id
        _, self.key = clinics.create_api_key(self.clinic_id, "bench", {Scope.MESSAGES_SEND}, None)
        self.channel = channels.create(self.clinic_id, "Bench", None, None)
        contacts.remember(
            self.clinic_id,
            Resolution(PATIENT["e164"], PATIENT["e164"], None, PATIENT["lid"], True, datetime.now(UTC)),
        )
        contacts.meet(self.clinic_id, PATIENT["e164"], PATIENT["lid"], KnownBy.INBOUND, datetime.now(UTC))
        webhook_rooms.create_endpoint(self.clinic_id, url="https://93.184.215.14/", event_types=["message.*"])
        self.client = TestClient(create_app())

    def post(self) -> str:
        """Send through the API and return the message id."""
        path = f"/v1/clinics/{self.clinic_id}/channels/{self.channel.channel_id}/messages"
        body = {"to": PATIENT["e164"], "type": "text", "text": {"body": "Olá! Consulta amanhã às 14h."}}
        headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": new_id(Prefix.REQUEST)}
        answer = self.client.post(path, json=body, headers=headers)
        answer.raise_for_status()
        return str(answer.json()["message_id"])

    async def run_outbox(self) -> None:
        """Let the runner's sender drain the outbox through a host that accepts everything."""
        world = World(self.scratch / new_id(Prefix.COMMAND))
        host = FakeHost(lambda _: None, 1)
        channel = a_channel(phone=CLINIC_PHONE["e164"], lid=CLINIC_PHONE["lid"])
        line = _Line(host, channel, self.clinic_id, self.channel.channel_id)
        sender = Sender(line, world.around(messages=messages, contacts=contacts, gate=self.gate))
        sender.begin()
        await until(lambda: bool(world.journal.count()), "the result is in the journal")
        await asyncio.sleep(0.2)
        sender.cancel()

    def record(self, kind: str, data: dict[str, Any]) -> None:
        """Hand an entry to the recorder, and what it raises to webhooks and analytics."""
        now = datetime.now(UTC)
        entry = Entry(
            entry_id=new_id(Prefix.EVENT),
            kind=kind,
            clinic_id=self.clinic_id,
            channel_id=self.channel.channel_id,
            shard_id=self.channel.shard_id,
            epoch=1,
            sequence=1,
            observed_at=now,
            data={**data, "timestamp": to_text(now)} if kind != "message.result" else {**data, "at": to_text(now)},
        )
        body = json.dumps({"version": 1, "entries": [json.loads(entry.to_json())]})
        with self.counted.process("recorder"):
            recorder(sqs_event([body]), lambda_context())
        events = [json.dumps(event) for event in self.account.events()]
        assert events, f"{kind} raised no event"
        with self.counted.process("analytics"):
            analytics(sqs_event(events), lambda_context())
        with self.counted.process("webhooks"):
            webhooks(sqs_event(events), lambda_context())
        orders = self.account.bodies(str(DeliverySettings().deliveries_queue_url))
        assert orders, f"{kind} was dispatched to no endpoint"
        with self.counted.process("webhook_attempts"):
            webhook_attempts(sqs_event(orders), lambda_context())


class _Line:
    def __init__(self, host: FakeHost, channel: Any, clinic_id: str, channel_id: str) -> None:
        from dataclasses import replace  # noqa: PLC0415

        self.host = host
        self.channel = replace(channel, clinic_id=clinic_id, channel_id=channel_id)
        self.connected = asyncio.Event()
        self.connected.set()

    async def request(self, kind: str, *, seconds: float, **payload: Any) -> dict[str, Any]:
        return await self.host.request(kind, channel_id=self.channel.channel_id, **payload)


class _Accepting:
    def post(self, *_: object) -> Outcome:
        return Outcome(status_code=200, error=None, duration_ms=1)


def count() -> AwsCalls:
    """Count the calls of one sent and one received message."""
    monkeypatch = pytest.MonkeyPatch()
    holder: list[_Scene] = []
    idle = Counted()
    with emulated_aws(monkeypatch) as account, tempfile.TemporaryDirectory() as scratch:
        monkeypatch.setattr(attempts, "configured_poster", _Accepting)
        scene = _Scene(account, Path(scratch))
        holder.append(scene)
        _watch(monkeypatch, lambda: holder[0].counted if holder else idle)
        scene.post()
        asyncio.run(scene.run_outbox())
        sent = scene.counted = Counted()
        with sent.process("api"):
            message_id = scene.post()
        with sent.process("session_runner"):
            asyncio.run(scene.run_outbox())
        whatsapp_id = str(messages.get(scene.clinic_id, scene.channel.channel_id, message_id).whatsapp_id)
        result = {"message_id": message_id, "status": "sent", "whatsapp_id": whatsapp_id, "code": None}
        scene.record("message.result", result)
        receipt = {"whatsapp_ids": [whatsapp_id], "chat": PATIENT, "receipt": "delivered"}
        scene.record("message.receipt", receipt)
        received = scene.counted = Counted()
        scene.record("message.received", _inbound())
    monkeypatch.undo()
    return AwsCalls(
        send=sent.summary(),
        receive=received.summary(),
        # Each fact passes four queues (ingest, webhooks, deliveries, analytics) and four functions; sending has two
        # facts (sent, delivered), the API's own invocation and the doorbell.
        usd_per_sent=round(
            sent.price(invocations=9, queued=8) + PER_REQUEST["api_gateway"] + 2 * PER_REQUEST["sqs"], 8
        ),
        usd_per_received=round(received.price(invocations=4, queued=4) + PER_REQUEST["sqs"], 8),
    )


def _inbound() -> dict[str, Any]:
    return {
        "whatsapp_id": "3A5F0C11",
        "chat": PATIENT,
        "from": PATIENT,
        "to": CLINIC_PHONE,
        "type": "text",
        "text": {"body": "Confirmo"},
        "unsupported_kind": None,
        "context": None,
        "offline": False,
        "push_name": None,
    }


if __name__ == "__main__":
    print(json.dumps(count()))
