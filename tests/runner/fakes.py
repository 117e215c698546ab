"""In-memory stand-ins for what the runner talks to, with faults that tests can set."""

import asyncio
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from aws_lambda_powertools import Logger

from recado.channels.model import Channel, Desired, PairingMethod
from recado.contacts.model import Contact, Resolution
from recado.kernel.clock import Clock, to_text
from recado.kernel.errors import ChannelNotFoundError, MessageNotFoundError, ServiceUnavailableError
from recado.kernel.ids import Prefix, new_id
from recado.messages.gate import OpenGate, SendGate
from recado.messages.limits import UNLIMITED
from recado.messages.model import (
    RESENT,
    AlreadySettled,
    Direction,
    Message,
    MessageType,
    OutboxRow,
    Party,
    SendingElsewhere,
    SendSuperseded,
    Source,
    StatusChange,
)
from recado.messages.policy import SendPolicy
from recado.messages.status import MessageStatus, is_settled
from session_runner.blocking import Blocking
from session_runner.health.metrics import Metrics
from session_runner.hosts.errors import HostGone, NotSentError
from session_runner.hosts.host import HostExit
from session_runner.hosts.pool import HostPool, RunningHost
from session_runner.journal.facts import Facts
from session_runner.journal.journal import Journal
from session_runner.ports import Surroundings
from session_runner.sessions.reconnect import Backoff
from session_runner.sessions.start_line import StartLine
from session_runner.vault.object import Kind
from session_runner.vault.vault import Stored, Vault, VaultFencedError
from tests.support.clock import FixedClock

CLINIC, CHANNEL = "cli_aurora", "chn_recepcao"
START = datetime(2026, 11, 22, 13, tzinfo=UTC)
EPOCH = 7


def a_channel(**changes: Any) -> Channel:
    channel = Channel(
        clinic_id=CLINIC,
        channel_id=CHANNEL,
        name="Recepção",
        external_id=None,
        expected_phone=None,
        shard_id="shard-001",
        created_at=START,
        updated_at=START,
        state_since=START,
        desired_version=1,
    )
    return replace(channel, **changes)


