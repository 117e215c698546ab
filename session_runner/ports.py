"""What the runner asks of the rooms (DynamoDB behind them) and of itself, as narrow as each user needs it."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from aws_lambda_powertools import Logger

from recado.channels.model import Channel, PairingMethod
from recado.kernel.clock import Clock
from recado.messages.gate import SendGate
from recado.messages.limits import SendLimits
from recado.messages.model import Message, OutboxRow
from recado.messages.policy import SendPolicy
from session_runner.blocking import Blocking
from session_runner.health.metrics import Metrics
from session_runner.hosts.pool import HostPool
from session_runner.journal.facts import Facts
from session_runner.outbox.recipients import ContactRoom
from session_runner.sessions.convergence import WATCHDOG_SECONDS
from session_runner.sessions.reconnect import MOST_ATTEMPTS, Backoff
from session_runner.sessions.start_line import StartLine
from session_runner.vault.vault import Vault


class ChannelRoom(Protocol):
    """The channels room, as the runner uses it (``recado.channels.service``). All calls block."""

    def get(self, clinic_id: str, channel_id: str) -> Channel:
        """Read the channel item, consistently."""
        ...

    def list_for_shard(self, shard_id: str) -> list[Channel]:
        """Return the shard's channels."""
        ...

    def claim_number(self, clinic_id: str, channel_id: str, phone: str, lid: str | None) -> object:
        """Make the number this channel's; raises NumberInUseError."""
        ...

    def release_number(self, clinic_id: str, channel_id: str) -> object:
        """Give the number up."""
        ...

    def finish_delete(self, clinic_id: str, channel_id: str) -> object:
        """Remove the channel for good."""
        ...

    def remove_pairing_code(self, clinic_id: str, channel_id: str) -> None:
        """Show no code any more."""
        ...

    def put_pairing_code(
        self, clinic_id: str, channel_id: str, method: PairingMethod, code: str, expires_at: datetime
    ) -> object:
        """Keep the code for those who may fetch it."""
        ...

    def put_liveness(
        self, clinic_id: str, channel_id: str, *, connected: bool, last_frame_at: datetime | None, epoch: int
    ) -> object:
        """Say how the session is."""
        ...

    def proxy_of(self, channel: Channel) -> str | None:
        """Return the URL of the proxy that the channel connects through, checked; None for a direct connection.

        Raises:
            ProxyNotAllowedError: it leads to an address that is not public.
            OSError: its name cannot be resolved now.
        """
        ...

    def put_check_result(
        self, clinic_id: str, channel_id: str, request_id: str, results: Sequence[dict[str, Any]]
    ) -> object:
        """Answer a ``contacts.check`` command."""
        ...

    def reserve_sequences(self, clinic_id: str, channel_id: str, count: int) -> int:
        """Return the first of so many fresh sequences."""
        ...


class MessageRoom(Protocol):
    """The messages room, as the sender uses it (``recado.messages.service``). All calls block."""

    def get(self, clinic_id: str, channel_id: str, message_id: str) -> Message:
        """Read a message; raises MessageNotFoundError."""
        ...

    def outbox_rows(self, clinic_id: str, channel_id: str, limit: int, after: int = 0) -> list[OutboxRow]:
        """Return the oldest rows beyond ``after``, consistently."""
        ...

    def begin_send(self, row: OutboxRow, epoch: int) -> Message:
        """Record the intent; raises AlreadySettled or SendingElsewhere."""
        ...

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
        """Record the success; raises SendSuperseded."""
        ...

    def record_failed(self, message: Message, epoch: int, code: str) -> Message:
        """Record a definite failure; raises SendSuperseded."""
        ...

    def record_uncertain(self, message: Message, epoch: int, code: str) -> Message:
        """Record that nobody knows; raises SendSuperseded."""
        ...

    def record_expired(self, row: OutboxRow) -> Message:
        """Record that its time has passed; raises AlreadySettled or SendingElsewhere."""
        ...

    def record_suppressed(self, row: OutboxRow, code: str) -> Message:
        """Record that the gate refused it for good; raises AlreadySettled or SendingElsewhere."""
        ...

    def requeue(
        self, message: Message, epoch: int, *, held_reason: str | None = None, not_before: datetime | None = None
    ) -> None:
        """Take the intent back: it provably never went out; raises SendSuperseded."""
        ...

    def hold(self, row: OutboxRow, reason: str, not_before: datetime) -> None:
        """Say why a queued message waits; raises AlreadySettled or SendingElsewhere."""
        ...

    def send_policy(self, clinic_id: str) -> SendPolicy:
        """Return what the clinic wants of sending."""
        ...

    def resend_in_place(self, message: Message) -> Message:
        """Put an uncertain message back where it stands; raises SendSuperseded."""
        ...

    def settle(self, row: OutboxRow) -> None:
        """Delete the outbox row."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every session of the runner shares.

    Attributes:
        shard_id: our shard.
        epoch: our lease epoch, part of every deciding write.
        lease_held: whether the lease is provably ours at this moment.
        start_line: spaces the starts of sessions.
        connect_attempts: so many failed attempts in a row, then a channel is ``failed``.
        connect_patience: seconds that an incarnation may take to be connected.
        limits: how fast, how many and to whom a channel may send.
    """

    shard_id: str
    epoch: int
    channels: ChannelRoom
    messages: MessageRoom
    contacts: ContactRoom
    gate: SendGate
    facts: Facts
    vault: Vault
    pool: HostPool
    blocking: Blocking
    clock: Clock
    logger: Logger
    directory: Path
    lease_held: Callable[[], bool]
    backoff: Backoff
    start_line: StartLine
    limits: SendLimits
    metrics: Metrics
    reread_seconds: float = 60.0
    connect_attempts: int = MOST_ATTEMPTS
    connect_patience: float = WATCHDOG_SECONDS
    chance: random.Random = field(default_factory=random.Random)
