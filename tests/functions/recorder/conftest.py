"""A channel whose runner reports to the recorder, and the recorder itself."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.recorder import settings
from functions.recorder.handler import handler
from recado.aws.logging import logger
from recado.channels.model import Channel
from recado.channels.table import ChannelRecord
from recado.contacts.model import Recipient
from recado.kernel.clock import to_text
from recado.kernel.ids import Prefix, derived_id, new_id
from recado.messages import service as messages
from recado.messages.model import Message, SendRequest
from tests.support.aws import EmulatedAws
from tests.support.lambdas import lambda_context, sqs_event

START = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
TEXT = "Segredo do paciente"
PATIENT = {"e164": "+5511977770001", "lid": "900000001@lid"}
OWN = {"e164": "+5511988880001", "lid": "800000001@lid"}


@dataclass
class Runner:
    """The runner of one channel, as the recorder sees it."""

    clinic_id: str
    channel_id: str
    sequence: int = 0
    reported: list[dict[str, Any]] = field(default_factory=list)

    def entry(self, kind: str, data: dict[str, Any], *, identity: str | None = None, **changes: Any) -> dict[str, Any]:
        self.sequence += 1
        return {
            "entry_id": derived_id(Prefix.EVENT, START, self.channel_id, kind, identity or str(self.sequence)),
            "kind": kind,
            "clinic_id": self.clinic_id,
            "channel_id": self.channel_id,
            "shard_id": "shard-001",
            "epoch": 3,
            "sequence": self.sequence,
            "observed_at": to_text(START),
            "data": data,
            "version": 1,
            **changes,
        }

    def received(self, whatsapp_id: str = "3A01", **data: Any) -> dict[str, Any]:
        plain = {
            "whatsapp_id": whatsapp_id,
            "chat": PATIENT,
            "from": PATIENT,
            "to": OWN,
            "type": "text",
            "text": {"body": TEXT},
            "unsupported_kind": None,
            "context": None,
            "timestamp": to_text(START),
            "offline": False,
            "push_name": "Maria",
        }
        return self.entry("message.received", {**plain, **data}, identity=whatsapp_id)

    def phone_sent(self, whatsapp_id: str = "3A02") -> dict[str, Any]:
        return {
            **self.received(whatsapp_id, **{"from": OWN, "to": PATIENT}),
            "kind": "message.phone_sent",
        }

    def result(self, message: Message, status: str = "sent", **data: Any) -> dict[str, Any]:
        plain = {
            "message_id": message.message_id,
            "status": status,
            "whatsapp_id": message.whatsapp_id,
            "code": message.code,
            "at": to_text(START),
        }
        return self.entry("message.result", {**plain, **data}, identity=f"{message.message_id}{status}")

    def receipt(
        self, kind: str, *whatsapp_ids: str, seconds: int = 1, device: str = "0", **data: Any
    ) -> dict[str, Any]:
        plain = {
            "whatsapp_ids": list(whatsapp_ids or ("3EB0A1",)),
            "chat": PATIENT,
            "receipt": kind,
            "timestamp": to_text(START + timedelta(seconds=seconds)),
        }
        return self.entry("message.receipt", plain, identity=f"{whatsapp_ids}{kind}{device}")

    def undecryptable(self) -> dict[str, Any]:
        return self.entry(
            "message.undecryptable",
            {"whatsapp_id": "3A09", "chat": PATIENT, "from": PATIENT, "timestamp": to_text(START)},
        )

    def in_history(self, *days_ago: float, **contact: Any) -> dict[str, Any]:
        now = datetime.now(UTC)  # the recorder's clock, by which a year is measured
        past = [{**PATIENT, "last_at": to_text(now - timedelta(days=days)), **contact} for days in days_ago]
        return self.entry("contacts.in_history", {"contacts": past})

    def state(self, state: str, **data: Any) -> dict[str, Any]:
        return self.entry("channel.state", {"state": state, "reason": None, **data})

    def accepted(self) -> Message:
        request = SendRequest(Recipient("11 97777-0001", "+5511977770001"), TEXT, client_reference="42")
        return messages.accept(self.clinic_id, self.channel_id, request, None, b"").message

    def begun(self) -> Message:
        message = self.accepted()
        rows = messages.outbox_rows(self.clinic_id, self.channel_id, 100)
        return messages.begin_send(next(row for row in rows if row.message_id == message.message_id), 3)

    def sent(self, whatsapp_id: str = "3EB0A1") -> Message:
        return messages.record_sent(self.begun(), 3, whatsapp_id, START, lid=PATIENT["lid"])


@dataclass
class Recorder:
    """The function, invoked as Lambda invokes it."""

    aws: EmulatedAws
    log: io.StringIO

    def take(self, *bodies: list[dict[str, Any]] | str) -> list[str]:
        """Hand queue messages over; return the places of those that have to come again."""
        texts = [body if isinstance(body, str) else json.dumps({"version": 1, "entries": body}) for body in bodies]
        answer = handler(sqs_event(texts), lambda_context("recorder"))
        return [str(failure["itemIdentifier"]) for failure in answer["batchItemFailures"]]

    def events(self) -> list[dict[str, Any]]:
        """The events put since the last look."""
        return [envelope["detail"] for envelope in self.aws.events()]

    def types(self) -> list[str]:
        """The types of the events put since the last look."""
        return [event["type"] for event in self.events()]

    def poison(self) -> list[dict[str, Any]]:
        """What was set aside so far."""
        return [item for item in self.aws.items("messages") if str(item["pk"]).startswith("poison#")]


def channel_of(clinic_id: str, channel_id: str) -> Runner:
    """A channel in the table, and its runner."""
    channel = Channel(
        clinic_id=clinic_id,
        channel_id=channel_id,
        name="Recepção",
        external_id=None,
        expected_phone=None,
        shard_id="shard-001",
        created_at=START,
        updated_at=START,
        state_since=START,
    )
    ChannelRecord.of(channel).store()
    return Runner(clinic_id, channel_id)


@pytest.fixture
def recorder(aws: EmulatedAws) -> Iterator[Recorder]:
    """The recorder, whose log is caught."""
    settings.settings.cache_clear()
    caught = io.StringIO()
    (stream,) = logger("recorder").handlers
    before = stream.setStream(caught)  # type: ignore[attr-defined]
    yield Recorder(aws, caught)
    stream.setStream(before)  # type: ignore[attr-defined]
    settings.settings.cache_clear()


@pytest.fixture
def runner(aws: EmulatedAws) -> Runner:
    """The runner of a clinic's channel."""
    return channel_of(new_id(Prefix.CLINIC), new_id(Prefix.CHANNEL))


@pytest.fixture
def neighbour(aws: EmulatedAws) -> Runner:
    """The runner of another clinic's channel."""
    return channel_of(new_id(Prefix.CLINIC), new_id(Prefix.CHANNEL))