@dataclass
class MemoryMessages:
    """The messages room in memory, keeping its promises about who may write what."""

    clock: Clock
    messages: dict[str, Message] = field(default_factory=dict)
    rows: dict[int, OutboxRow] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    policy: SendPolicy = field(default_factory=SendPolicy)

    def accept(self, e164: str | None = "+5511977770001", *, lid: str | None = None, **changes: Any) -> Message:
        sequence = len(self.messages) + 1
        message = Message(
            clinic_id=CLINIC,
            channel_id=CHANNEL,
            message_id=new_id(Prefix.MESSAGE, self.clock.now()),
            direction=Direction.OUTBOUND,
            status=MessageStatus.QUEUED,
            type=MessageType.TEXT,
            source=Source.API,
            created_at=self.clock.now(),
            to=Party(e164=e164, lid=lid),
            text=f"mensagem {sequence}",
            sequence=sequence,
            history=(StatusChange(MessageStatus.QUEUED, self.clock.now()),),
        )
        message = replace(message, **changes)
        self.messages[message.message_id] = message
        self.rows[sequence] = OutboxRow(
            CLINIC,
            CHANNEL,
            sequence,
            message.message_id,
            message.to.chat or "",
            message.created_at,
            message.valid_until,
        )
        return message

    def get(self, clinic_id: str, channel_id: str, message_id: str) -> Message:
        self._called("get")
        message = self.messages.get(message_id)
        if message is None or (message.clinic_id, message.channel_id) != (clinic_id, channel_id):
            raise MessageNotFoundError
        return message

    def outbox_rows(self, clinic_id: str, channel_id: str, limit: int, after: int = 0) -> list[OutboxRow]:
        self._called("outbox_rows", quiet=True)
        return [self.rows[sequence] for sequence in sorted(self.rows) if sequence > after][:limit]

    def begin_send(self, row: OutboxRow, epoch: int) -> Message:
        self._called("begin_send")
        message = self._queued(row)
        begun = replace(message, status=MessageStatus.SENDING, epoch=epoch, held_reason=None, not_before=None)
        return self._put(begun)

    def record_sent(
        self,
        message: Message,
        epoch: int,
        whatsapp_id: str,
        timestamp: datetime,
        *,
        e164: str | None = None,
        lid: str | None = None,
    ) -> Message:
        self._called("record_sent")
        self._begun_under(message, epoch)
        to = replace(message.to, e164=e164 or message.to.e164, lid=lid or message.to.lid)
        changed = replace(message, whatsapp_id=whatsapp_id, timestamp=timestamp, to=to)
        return self._end(changed, MessageStatus.SENT)

    def record_failed(self, message: Message, epoch: int, code: str) -> Message:
        self._called("record_failed")
        self._begun_under(message, epoch)
        return self._end(message, MessageStatus.FAILED, code)

    def record_uncertain(self, message: Message, epoch: int, code: str) -> Message:
        self._called("record_uncertain")
        stored = self.messages[message.message_id]
        if stored.status is not MessageStatus.SENDING or (stored.epoch or 0) > epoch:
            raise SendSuperseded(stored)
        return self._end(stored, MessageStatus.UNCERTAIN, code)

    def record_expired(self, row: OutboxRow) -> Message:
        self._called("record_expired")
        return self._end(self._queued(row), MessageStatus.EXPIRED)

    def record_suppressed(self, row: OutboxRow, code: str) -> Message:
        self._called("record_suppressed")
        return self._end(self._queued(row), MessageStatus.SUPPRESSED, code)

    def requeue(
        self, message: Message, epoch: int, *, held_reason: str | None = None, not_before: datetime | None = None
    ) -> None:
        self._called("requeue")
        self._begun_under(message, epoch)
        back = replace(self.messages[message.message_id], status=MessageStatus.QUEUED, epoch=None)
        self._put(replace(back, held_reason=held_reason, not_before=not_before))

    def hold(self, row: OutboxRow, reason: str, not_before: datetime) -> None:
        self._called("hold")
        self._put(replace(self._queued(row), held_reason=reason, not_before=not_before))

    def send_policy(self, clinic_id: str) -> SendPolicy:
        self._called("send_policy")
        return self.policy

    def resend_in_place(self, message: Message) -> Message:
        self._called("resend_in_place")
        stored = self.messages[message.message_id]
        if stored.status is not MessageStatus.UNCERTAIN or stored.resends != message.resends:
            raise SendSuperseded(stored)
        return self._end(replace(stored, resends=stored.resends + 1), MessageStatus.QUEUED, RESENT)

    def settle(self, row: OutboxRow) -> None:
        self._called("settle")
        self.rows.pop(row.sequence, None)

    def status(self, message: Message) -> MessageStatus:
        return self.messages[message.message_id].status

    def code(self, message: Message) -> str | None:
        return self.messages[message.message_id].code

    def _queued(self, row: OutboxRow) -> Message:
        message = self.messages.get(row.message_id)
        if message is None:
            raise MessageNotFoundError
        if message.status is MessageStatus.SENDING:
            raise SendingElsewhere(message)
        if is_settled(message.status):
            raise AlreadySettled(message)
        return message

    def _begun_under(self, message: Message, epoch: int) -> None:
        stored = self.messages[message.message_id]
        if stored.status is not MessageStatus.SENDING or stored.epoch != epoch:
            raise SendSuperseded(stored)

    def _end(self, message: Message, status: MessageStatus, code: str | None = None) -> Message:
        change = StatusChange(status, self.clock.now(), code)
        return self._put(replace(message, status=status, code=code, history=(*message.history, change)))

    def _put(self, message: Message) -> Message:
        self.messages[message.message_id] = message
        return message

    def _called(self, name: str, *, quiet: bool = False) -> None:
        if not quiet:
            self.log.append(name)
        if self.failures.get(name, 0) > 0:
            self.failures[name] -= 1
            raise ServiceUnavailableError


@dataclass
class MemoryContacts:
    """The contacts room in memory."""

    known: dict[tuple[str, str], Resolution] = field(default_factory=dict)
    contacts: dict[tuple[str, str], Contact] = field(default_factory=dict)
    asked: list[list[str]] = field(default_factory=list)

    def contacts_named(self, clinic_id: str, names: Collection[str]) -> dict[str, Contact]:
        self.asked.append(sorted(names))
        return {name: self.contacts.get((clinic_id, name), Contact()) for name in names}

    def cached(self, clinic_id: str, e164: str) -> Resolution | None:
        return self.known.get((clinic_id, e164))

    def remember(self, clinic_id: str, resolution: Resolution) -> None:
        self.known[clinic_id, resolution.e164] = resolution


