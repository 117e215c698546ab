"""A channel's sender: drains the outbox, one message at a time, and leaves each with a result.

Order is kept per chat: a message that has to wait holds back the later ones of its chat and nobody else's. Which chat
goes next is said by ``eligibility``, when by the limits' ``Pace``, how by ``attempt``, and what was left behind by
former owners is judged in ``aftermath``.
"""

import asyncio
from datetime import timedelta
from functools import partial

from recado.kernel.errors import MessageNotFoundError
from recado.messages.limits import HELD_BY_HOUR, Pace
from recado.messages.model import AlreadySettled, OutboxRow, SendingElsewhere
from recado.messages.status import MessageStatus
from session_runner.outbox.attempt import Attempts, Hold, Line
from session_runner.outbox.eligibility import Contacts, Holds, LineUp
from session_runner.outbox.insisting import RETRY_SECONDS, LeaseLostError
from session_runner.outbox.recipients import Recipients
from session_runner.pausing import pause
from session_runner.ports import Surroundings

__all__ = ["LeaseLostError", "Line", "Sender"]

ROWS_PER_READ = 50
SHOWN_WAIT_SECONDS = 60.0
"""From this long a wait for the hour's limit on, the next message says so: a shorter one is over before it is read."""


class Sender:
    """Drains one channel's outbox.

    Args:
        line: the channel's session.
        around: what all sessions share.
    """

    def __init__(self, line: Line, around: Surroundings) -> None:
        self._line = line
        self._around = around
        self._wake = asyncio.Event()
        self._passed = asyncio.Condition()
        self._closing = asyncio.Event()
        self._last: int | None = None
        self._pace = Pace(around.limits)
        self._attempts = Attempts(line, around, self._pace, self._closing)
        self._holds = Holds()
        self._contacts = Contacts(partial(around.contacts.contacts_named, line.channel.clinic_id))
        self._seen = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def recipients(self) -> Recipients:
        """Finds addresses through this channel's session."""
        return self._attempts.recipients

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
                await self._attempts.aftermath.fail(row, code)

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
                channel = self._line.channel
                about = {"clinic_id": channel.clinic_id, "channel_id": channel.channel_id}
                self._around.logger.exception("outbox not drained, trying again", extra=about)
                wait, retry = retry, min(retry * 2, RETRY_SECONDS[1])
            async with self._passed:
                self._passed.notify_all()
            await pause(self._wake, wait)

    async def _pass(self) -> float:
        """Go through the outbox once; return after how many seconds that should be done again."""
        line_up = await self._lined_up()
        wait = float("inf")
        while not self._closing.is_set():
            for row in line_up.expired(self._around.clock.now()):
                # Whether it is over does not depend on the line, and nothing before it in its chat is overtaken.
                if await self._handle(line_up, row) is None:
                    line_up.remove(row)
            if not self._line.connected.is_set():
                return wait
            candidates = line_up.candidates(self._holds, self._around.clock.now(), self._last)
            first = next(candidates, None)
            if first is None:
                return min(wait, self._holds.soonest(line_up.chats, self._around.clock.now()))
            left = await self._turn(first)
            if left is None:
                return 0.0  # What came meanwhile may go first.
            if left > 0:
                return min(wait, left)
            row = first if self._around.limits.are_none else await self._best(line_up, [first, *candidates])
            hold = await self._handle(line_up, row)
            if hold is None:
                line_up.remove(row)
            elif hold.seconds > 0:
                line_up.pass_over(row.chat)
                wait = min(wait, hold.seconds)
        return wait

    async def _handle(self, line_up: LineUp, row: OutboxRow) -> Hold | None:
        now = self._around.clock.now()
        hold = await self._attempts.handle(row, partial(self._contacts.of, row.chat, now))
        if hold is not None and hold.until is not None:
            self._holds.hold(row.chat, hold.until, line_up.last(row.chat), now)
        return hold

    async def _turn(self, first: OutboxRow) -> float | None:
        """Wait until the channel may send; return None if something came meanwhile, and seconds if it takes long."""
        loop = asyncio.get_running_loop()
        left = self._pace.hour_left(loop.time())
        if left > 0:
            if left >= SHOWN_WAIT_SECONDS:
                await self._say_full(first, left)
            return left
        if (gap := self._pace.gap_left(loop.time())) > 0:
            await pause(self._closing, gap)
            if self._wake.is_set() or self._closing.is_set():
                return None
        return 0.0

    async def _say_full(self, row: OutboxRow, seconds: float) -> None:
        """Say of the next message that the hour's limit holds it."""
        around = self._around
        try:
            message = await around.blocking(around.messages.get, row.clinic_id, row.channel_id, row.message_id)
            if message.status is MessageStatus.QUEUED and message.held_reason != HELD_BY_HOUR:
                not_before = around.clock.now() + timedelta(seconds=seconds)
                await self._attempts.hold(row, message, HELD_BY_HOUR, not_before)
        except (AlreadySettled, SendingElsewhere, MessageNotFoundError):
            return  # What has become of it is found when its turn comes.

    async def _best(self, line_up: LineUp, candidates: list[OutboxRow]) -> OutboxRow:
        if len(candidates) == 1:
            return candidates[0]
        now = self._around.clock.now()
        await self._around.blocking(self._contacts.look_up, [row.chat for row in candidates], now)
        return line_up.next_of(candidates, lambda chat: self._contacts.of(chat, now).acquaintance(now))

    async def _lined_up(self) -> LineUp:
        rows: list[OutboxRow] = []
        while True:
            page = await self._read(limit=ROWS_PER_READ, after=rows[-1].sequence if rows else 0)
            rows += page
            if len(page) < ROWS_PER_READ:
                break
        for row in rows:
            if row.sequence > self._seen:
                # It may well be the answer to something the recipient has just written.
                self._contacts.forget(row.chat)
        self._seen = max(self._seen, rows[-1].sequence if rows else 0)
        line_up = LineUp(rows)
        self._holds.keep_only(line_up.chats)
        self._contacts.keep_only(line_up.chats)
        return line_up

    async def _read(self, *, limit: int, after: int) -> list[OutboxRow]:
        channel, rooms = self._line.channel, self._around.messages
        return await self._around.blocking(rooms.outbox_rows, channel.clinic_id, channel.channel_id, limit, after)
