"""Channels and what hangs on them.

In ``core``: the channel ``clinic#<clinic>``/``channel#<channel>`` (found by shard through ``by_shard``), the guard of
its external id ``clinic#<clinic>``/``external_id#<id>``, and the guard of its number ``number#<digits>``/``number``,
which belongs to the platform because a number is unique across clinics.
"""

from typing import Any

from pynamodb.attributes import BinaryAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from recado.aws.attributes import MomentAttribute, WordAttribute
from recado.aws.models import ClinicItem
from recado.channels.model import Channel, ChannelState, Desired, Pairing, PairingMethod

CHANNEL_PREFIX = "channel#"
_INTEGERS = frozenset({"state_sequence", "changed_sequence", "desired_version", "drain_sequence"})
_PAIRING = ("method", "phone", "requested_at")


class ChannelRecord(ClinicItem):
    """A channel as stored. A tombstone has no shard, which takes it out of the index."""

    table = "core"

    clinic_id = UnicodeAttribute()
    channel_id = UnicodeAttribute()
    name = UnicodeAttribute()
    external_id = UnicodeAttribute(null=True)
    expected_phone = UnicodeAttribute(null=True)
    shard_id = UnicodeAttribute(null=True)
    created_at = MomentAttribute()
    updated_at = MomentAttribute()
    state_since = MomentAttribute()
    state = WordAttribute(ChannelState)
    reason = UnicodeAttribute(null=True)
    previous_state = WordAttribute(ChannelState, null=True)
    state_sequence = NumberAttribute()
    reported_state = WordAttribute(ChannelState)
    changed_sequence = NumberAttribute()
    desired = WordAttribute(Desired)
    desired_version = NumberAttribute()
    pairing_method = WordAttribute(PairingMethod, null=True)
    pairing_phone = UnicodeAttribute(null=True)
    pairing_requested_at = MomentAttribute(null=True)
    restart_requested_at = MomentAttribute(null=True)
    drain_sequence = NumberAttribute(null=True)
    phone = UnicodeAttribute(null=True)
    lid = UnicodeAttribute(null=True)
    paired_at = MomentAttribute(null=True)
    last_connected_at = MomentAttribute(null=True)
    ban_expires_at = MomentAttribute(null=True)
    retry_at = MomentAttribute(null=True)
    proxy_address = UnicodeAttribute(null=True)
    proxy_sealed = BinaryAttribute(null=True, legacy_encoding=False)

    @classmethod
    def of(cls, channel: Channel) -> "ChannelRecord":
        """Return the item of a channel."""
        return cls(*channel_key(channel.clinic_id, channel.channel_id), **_stored(channel))

    @classmethod
    def keyed(cls, channel: Channel) -> "ChannelRecord":
        """Return a channel's item with only its key set, for updates."""
        return cls(*channel_key(channel.clinic_id, channel.channel_id))

    @classmethod
    def changes(cls, before: Channel, after: Channel) -> list[Action]:
        """Return the updates that turn the stored ``before`` into ``after``."""
        old, new = _stored(before), _stored(after)
        return [
            getattr(cls, name).remove() if new[name] is None else getattr(cls, name).set(new[name])
            for name in new
            if new[name] != old[name]
        ]

    def channel(self) -> Channel:
        """Return the channel."""
        fields = {name: getattr(self, name) for name in _FIELDS}
        for name in _INTEGERS:
            fields[name] = None if fields[name] is None else int(fields[name])
        fields["shard_id"] = fields["shard_id"] or ""
        if self.pairing_method is not None and self.pairing_requested_at is not None:
            fields["pairing"] = Pairing(self.pairing_method, self.pairing_phone, self.pairing_requested_at)
        return Channel(**fields)


_FIELDS = tuple(name for name in Channel.__slots__ if name != "pairing")


class ExternalIdGuard(ClinicItem):
    """Keeps an external id to one channel of its clinic."""

    table = "core"

    channel_id = UnicodeAttribute(null=True)

    @classmethod
    def of(cls, clinic_id: str, external_id: str, channel_id: str | None = None) -> "ExternalIdGuard":
        """Return the guard's item."""
        return cls(f"clinic#{clinic_id}", f"external_id#{external_id}", channel_id=channel_id)


class NumberGuard(ClinicItem):
    """Keeps a WhatsApp number to one channel of the platform."""

    table = "core"

    clinic_id = UnicodeAttribute(null=True)
    channel_id = UnicodeAttribute(null=True)

    @classmethod
    def of(cls, phone: str, channel: Channel) -> "NumberGuard":
        """Return the guard's item for a number (E.164) held by a channel."""
        return cls(
            f"number#{phone.removeprefix('+')}", "number", clinic_id=channel.clinic_id, channel_id=channel.channel_id
        )

    @classmethod
    def free_for(cls, channel: Channel) -> Condition:
        """Return the condition that nobody but this channel holds the number."""
        own: Condition = (cls.clinic_id == channel.clinic_id) & (cls.channel_id == channel.channel_id)
        free: Condition = cls.pk.does_not_exist() | own
        return free


def channel_key(clinic_id: str, channel_id: str) -> tuple[str, str]:
    """Return the key of a channel's item."""
    return f"clinic#{clinic_id}", f"{CHANNEL_PREFIX}{channel_id}"


def _stored(channel: Channel) -> dict[str, Any]:
    fields = {name: getattr(channel, name) for name in _FIELDS}
    fields["shard_id"] = channel.shard_id or None
    for name in _PAIRING:
        fields[f"pairing_{name}"] = getattr(channel.pairing, name) if channel.pairing else None
    return fields
