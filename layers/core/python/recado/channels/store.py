"""Reading a channel, and changing it only if nobody else did meanwhile."""

from collections.abc import Callable

from recado.aws.models import ConditionFailedError
from recado.channels.model import Channel, ChannelState
from recado.channels.table import ChannelRecord, channel_key
from recado.kernel.errors import ChannelNotFoundError, ServiceUnavailableError

_ATTEMPTS = 8


def find(clinic_id: str, channel_id: str) -> Channel | None:
    """Return the channel as stored now, tombstones too; None if the clinic never had it."""
    record = ChannelRecord.find(*channel_key(clinic_id, channel_id))
    return record.channel() if record else None


def get(clinic_id: str, channel_id: str) -> Channel:
    """Return the channel as stored now.

    Raises:
        ChannelNotFoundError: the clinic has no such channel, or it is deleted.
    """
    channel = find(clinic_id, channel_id)
    if channel is None or channel.state is ChannelState.DELETED:
        raise ChannelNotFoundError
    return channel


def change(read: Callable[[], Channel], decide: Callable[[Channel], Channel]) -> tuple[Channel, Channel]:
    """Read, decide and write, again from the start if another write came between.

    Args:
        read: returns the channel as stored now.
        decide: returns what it shall become; the same object for "leave it".

    Returns:
        The channel before and after.

    Raises:
        ServiceUnavailableError: others write it without end.
    """
    for _ in range(_ATTEMPTS):
        before = read()
        after = decide(before)
        actions = ChannelRecord.changes(before, after)
        if not actions:
            return before, after
        unchanged = (
            (ChannelRecord.desired_version == before.desired_version)
            & (ChannelRecord.state_sequence == before.state_sequence)
            & (ChannelRecord.state == before.state)
        )
        try:
            ChannelRecord.keyed(before).change(actions, unchanged)
        except ConditionFailedError:
            continue
        return before, after
    raise ServiceUnavailableError("The channel is being changed by others.")