@dataclass
class MemoryChannels:
    """The channels room in memory, one channel."""

    channel: Channel
    held_elsewhere: set[str] = field(default_factory=set)
    error: Exception | None = None
    calls: list[tuple[str, Any]] = field(default_factory=list)
    deleted: bool = False
    sequence: int = 1
    proxy: str | None = None
    proxy_error: Exception | None = None

    def get(self, clinic_id: str, channel_id: str) -> Channel:
        if self.deleted or (clinic_id, channel_id) != (self.channel.clinic_id, self.channel.channel_id):
            raise ChannelNotFoundError
        return self.channel

    def change(self, **changes: Any) -> Channel:
        self.channel = replace(self.channel, desired_version=self.channel.desired_version + 1, **changes)
        return self.channel

    def list_for_shard(self, shard_id: str) -> list[Channel]:
        return [] if self.deleted else [self.channel]

    def claim_number(self, clinic_id: str, channel_id: str, phone: str, lid: str | None) -> Channel:
        self.calls.append(("claim_number", phone))
        if self.error:
            raise self.error
        self.channel = replace(self.channel, phone=phone, lid=lid, paired_at=START)
        return self.channel

    def release_number(self, clinic_id: str, channel_id: str) -> None:
        self.calls.append(("release_number", None))
        self.channel = replace(self.channel, phone=None, lid=None, paired_at=None)

    def finish_delete(self, clinic_id: str, channel_id: str) -> Channel:
        assert self.channel.desired is Desired.DELETED
        self.deleted = True
        return self.channel

    def put_pairing_code(
        self, clinic_id: str, channel_id: str, method: PairingMethod, code: str, expires_at: datetime
    ) -> None:
        self.calls.append(("put_pairing_code", code))

    def remove_pairing_code(self, clinic_id: str, channel_id: str) -> None:
        self.calls.append(("remove_pairing_code", None))

    def put_liveness(
        self, clinic_id: str, channel_id: str, *, connected: bool, last_frame_at: datetime | None, epoch: int
    ) -> bool:
        self.calls.append(("put_liveness", connected))
        return True

    def proxy_of(self, channel: Channel) -> str | None:
        if self.proxy_error:
            raise self.proxy_error
        return self.proxy

    def put_check_result(
        self, clinic_id: str, channel_id: str, request_id: str, results: Sequence[dict[str, Any]]
    ) -> None:
        self.calls.append(("put_check_result", (request_id, list(results))))

    def reserve_sequences(self, clinic_id: str, channel_id: str, count: int) -> int:
        first, self.sequence = self.sequence, self.sequence + count
        return first

    def made(self, name: str) -> list[Any]:
        return [value for call, value in self.calls if call == name]


@dataclass
class MemoryVault:
    """The vault in memory, with its fencing."""

    epoch: int = EPOCH
    stored: dict[tuple[str, str], Stored] = field(default_factory=dict)
    error: Exception | None = None

    def read(self, clinic_id: str, channel_id: str) -> Stored | None:
        if self.error:
            raise self.error
        return self.stored.get((clinic_id, channel_id))

    def claim(self, clinic_id: str, channel_id: str, stored: Stored) -> Stored:
        return self._put(clinic_id, channel_id, replace(stored, clean=False))

    def save(self, clinic_id: str, channel_id: str, snapshot: bytes, *, over: Stored | None, clean: bool) -> Stored:
        return self._put(clinic_id, channel_id, Stored("", self.epoch, 0, "", clean, Kind.SNAPSHOT, snapshot))

    def bury(self, clinic_id: str, channel_id: str, *, over: Stored | None) -> Stored:
        return self._put(clinic_id, channel_id, Stored("", self.epoch, 0, "", True, Kind.TOMBSTONE, b""))

    def _put(self, clinic_id: str, channel_id: str, stored: Stored) -> Stored:
        found = self.stored.get((clinic_id, channel_id))
        if found is not None and found.epoch > self.epoch:
            raise VaultFencedError
        sequence = found.sequence + 1 if found else 1
        mine = replace(stored, epoch=self.epoch, sequence=sequence, etag=str(sequence))
        self.stored[clinic_id, channel_id] = mine
        return mine


