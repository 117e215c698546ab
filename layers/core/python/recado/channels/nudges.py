"""Telling a channel's runner to look at it."""

from datetime import datetime, timedelta

from recado.aws.logging import count, logger
from recado.channels.model import Channel
from recado.kernel.envelopes import Command
from recado.kernel.errors import ServiceUnavailableError
from recado.kernel.ids import Prefix, new_id
from recado.shards import service as shards

RECONCILE = "channel.reconcile"
_LIFE = timedelta(hours=1)


def nudge(channel: Channel, now: datetime) -> None:
    """Tell the channel's runner to read it again.

    A nudge that cannot be sent is logged and counted, not raised: what is wanted is stored already, and the runner
    reads every channel again once a minute.
    """
    command = Command(
        command_id=new_id(Prefix.COMMAND, now),
        kind=RECONCILE,
        clinic_id=channel.clinic_id,
        channel_id=channel.channel_id,
        issued_at=now,
        expires_at=now + _LIFE,
    )
    try:
        shards.send_command(channel.shard_id, command)
    except ServiceUnavailableError:
        logger("channels").warning(
            "A runner could not be nudged; it will see the change within a minute.",
            clinic_id=channel.clinic_id,
            channel_id=channel.channel_id,
            shard_id=channel.shard_id,
            exc_info=True,
        )
        count("channels", "NudgesFailed")
