"""One send: from a row of the outbox to what became of it, through durable steps that carry our epoch."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from recado.channels.model import Channel
from recado.contacts.model import Contact
from recado.kernel.clock import from_text
from recado.kernel.errors import MessageNotFoundError
from recado.messages.gate import Approach
from recado.messages.limits import Pace
from recado.messages.model import (
    AlreadySettled,
    Message,
    OutboxRow,
    SendingElsewhere,
    SendSuperseded,
    StatusChange,
)
from recado.messages.status import MessageStatus, is_settled
from session_runner.hosts.errors import HostError, NotSentError
from session_runner.outbox.aftermath import Aftermath
from session_runner.outbox.insisting import Insisting, LeaseLostError
from session_runner.outbox.recipients import Address, Recipients, jid_of
from session_runner.outbox.sending import Verdict, judge
from session_runner.pausing import pause
from session_runner.ports import Surroundings

SEND_SECONDS = 90.0
TYPING_SECONDS = 15.0
HELD_SECONDS = 15.0


class Line(Protocol):
    """The session a sender sends through."""

    channel: Channel
    connected: asyncio.Event

    async def request(self, kind: str, *, seconds: float, **payload: Any) -> dict[str, Any]:
        """Ask something of the running session; raises HostError."""
        ...


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a chat has to wait.

    Attributes:
        seconds: for how long this pass leaves it alone.
        until: the gate's word: passes to come leave it alone too; None if they are to try again.
    """

    seconds: float
    until: datetime | None = None


