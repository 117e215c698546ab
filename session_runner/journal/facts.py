"""The facts the supervisor itself states: a channel's state, a pairing code's readiness, a message's result.

They go into the supervisor's own journal, on the disk before the call returns, and from there to the recorder.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import Any

from aws_lambda_powertools import Logger

from recado.channels.model import Channel, ChannelState
from recado.kernel.clock import Clock, from_text, to_text
from recado.messages.model import Message, StatusChange
from recado.messages.status import MessageStatus
from session_runner.blocking import Blocking
from session_runner.journal.journal import Journal

RETRY_SECONDS = 1.0
LEASE_SECONDS = 0.1


class Facts:
    """Writes facts into the supervisor's journal.

    Args:
        journal: the supervisor's own.
        written: called after each write, so that it is published at once.
        blocking: where the write runs.
        clock: when a state was observed.
        logger: for a journal that cannot be written.
        lease_held: whether the lease is provably ours at this moment.
    """

    def __init__(
        self,
        journal: Journal,
        written: Callable[[], None],
        blocking: Blocking,
        clock: Clock,
        logger: Logger,
        *,
        lease_held: Callable[[], bool] = lambda: True,
    ) -> None:
        self._journal = journal
        self._written = written
        self._blocking = blocking
        self._clock = clock
        self._logger = logger
        self._lease_held = lease_held

    async def channel_state(
        self,
        channel: Channel,
        incarnation: str,
        state: ChannelState,
        reason: str,
        *,
        phone: str | None = None,
        lid: str | None = None,
        ban_expires_at: datetime | None = None,
        retry_at: datetime | None = None,
        desired_version: int | None = None,
    ) -> None:
        """State what a channel has come to.

        Args:
            channel: the channel.
            incarnation: the session's incarnation that this is about.
            state: the state.
            reason: a stable code of why, empty where there is nothing to explain.
            phone: the number it is paired with, ``+55…``.
            lid: WhatsApp's id of the account.
            ban_expires_at: the end of a ban.
            retry_at: when a connection is tried again, if that is planned.
            desired_version: set when the attempt to connect has ended for good, so that nobody goes on wanting it.
        """
        data = {
            "state": state.value,
            "reason": reason or None,
            "phone": phone,
            "lid": lid,
            "ban_expires_at": to_text(ban_expires_at) if ban_expires_at else None,
            "retry_at": to_text(retry_at) if retry_at else None,
            "desired_version": desired_version,
        }
        await self._write(channel, "channel.state", (incarnation, "channel.state"), data)

    async def qr_ready(self, channel: Channel, incarnation: str, method: str, expires_at: str) -> None:
        """State that a pairing code can be fetched; the code itself is a secret and not part of the fact."""
        data = {"method": method, "expires_at": expires_at}
        await self._write(channel, "channel.qr_ready", (incarnation, "channel.qr_ready"), data)

    async def message_results(self, message: Message) -> None:
        """State how the sending of a message ended: each time, if it was sent again after it had been uncertain.

        Identity and time come from the message's stored history, so that stating it again after a crash is the
        same fact.
        """
        for change in results_of(message):
            await self._message_result(message, change)

    async def _message_result(self, message: Message, change: StatusChange) -> None:
        at = from_text(to_text(change.at))  # to the millisecond, which is what the table gives back
        data = {
            "message_id": message.message_id,
            "status": change.status.value,
            "whatsapp_id": message.whatsapp_id if change.status is MessageStatus.SENT else None,
            "code": change.code,
            "at": to_text(at),
        }
        identity = (message.message_id, change.status.value)
        await self._append(message.clinic_id, message.channel_id, "message.result", identity, at=at, data=data)

    async def _write(self, channel: Channel, kind: str, identity: tuple[str, ...], data: dict[str, Any]) -> None:
        # Where a channel stands is for its owner to say. Who is not certain to be that waits, most likely for the end.
        while not self._lease_held():  # noqa: ASYNC110 - nothing happens when a deadline passes, nor when it moves
            await asyncio.sleep(LEASE_SECONDS)
        await self._append(
            channel.clinic_id, channel.channel_id, kind, identity, at=self._clock.now(), data=data, numbered=True
        )

    async def _append(
        self,
        clinic_id: str,
        channel_id: str,
        kind: str,
        identity: tuple[str, ...],
        *,
        at: datetime,
        data: dict[str, Any],
        numbered: bool = False,
    ) -> None:
        while True:
            try:
                await self._blocking(
                    self._journal.append, clinic_id, channel_id, kind, identity, at, data, numbered=numbered
                )
            except sqlite3.Error:
                # Whoever has something to state waits: going on without having stated it would lose it.
                self._logger.exception("the supervisor's journal cannot be written, trying again")
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._written()
                return


_RESULTS = {
    MessageStatus.SENT,
    MessageStatus.FAILED,
    MessageStatus.EXPIRED,
    MessageStatus.SUPPRESSED,
    MessageStatus.UNCERTAIN,
}


def results_of(message: Message) -> list[StatusChange]:
    """Return the history lines that ended a sending; a message delivered since was sent all the same.

    Raises:
        ValueError: the message's sending has not ended.
    """
    results = [change for change in message.history if change.status in _RESULTS]
    if results and (message.last_change_to(MessageStatus.SENT) or message.status in _RESULTS):
        return results
    if message.status in {MessageStatus.DELIVERED, MessageStatus.READ}:
        # A receipt proved what no result had: the earliest proof stands for the sending.
        proofs = [c for c in message.history if c.status in {MessageStatus.DELIVERED, MessageStatus.READ}]
        return [*results, StatusChange(MessageStatus.SENT, proofs[0].at)]
    raise ValueError(f"the sending of {message.message_id} has not ended: {message.status}")
