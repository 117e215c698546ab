"""How a row of the outbox ends: what somebody left behind is judged, the fact is told, the row goes.

The fact is in the journal before the row goes, so a crash in between tells it again and never loses it.
"""

from typing import Any

from recado.kernel.errors import MessageNotFoundError
from recado.messages.model import AlreadySettled, Message, OutboxRow, SendingElsewhere, SendSuperseded
from recado.messages.status import MessageStatus, is_settled
from session_runner.outbox.insisting import Insisting, LeaseLostError
from session_runner.ports import Surroundings


class Aftermath:
    """Ends rows of one channel's outbox.

    Args:
        around: what all sessions share.
        insist: repeats calls until the store answers.
        fields: the log fields of the channel.
    """

    def __init__(self, around: Surroundings, insist: Insisting, fields: dict[str, Any]) -> None:
        self._around = around
        self._rooms = around.messages
        self._insist = insist
        self._fields = fields

    async def conclude(self, row: OutboxRow, message: Message, *, for_good: bool = False) -> bool:
        """Tell how a message ended and drop its row; say whether the row is gone.

        It stays for a message that is uncertain and, by the clinic's policy, goes out again from where it stands.

        Args:
            row: the message's row.
            message: the message, ended.
            for_good: send nothing again, whatever the policy says.
        """
        await self._around.facts.message_results(message)
        if message.status is MessageStatus.UNCERTAIN and not for_good and await self._sent_again(message):
            return False
        await self._insist(self._rooms.settle, row)
        return True

    async def found_settled(self, row: OutboxRow, settled: AlreadySettled) -> bool:
        """End the row of a message that has ended; say whether the row is gone."""
        return await self.conclude(row, settled.message)

    async def judge_left_behind(self, row: OutboxRow, sending: SendingElsewhere, *, for_good: bool = False) -> bool:
        """Call a message uncertain whose sender left no result; say whether its row is gone.

        Raises:
            LeaseLostError: a newer owner is sending it.
        """
        if sending.epoch > self._around.epoch:
            raise LeaseLostError
        # Of an older epoch: its owner is gone. Of our own: an attempt of this process was cut off in between.
        code = "owner_lost" if sending.epoch < self._around.epoch else "send_interrupted"
        try:
            message = await self._insist(self._rooms.record_uncertain, sending.message, self._around.epoch, code)
        except SendSuperseded as superseded:
            return await self.superseded(row, superseded, for_good=for_good)
        return await self.conclude(row, message, for_good=for_good)

    async def superseded(self, row: OutboxRow, superseded: SendSuperseded, *, for_good: bool = False) -> bool:
        """Go by what stands now, as somebody else was faster; say whether the row is gone."""
        if not is_settled(superseded.message.status):
            return False
        return await self.conclude(row, superseded.message, for_good=for_good)

    async def fail(self, row: OutboxRow, code: str) -> bool:
        """End a message as failed, if nobody has begun to send it; say whether its row is gone."""
        epoch = self._around.epoch
        try:
            message = await self._insist(self._rooms.begin_send, row, epoch)
            return await self.conclude(row, await self._insist(self._rooms.record_failed, message, epoch, code))
        except AlreadySettled as settled:
            return await self.conclude(row, settled.message, for_good=True)
        except SendingElsewhere as sending:
            return await self.judge_left_behind(row, sending, for_good=True)
        except SendSuperseded as superseded:
            return await self.superseded(row, superseded, for_good=True)
        except MessageNotFoundError:
            return await self.drop(row)

    async def drop(self, row: OutboxRow) -> bool:
        """Drop the row of a message that was erased."""
        await self._insist(self._rooms.settle, row)
        return True

    async def _sent_again(self, message: Message) -> bool:
        policy = await self._insist(self._rooms.send_policy, message.clinic_id)
        if not policy.sends_again(message.resends):
            return False
        try:
            await self._insist(self._rooms.resend_in_place, message)
        except SendSuperseded as superseded:
            # Somebody decided otherwise, or evidence came. Put back by hand, it stands in this row too.
            if not is_settled(superseded.message.status):
                return True
            await self._around.facts.message_results(superseded.message)
            return False
        self._around.metrics.count("MessagesResent")
        self._around.logger.warning(
            "an uncertain message is sent again",
            extra={**self._fields, "message_id": message.message_id, "resends": message.resends + 1},
        )
        return True
