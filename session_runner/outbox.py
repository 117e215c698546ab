"""A channel's sender: drains the outbox in order, one message at a time, and leaves each with a result.

Order is kept per chat: a message that has to wait holds back the later ones of its chat and nobody else's. The
durable steps are those of the messages room (intent, result, settlement), each carrying our epoch; the fact is in
the journal before the outbox row goes, so a crash anywhere repeats a step and never loses or doubles one.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, ParamSpec, Protocol, TypeVar

from recado.channels.model import Channel
from recado.kernel.clock import from_text
from recado.kernel.errors import MessageNotFoundError, ServiceUnavailableError
from recado.messages.model import (
    AlreadySettled,
    Message,
    OutboxRow,
    SendingElsewhere,
    SendSuperseded,
    StatusChange,
)
from recado.messages.status import MessageStatus, is_settled
from session_runner.host_errors import HostError, NotSentError
from session_runner.ports import Surroundings
from session_runner.recipients import Address, Recipients, jid_of
from session_runner.sending import Verdict, judge

ROWS_PER_READ = 50
SEND_SECONDS = 90.0
HELD_SECONDS = 15.0
RETRY_SECONDS = (0.2, 5.0)

P = ParamSpec("P")
T = TypeVar("T")


class LeaseLostError(Exception):
    """The lease is no longer provably ours: nothing may be sent or decided in its name."""


class Line(Protocol):
    """The session a sender sends through."""

    channel: Channel
    connected: asyncio.Event

    async def request(self, kind: str, *, seconds: float, **payload: Any) -> dict[str, Any]:
        """Ask something of the running session; raises HostError."""
        ...


class Sender:
    """Drains one channel's outbox.

    Args:
        line: the channel's session.
        around: what all sessions share.
    """

    def __init__(self, line: Line, around: Surroundings) -> None:
        self._line = line
        self._around = around
        self._rooms = around.messages
        self._recipients = Recipients(
            line.channel.clinic_id, around.contacts, line.request, around.blocking, around.clock
        )
        self._wake = asyncio.Event()
        self._passed = asyncio.Condition()
        self._closing = asyncio.Event()
        self._last: int | None = None
        self._sent_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    @property
    def recipients(self) -> Recipients:
        """Finds addresses through this channel's session."""
        return self._recipients

    def begin(self) -> None:
        """Start draining."""
        self._task = asyncio.create_task(self._run(), name=f"outbox {self._line.channel.channel_id}")

    def ring(self) -> None:
        """Say that there may be something to send."""
        self._wake.set()

    def stop_after(self, sequence: int | None) -> None:
        """Send nothing beyond this sequence (a log-out is coming), or everything again if None."""
        self._last = sequence

    def cancel(self) -> None:
        """Stop at once; a send under way stays in ``sending`` for the next owner to judge."""
        if self._task:
            self._task.cancel()

    async def close(self) -> None:
        """Stop after the send under way."""
        self._closing.set()
        self._wake.set()
        if self._task:
            await asyncio.wait({self._task})

    async def drained(self, last: int, seconds: float) -> bool:
        """Wait until no row up to this sequence is left, at most so long; say whether that is so."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not self._closing.is_set():
            rows = await self._read(limit=1, after=0)
            if not rows or rows[0].sequence > last:
                return True
            if loop.time() >= end:
                return False
            self.ring()
            async with self._passed:
                try:
                    async with asyncio.timeout(min(1.0, end - loop.time())):
                        await self._passed.wait()
                except TimeoutError:
                    continue
        return False

    async def fail_all(self, code: str) -> None:
        """End every message that is left, because its channel is."""
        while rows := await self._read(limit=ROWS_PER_READ, after=0):
            for row in rows:
                await self._fail(row, code)

    async def _run(self) -> None:
        retry = RETRY_SECONDS[0]
        while not self._closing.is_set():
            self._wake.clear()
            wait = self._around.reread_seconds
            try:
                wait = min(wait, await self._pass())
                retry = RETRY_SECONDS[0]
            except LeaseLostError:
                wait = RETRY_SECONDS[1]
            except Exception:
                self._around.logger.exception("outbox not drained, trying again", extra=self._fields())
                wait, retry = retry, min(retry * 2, RETRY_SECONDS[1])
            async with self._passed:
                self._passed.notify_all()
            await _either(self._wake, wait)

    async def _pass(self) -> float:
        """Go through the outbox once; return after how many seconds that should be done again."""
        held: set[str] = set()
        after, wait = 0, float("inf")
        while True:
            rows = await self._read(limit=ROWS_PER_READ, after=after)
            for row in rows:
                if self._closing.is_set():
                    return wait
                if row.chat in held:
                    continue
                hold = await self._handle(row)
                if hold is not None:
                    held.add(row.chat)
                    wait = min(wait, hold)
            if len(rows) < ROWS_PER_READ:
                return wait
            after = rows[-1].sequence

    async def _handle(self, row: OutboxRow) -> float | None:
        """Bring one row to its end, or return for how many seconds its chat has to wait."""
        try:
            if row.is_expired(self._around.clock.now()):
                await self._conclude(row, await self._insist(self._rooms.record_expired, row))
                return None
            if not self._line.connected.is_set() or (self._last is not None and row.sequence > self._last):
                return float("inf")
            return await self._attempt(row)
        except AlreadySettled as settled:
            await self._conclude(row, settled.message)
        except SendingElsewhere as sending:
            await self._judge_left_behind(row, sending)
        except MessageNotFoundError:
            await self._insist(self._rooms.settle, row)
        return None

    async def _attempt(self, row: OutboxRow) -> float | None:
        message = await self._around.blocking(self._rooms.get, row.clinic_id, row.channel_id, row.message_id)
        if is_settled(message.status):
            raise AlreadySettled(message)
        if message.status is MessageStatus.SENDING:
            raise SendingElsewhere(message)
        verdict = await self._around.blocking(self._around.gate.may_send, message)
        if not verdict.allowed:
            return await self._refused(row, verdict.reason or "gate", verdict.not_before)
        try:
            address = await self._recipients.find(message.to)
        except HostError as error:
            self._around.logger.warning("recipient not resolved", extra=self._fields(row, code=error.code))
            return float("inf") if isinstance(error, NotSentError) else HELD_SECONDS
        if address is None:
            await self._fail(row, "recipient_not_on_whatsapp")
            return None
        quoted = await self._quoted(message)
        if not await self._gap():
            return float("inf")
        if row.is_expired(self._around.clock.now()):
            return await self._handle(row)
        return await self._send(row, address, quoted)

    async def _send(self, row: OutboxRow, address: Address, quoted: dict[str, Any] | None) -> float | None:
        if not self._around.lease_held():
            raise LeaseLostError
        epoch = self._around.epoch
        message = await self._insist(self._rooms.begin_send, row, epoch)
        if not self._around.lease_held():
            await self._insist(self._rooms.requeue, message, epoch)
            raise LeaseLostError
        self._sent_at = asyncio.get_running_loop().time()
        try:
            answer = await self._line.request(
                "send_text", seconds=SEND_SECONDS, to_jid=address.jid, text=message.text, quoted=quoted
            )
        except HostError as error:
            return await self._not_sent(row, message, error)
        sent = await self._record_sent(message, answer, address)
        await self._conclude(row, sent)
        return None

    async def _record_sent(self, message: Message, answer: dict[str, Any], address: Address) -> Message:
        whatsapp_id, timestamp = str(answer["whatsapp_id"]), from_text(answer["timestamp"])
        try:
            return await self._insist(
                self._rooms.record_sent,
                message,
                self._around.epoch,
                whatsapp_id,
                timestamp,
                e164=answer.get("e164") or address.e164,
                lid=answer.get("lid") or address.lid,
            )
        except SendSuperseded:
            # A newer owner has called it uncertain meanwhile. It went out all the same: the fact goes into the
            # journal, and the recorder takes it as late evidence.
            self._around.logger.warning("result came too late", extra=self._fields(message_id=message.message_id))
            change = StatusChange(MessageStatus.SENT, self._around.clock.now())
            return replace(
                message, status=MessageStatus.SENT, whatsapp_id=whatsapp_id, history=(*message.history, change)
            )

    async def _not_sent(self, row: OutboxRow, message: Message, error: HostError) -> float | None:
        failure = judge(error)
        self._around.logger.warning("not sent", extra=self._fields(row, code=failure.code, verdict=failure.verdict))
        epoch = self._around.epoch
        try:
            if failure.verdict is Verdict.REQUEUE:
                await self._insist(self._rooms.requeue, message, epoch)
                return 1.0 if self._line.connected.is_set() else float("inf")
            record = self._rooms.record_failed if failure.verdict is Verdict.FAILED else self._rooms.record_uncertain
            await self._conclude(row, await self._insist(record, message, epoch, failure.code))
        except SendSuperseded as superseded:
            await self._superseded(row, superseded)
        return None

    async def _refused(self, row: OutboxRow, reason: str, not_before: datetime | None) -> float | None:
        if not_before is not None:
            return max((not_before - self._around.clock.now()).total_seconds(), 0.1)
        await self._conclude(row, await self._insist(self._rooms.record_suppressed, row, reason))
        return None

    async def _fail(self, row: OutboxRow, code: str) -> None:
        epoch = self._around.epoch
        try:
            message = await self._insist(self._rooms.begin_send, row, epoch)
            await self._conclude(row, await self._insist(self._rooms.record_failed, message, epoch, code))
        except AlreadySettled as settled:
            await self._conclude(row, settled.message)
        except SendingElsewhere as sending:
            await self._judge_left_behind(row, sending)
        except SendSuperseded as superseded:
            await self._superseded(row, superseded)
        except MessageNotFoundError:
            await self._insist(self._rooms.settle, row)

    async def _judge_left_behind(self, row: OutboxRow, sending: SendingElsewhere) -> None:
        if sending.epoch > self._around.epoch:
            raise LeaseLostError
        # Of an older epoch: its owner is gone. Of our own: an attempt of this process was cut off in between.
        code = "owner_lost" if sending.epoch < self._around.epoch else "send_interrupted"
        try:
            message = await self._insist(self._rooms.record_uncertain, sending.message, self._around.epoch, code)
        except SendSuperseded as superseded:
            await self._superseded(row, superseded)
        else:
            await self._conclude(row, message)

    async def _superseded(self, row: OutboxRow, superseded: SendSuperseded) -> None:
        if is_settled(superseded.message.status):
            await self._conclude(row, superseded.message)

    async def _conclude(self, row: OutboxRow, message: Message) -> None:
        await self._around.facts.message_result(message)
        await self._insist(self._rooms.settle, row)

    async def _quoted(self, message: Message) -> dict[str, Any] | None:
        if message.context_message_id is None:
            return None
        try:
            context = await self._around.blocking(
                self._rooms.get, message.clinic_id, message.channel_id, message.context_message_id
            )
        except MessageNotFoundError:
            return None
        if context.whatsapp_id is None:
            return None
        channel = self._line.channel
        author = context.sender if context.sender.chat else None
        e164, lid = (author.e164, author.lid) if author else (channel.phone, channel.lid)
        if not (e164 or lid):
            return None
        return {"whatsapp_id": context.whatsapp_id, "sender": jid_of(e164=e164, lid=lid), "text": context.text}

    async def _gap(self) -> bool:
        """Wait until the channel may send again; say whether it still can."""
        least, most = self._around.send_gap
        gap = self._around.chance.uniform(least, most)
        left = self._sent_at + gap - asyncio.get_running_loop().time()
        if left > 0:
            await _either(self._closing, left)
        return self._line.connected.is_set() and not self._closing.is_set()

    async def _read(self, *, limit: int, after: int) -> list[OutboxRow]:
        channel = self._line.channel
        return await self._around.blocking(self._rooms.outbox_rows, channel.clinic_id, channel.channel_id, limit, after)

    async def _insist(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call until the store answers: a result that is known must not be lost to a throttle."""
        wait = RETRY_SECONDS[0]
        while True:
            try:
                return await self._around.blocking(function, *args, **kwargs)
            except ServiceUnavailableError:
                if not self._around.lease_held():
                    raise LeaseLostError from None
                self._around.logger.warning("the messages table does not answer", extra=self._fields())
                await asyncio.sleep(wait)
                wait = min(wait * 2, RETRY_SECONDS[1])

    def _fields(self, row: OutboxRow | None = None, **more: object) -> dict[str, object]:
        channel = self._line.channel
        about = {"message_id": row.message_id, "sequence": row.sequence} if row else {}
        return {"clinic_id": channel.clinic_id, "channel_id": channel.channel_id, **about, **more}


async def _either(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
