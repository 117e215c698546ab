"""Deleting a channel for good: channel, guards and place go together or not at all."""

from datetime import datetime

from recado.aws.models import ConditionFailedError
from recado.aws.transactions import Transaction
from recado.channels import model, store
from recado.channels.model import Channel, ChannelState, Desired
from recado.channels.table import ChannelRecord, ExternalIdGuard, NumberGuard
from recado.kernel.clock import Clock, SystemClock
from recado.kernel.errors import ChannelNotFoundError, ChannelStateError
from recado.shards import service as shards

_CLOCK = SystemClock()
_ATTEMPTS = 5


def finish_delete(clinic_id: str, channel_id: str, *, clock: Clock = _CLOCK) -> Channel:
    """Delete a channel whose deletion was requested, after its phone has been unlinked. Doing it again changes nothing.

    The runner calls this before it reports the state ``deleted``.

    Returns:
        The tombstone.

    Raises:
        ChannelNotFoundError: the clinic never had such a channel.
        ChannelStateError: nobody asked for its deletion, or others change it without end.
    """
    for _ in range(_ATTEMPTS):
        channel = store.find(clinic_id, channel_id)
        if channel is None:
            raise ChannelNotFoundError
        if channel.state is ChannelState.DELETED:
            return channel
        if channel.desired is not Desired.DELETED:
            raise ChannelStateError("The deletion of this channel was not requested.")
        removed = remove(channel, clock.now())
        if removed is not None:
            return removed
    raise ChannelStateError("This channel is being changed by others.")


def remove(channel: Channel, now: datetime) -> Channel | None:
    """Put the tombstone in the channel's place and free its guards and its place on the shard.

    Returns:
        The tombstone, or None if the channel is not as it was read, so that nothing was done.
    """
    tombstone = model.deleted(channel, now)
    as_read = (
        (ChannelRecord.state != ChannelState.DELETED)
        & (ChannelRecord.desired_version == channel.desired_version)
        & (ChannelRecord.phone.does_not_exist() if channel.phone is None else ChannelRecord.phone == channel.phone)
    )
    transaction = Transaction().update(ChannelRecord.keyed(channel), ChannelRecord.changes(channel, tombstone), as_read)
    if channel.external_id is not None:
        transaction.delete(ExternalIdGuard.of(channel.clinic_id, channel.external_id))
    if channel.phone is not None:
        transaction.delete(NumberGuard.of(channel.phone, channel), NumberGuard.free_for(channel))
    shards.release(transaction, channel.shard_id)
    try:
        transaction.commit()
    except ConditionFailedError:
        return None
    return tombstone