class FakeHost:
    """A host process that does what a test says: answers by kind, errors, death; and notices the test sends."""

    def __init__(self, on_notice: Callable[[dict[str, Any]], None], pid: int) -> None:
        self.pid = pid
        self.exited: asyncio.Future[HostExit] = asyncio.get_running_loop().create_future()
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, list[Any]] = {}
        self.whatsapp_ids = 0
        self._on_notice = on_notice
        self.incarnations: dict[str, str] = {}

    async def request(self, kind: str, *, timeout: float | None = None, **payload: Any) -> dict[str, Any]:  # noqa: ASYNC109
        if self.exited.done():
            raise NotSentError("host_gone")
        self.requests.append((kind, payload))
        if kind in {"start_session", "pair"}:
            self.incarnations[payload["channel_id"]] = payload["incarnation"]
        planned = self.answers.get(kind)
        answer = planned.pop(0) if planned else self._usual(kind, payload)
        if isinstance(answer, asyncio.Future):
            await asyncio.wait({answer, self.exited}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise HostGone("host_gone")
            answer = answer.result()
        if isinstance(answer, Exception):
            raise answer
        return cast("dict[str, Any]", answer)

    def ended_within(self, seconds: float) -> bool:
        return self.exited.done()

    def _usual(self, kind: str, payload: dict[str, Any]) -> dict[str, Any]:
        if kind == "send_text":
            self.whatsapp_ids += 1
            return {"whatsapp_id": f"3EB0{self.whatsapp_ids}", "timestamp": to_text(START), "e164": None, "lid": None}
        if kind == "check_numbers":
            found = [
                {"e164": e164, "on_whatsapp": True, "registered_e164": e164, "lid": "99@lid"}
                for e164 in payload["numbers"]
            ]
            return {"results": found}
        if kind == "snapshot":
            Path(payload["path"]).write_bytes(b"keys")
            return {"path": payload["path"], "fingerprint": "f1", "size": 4, "sha256": ""}
        if kind == "start_session":
            self.event(payload["channel_id"], "connected")
            return {"state": "connected"}
        return {}

    def notice(self, kind: str, channel_id: str = CHANNEL, **more: Any) -> None:
        incarnation = self.incarnations[channel_id]
        self._on_notice({"kind": kind, "channel_id": channel_id, "incarnation": incarnation, **more})

    def event(self, channel_id: str, event: str, **more: Any) -> None:
        self.notice("session_event", channel_id, event=event, **more)

    def kill(self) -> None:
        if not self.exited.done():
            self.exited.set_result(HostExit(-9, ()))

    async def stop(self, timeout: float = 30.0) -> HostExit:  # noqa: ASYNC109
        self.kill()
        return self.exited.result()

    def asked(self, kind: str) -> list[dict[str, Any]]:
        return [payload for name, payload in self.requests if name == kind]


@dataclass
class World:
    """A runner's surroundings in memory, and what came of them."""

    directory: Path
    channels: MemoryChannels = field(default_factory=lambda: MemoryChannels(a_channel()))
    clock: FixedClock = field(default_factory=FixedClock)
    vault: MemoryVault = field(default_factory=MemoryVault)
    contacts: MemoryContacts = field(default_factory=MemoryContacts)
    gate: SendGate = field(default_factory=OpenGate)
    lease: bool = True
    hosts: list[FakeHost] = field(default_factory=list)
    start_errors: list[Exception] = field(default_factory=list)
    on_notice: Callable[[dict[str, Any]], None] = lambda _: None
    on_lost: Callable[[str, Any], None] = lambda _channel, _seat: None

    def __post_init__(self) -> None:
        self.messages = MemoryMessages(self.clock)
        self.lines: list[str] = []
        self.metrics = Metrics("test", "shard-001", self.lines.append)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.journal = Journal(self.directory / "supervisor.journal", self.clock)

    async def start_host(
        self, *, on_notice: Callable[[dict[str, Any]], None], journal_path: Path, pairing: bool
    ) -> RunningHost:
        if self.start_errors:
            raise self.start_errors.pop(0)
        host = FakeHost(on_notice, pid=1000 + len(self.hosts))
        self.hosts.append(host)
        return host

    def around(self, **changes: Any) -> Surroundings:
        blocking = Blocking(2)
        quiet = Logger(service="test", level="CRITICAL")

        async def watch(_: Path) -> None:
            return None

        pool = HostPool(
            self.start_host,
            journals=self.directory,
            watch=watch,
            retire=lambda _: None,
            written=lambda _: None,
            on_notice=lambda notice: self.on_notice(notice),  # noqa: PLW0108 - tests set it later
            on_lost=lambda channel_id, seat: self.on_lost(channel_id, seat),  # noqa: PLW0108
            sessions_per_host=50,
            spares=0,
            logger=quiet,
            metrics=self.metrics,
        )
        values: dict[str, Any] = {
            "shard_id": "shard-001",
            "epoch": EPOCH,
            "channels": self.channels,
            "messages": self.messages,
            "contacts": self.contacts,
            "gate": self.gate,
            "facts": Facts(self.journal, lambda: None, blocking, self.clock, quiet),
            "vault": cast("Vault", self.vault),
            "pool": pool,
            "blocking": blocking,
            "clock": self.clock,
            "logger": quiet,
            "directory": self.directory / "sessions",
            "lease_held": lambda: self.lease,
            "backoff": Backoff(2.0, 300.0),
            "start_line": StartLine(1000.0),
            "limits": UNLIMITED,
            "metrics": self.metrics,
            "chance": random.Random(1),  # noqa: S311 - jitter, the same in every run
        }
        return Surroundings(**values | changes)

    def facts(self, kind: str) -> list[dict[str, Any]]:
        return [row.data for row in self.journal.pending(10_000) if row.kind == kind]

    def states(self) -> list[tuple[str, str | None]]:
        return [(fact["state"], fact["reason"]) for fact in self.facts("channel.state")]

    def results(self) -> list[tuple[str, str | None]]:
        return [(fact["status"], fact["code"]) for fact in self.facts("message.result")]


async def until(probe: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    """The first true value of ``probe``, looked at again and again."""
    for _ in range(int(seconds / 0.005)):
        if value := probe():
            return value
        await asyncio.sleep(0.005)
    raise AssertionError(f"did not happen: {what}")