class Attempts:
    """Brings rows of one channel's outbox to their end, one at a time.

    Args:
        line: the channel's session.
        around: what all sessions share.
        pace: told of each message that is handed over.
        closing: set when nothing new is to be begun.
    """

    def __init__(self, line: Line, around: Surroundings, pace: Pace, closing: asyncio.Event) -> None:
        self._line = line
        self._around = around
        self._pace = pace
        self._closing = closing
        self._rooms = around.messages
        channel = line.channel
        self._fields = {"clinic_id": channel.clinic_id, "channel_id": channel.channel_id}
        self.insist = Insisting(around, self._fields)
        self.aftermath = Aftermath(around, self.insist, self._fields)
        self.recipients = Recipients(channel.clinic_id, around.contacts, line.request, around.blocking, around.clock)

    async def handle(self, row: OutboxRow, contact: Callable[[], Contact]) -> Hold | None:
        """Bring one row to its end, or return why its chat has to wait.

        Args:
            row: the row.
            contact: reads, blocking, what is known of the recipient.

        Raises:
            LeaseLostError: the lease is not provably ours.
        """
        try:
            gone = await self._ended(row, contact)
        except AlreadySettled as settled:
            gone = await self.aftermath.found_settled(row, settled)
        except SendingElsewhere as sending:
            gone = await self.aftermath.judge_left_behind(row, sending)
        except MessageNotFoundError:
            gone = await self.aftermath.drop(row)
        if isinstance(gone, Hold):
            return gone
        # A row that stays is one that may go out at once, as after a resend.
        return None if gone else Hold(0.0)

    async def _ended(self, row: OutboxRow, contact: Callable[[], Contact]) -> bool | Hold:
        if row.is_expired(self._around.clock.now()):
            expired = await self.insist(self._rooms.record_expired, row)
            return await self.aftermath.conclude(row, expired)
        message = await self._around.blocking(self._rooms.get, row.clinic_id, row.channel_id, row.message_id)
        if is_settled(message.status):
            raise AlreadySettled(message)
        if message.status is MessageStatus.SENDING:
            raise SendingElsewhere(message)
        return await self._held(row, message, contact) or await self._to_its_recipient(row, message)

    async def _to_its_recipient(self, row: OutboxRow, message: Message) -> bool | Hold:
        try:
            address = await self.recipients.find(message.to)
        except HostError as error:
            self._around.logger.warning("recipient not resolved", extra=self._about(row, code=error.code))
            return Hold(float("inf") if isinstance(error, NotSentError) else HELD_SECONDS)
        if address is None:
            return await self.aftermath.fail(row, "recipient_not_on_whatsapp")
        quoted = await self._quoted(message)
        if not await self._show_typing(address, message.text or ""):
            return Hold(float("inf"))
        if row.is_expired(self._around.clock.now()):
            return Hold(0.0)  # It is looked at again at once, and ends as expired.
        return await self._send(row, address, quoted)

    async def _held(self, row: OutboxRow, message: Message, contact: Callable[[], Contact]) -> Hold | bool:
        """Ask the gate; return false if the message may go, else why it may not or that it never will."""
        approach = Approach(row.chat, row.answers, self._line.channel.paired_at, contact)
        verdict = await self._around.blocking(self._around.gate.may_send, message, approach)
        if verdict.allowed:
            return False
        reason = verdict.reason or "gate"
        if verdict.not_before is None:
            suppressed = await self.insist(self._rooms.record_suppressed, row, reason)
            return await self.aftermath.conclude(row, suppressed)
        return await self.hold(row, message, reason, verdict.not_before)

    async def hold(self, row: OutboxRow, message: Message, reason: str, not_before: datetime) -> Hold:
        """Say of a queued message why it waits, unless that is what it says already."""
        if (message.held_reason, message.not_before) != (reason, not_before):
            await self.insist(self._rooms.hold, row, reason, not_before)
            self._held_for(row, reason)
        return self._until(not_before)

    def _held_for(self, row: OutboxRow, reason: str) -> None:
        self._around.logger.info("message held", extra=self._about(row, reason=reason))
        self._around.metrics.count("MessagesHeld", event_type=reason)

    def _until(self, not_before: datetime) -> Hold:
        return Hold(max((not_before - self._around.clock.now()).total_seconds(), 0.1), not_before)

    async def _show_typing(self, address: Address, text: str) -> bool:
        """Show typing for as long as a person would need; say whether the message can still go."""
        seconds = self._around.limits.typing_seconds(text, self._around.chance.random())
        if seconds > 0:
            try:
                await self._line.request("typing", seconds=TYPING_SECONDS, to_jid=address.jid, state="composing")
            except HostError as error:
                # A courtesy: the message itself will show what is wrong.
                self._around.logger.info("typing not shown", extra={**self._fields, "code": error.code})
            else:
                await pause(self._closing, seconds)
        return self._line.connected.is_set() and not self._closing.is_set()

    async def _send(self, row: OutboxRow, address: Address, quoted: dict[str, Any] | None) -> bool | Hold:
        if not self._around.lease_held():
            raise LeaseLostError
        epoch = self._around.epoch
        message = await self.insist(self._rooms.begin_send, row, epoch)
        if not self._around.lease_held():
            await self.insist(self._rooms.requeue, message, epoch)
            raise LeaseLostError
        self._pace.note(asyncio.get_running_loop().time(), self._around.chance.random())
        try:
            answer = await self._line.request(
                "send_text", seconds=SEND_SECONDS, to_jid=address.jid, text=message.text, quoted=quoted
            )
        except HostError as error:
            return await self._not_sent(row, message, error)
        return await self.aftermath.conclude(row, await self._record_sent(message, answer, address))

    async def _record_sent(self, message: Message, answer: dict[str, Any], address: Address) -> Message:
        whatsapp_id, timestamp = str(answer["whatsapp_id"]), from_text(answer["timestamp"])
        try:
            return await self.insist(
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
            self._around.logger.warning(
                "result came too late", extra={**self._fields, "message_id": message.message_id}
            )
            change = StatusChange(MessageStatus.SENT, self._around.clock.now())
            return replace(
                message, status=MessageStatus.SENT, whatsapp_id=whatsapp_id, history=(*message.history, change)
            )

    async def _not_sent(self, row: OutboxRow, message: Message, error: HostError) -> bool | Hold:
        failure = judge(error)
        self._around.logger.warning("not sent", extra=self._about(row, code=failure.code, verdict=failure.verdict))
        epoch = self._around.epoch
        try:
            if failure.verdict is Verdict.REQUEUE:
                await self.insist(self._rooms.requeue, message, epoch)
                return Hold(1.0 if self._line.connected.is_set() else float("inf"))
            if failure.verdict is Verdict.UNCERTAIN:
                uncertain = await self.insist(self._rooms.record_uncertain, message, epoch, failure.code)
                return await self.aftermath.conclude(row, uncertain)
            verdict = await self.insist(self._around.gate.after_refusal, message, failure.code)
            if verdict is not None and verdict.not_before is not None:
                reason, until = verdict.reason or failure.code, verdict.not_before
                await self.insist(self._rooms.requeue, message, epoch, held_reason=reason, not_before=until)
                self._held_for(row, reason)
                return self._until(until)
            failed = await self.insist(self._rooms.record_failed, message, epoch, failure.code)
            return await self.aftermath.conclude(row, failed)
        except SendSuperseded as superseded:
            return await self.aftermath.superseded(row, superseded)

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

    def _about(self, row: OutboxRow, **more: object) -> dict[str, object]:
        return {**self._fields, "message_id": row.message_id, "sequence": row.sequence, **more}
