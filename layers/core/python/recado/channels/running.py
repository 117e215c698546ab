"""What a runner reads and writes of its channels besides reporting their state."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from recado.aws.models import ConditionFailedError
from recado.aws.transactions import Transaction
from recado.channels import store
from recado.channels.model import (
    Channel,
    ChannelState,
    Liveness,
    PairingCode,
    PairingMethod,
    UnexpectedNumberError,
)
from recado.channels.runtime_table import (
    LivenessRecord,
    PairingCodeRecord,
    liveness_key,
    pairing_code_key,
)
from recado.channels.table import ChannelRecord, NumberGuard
from recado.contacts.model import same_number
from recado.kernel.clock import Clock, SystemClock
from recado.kernel.errors import NumberInUseError, ServiceUnavailableError

_CLOCK = SystemClock()
_ATTEMPTS = 5
_PAGE = 200


def list_for_shard(shard_id: str) -> list[Channel]:
    """Return the channels placed on a shard, deleted ones not.

    The index behind it lags by a moment: before acting on a channel, read it with ``get``.
    """
    channels: list[Channel] = []
    start = None
    while True:
        page = ChannelRecord.page(shard_id, index="by_shard", limit=_PAGE, start=start)
        channels += [record.channel() for record in page.items if record.state is not ChannelState.DELETED]
        start = page.last_key
        if start is None:
            return channels


def claim_number(clinic_id: str, channel_id: str, phone: str, lid: str | None, *, clock: Clock = _CLOCK) -> Channel:
    """Take the number of the phone that was just linked for this channel. Doing it again changes nothing.

    Args:
        clinic_id: whose channel.
        channel_id: which channel.
        phone: the number as E.164.
        lid: WhatsApp's own id of the account, if known.
        clock: tells the moment of linking.

    Raises:
        ChannelNotFoundError: the clinic has no such channel, or it is deleted.
        NumberInUseError: another channel of the platform holds the number; which one is not said.
        UnexpectedNumberError: the channel waits for another number.
    """
    for _ in range(_ATTEMPTS):
        channel = store.get(clinic_id, channel_id)
        if channel.expected_phone and not same_number(channel.expected_phone, phone):
            raise UnexpectedNumberError
        linked = replace(channel, phone=phone, lid=lid or channel.lid, paired_at=channel.paired_at or clock.now())
        if channel.phone not in (None, phone):
            linked = replace(linked, lid=lid, paired_at=clock.now())
        if _claimed(channel, linked, phone):
            return linked
    raise ServiceUnavailableError("The channel is being changed by others.")


def release_number(clinic_id: str, channel_id: str) -> None:
    """Give up the channel's number because no phone is linked any more. Doing it again changes nothing.

    Raises:
        ChannelNotFoundError: the clinic has no such channel.
    """
    for _ in range(_ATTEMPTS):
        channel = store.get(clinic_id, channel_id)
        if channel.phone is None:
            return
        unlinked = replace(channel, phone=None, lid=None, paired_at=None)
        transaction = Transaction().update(
            ChannelRecord.keyed(channel),
            ChannelRecord.changes(channel, unlinked),
            (ChannelRecord.phone == channel.phone) & (ChannelRecord.state != ChannelState.DELETED),
        )
        transaction.delete(NumberGuard.of(channel.phone, channel), NumberGuard.free_for(channel))
        try:
            transaction.commit()
        except ConditionFailedError:
            continue
        return
    raise ServiceUnavailableError("The channel is being changed by others.")


def put_pairing_code(
    clinic_id: str, channel_id: str, method: PairingMethod | str, code: str, expires_at: datetime
) -> None:
    """Show a pairing code to those who may read it, until it expires; it takes the place of the one before."""
    PairingCodeRecord(
        *pairing_code_key(clinic_id, channel_id),
        method=PairingMethod(method),
        code=code,
        good_until=expires_at,
        expires_at=math.ceil(expires_at.timestamp()),
    ).store()


def get_pairing_code(clinic_id: str, channel_id: str, *, clock: Clock = _CLOCK) -> PairingCode | None:
    """Return the pairing code that is good now, or None."""
    now = clock.now()
    record = PairingCodeRecord.find(*pairing_code_key(clinic_id, channel_id), now=now)
    if record is None or record.good_until <= now:
        return None
    return PairingCode(record.method, record.code, record.good_until)


def remove_pairing_code(clinic_id: str, channel_id: str) -> None:
    """Show no pairing code any more, because the phone was linked or the attempt has ended."""
    PairingCodeRecord(*pairing_code_key(clinic_id, channel_id)).remove()


def put_liveness(
    clinic_id: str, channel_id: str, *, connected: bool, last_frame_at: datetime | None, epoch: int
) -> bool:
    """Note when the channel's connection last showed life.

    Returns:
        False if a task of a later epoch has written already, which this does not override.
    """
    record = LivenessRecord(
        *liveness_key(clinic_id, channel_id), connected=connected, last_frame_at=last_frame_at, epoch=epoch
    )
    try:
        record.store(LivenessRecord.pk.does_not_exist() | (LivenessRecord.epoch <= epoch))
    except ConditionFailedError:
        return False
    return True


def get_liveness(clinic_id: str, channel_id: str) -> Liveness | None:
    """Return when the channel's connection last showed life, or None if it never did."""
    record = LivenessRecord.find(*liveness_key(clinic_id, channel_id), consistent=False)
    return Liveness(record.connected, record.last_frame_at, int(record.epoch)) if record else None


def get_livenesses(clinic_id: str, channel_ids: Sequence[str]) -> dict[str, Liveness]:
    """Return when each of these channels last showed life, read at once; those that never did are left out.

    Args:
        clinic_id: whose channels.
        channel_ids: up to 100.
    """
    by_key = {liveness_key(clinic_id, channel_id): channel_id for channel_id in channel_ids}
    records = LivenessRecord.many(list(by_key), consistent=False)
    return {
        by_key[record.pk, record.sk]: Liveness(record.connected, record.last_frame_at, int(record.epoch))
        for record in records
    }


def _claimed(channel: Channel, linked: Channel, phone: str) -> bool:
    as_read = ChannelRecord.phone.does_not_exist() if channel.phone is None else ChannelRecord.phone == channel.phone
    transaction = Transaction().save(
        NumberGuard.of(phone, linked), NumberGuard.free_for(linked), otherwise=NumberInUseError()
    )
    transaction.update(
        ChannelRecord.keyed(channel),
        # Written even when nothing changes, so that a deletion in the same moment is noticed.
        ChannelRecord.changes(channel, linked) or [ChannelRecord.phone.set(phone)],
        as_read & (ChannelRecord.state != ChannelState.DELETED),
    )
    if channel.phone is not None and channel.phone != phone:
        transaction.delete(NumberGuard.of(channel.phone, channel), NumberGuard.free_for(channel))
    try:
        transaction.commit()
    except ConditionFailedError:
        return False
    return True
