"""What a channel is, what may be asked of it, and how what is reported of it changes it. Pure: no clock, no store.

Two sides write a channel. Callers write what they want (``desired``); the shard's runner, which reads that and
converges, reports what is (``state``). Reports may come late, twice and in any order, so each carries a sequence.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from recado.kernel.errors import ChannelStateError, InvalidRequestError


class ChannelState(StrEnum):
    """What a channel is."""

    CREATED = "created"
    PAIRING = "pairing"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    LOGGED_OUT = "logged_out"
    BANNED = "banned"
    REPLACED = "replaced"
    OUTDATED = "outdated"
    REJECTED = "rejected"
    FAILED = "failed"
    DELETED = "deleted"


class Desired(StrEnum):
    """What is wanted of a channel."""

    NONE = "none"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    LOGGED_OUT = "logged_out"
    DELETED = "deleted"


class PairingMethod(StrEnum):
    """How a phone is linked."""

    QR = "qr"
    CODE = "code"


class NextAction(StrEnum):
    """What the people who use a channel have to do next."""

    NONE = "none"
    WAIT = "wait"
    CONNECT = "connect"
    SCAN_QR = "scan_qr"
    ENTER_CODE = "enter_code"
    LINK_AGAIN = "link_again"
    USE_ANOTHER_NUMBER = "use_another_number"
    WAIT_FOR_BAN_TO_END = "wait_for_ban_to_end"
    UPGRADE = "upgrade"
    CHECK_PROXY = "check_proxy"
    REMOVE_PASSKEY = "remove_passkey"
    CONTACT_SUPPORT = "contact_support"


class UnexpectedNumberError(Exception):
    """The phone that was linked is not the one that was announced for the channel."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """A wish to link a phone; ``phone`` (E.164) is set for linking by code."""

    method: PairingMethod
    phone: str | None
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class PairingCode:
    """What the phone has to scan or its owner to type; a secret for as long as it is good."""

    method: PairingMethod
    code: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Liveness:
    """When a channel's connection last showed life, as seen by the task of that epoch."""

    connected: bool
    last_frame_at: datetime | None
    epoch: int


@dataclass(frozen=True, slots=True)
class Channel:
    """One WhatsApp number of a clinic.

    Attributes:
        external_id: the integrator's own name for it, unique in the clinic.
        expected_phone: the number (E.164) that must be linked; None for any.
        shard_id: where it is placed; empty once deleted.
        state_sequence: the sequence of the newest report taken in.
        reported_state: the last state that a report brought about, as against one that a request did.
        changed_sequence: the sequence of the report that last changed ``reported_state``.
        previous_state: what ``reported_state`` was before.
        desired_version: rises with every request, so that the end of one attempt cannot undo a later request.
        drain_sequence: up to which outbox sequence messages are still sent before logging out.
        phone: the linked number as E.164; None while no phone is linked.
        lid: WhatsApp's own id of the linked account.
        retry_at: when a connection is tried again without anybody asking, if that is planned.
        proxy_address: ``host:port`` of the proxy that its connection goes through; None for a direct one.
        proxy_sealed: the proxy's whole URL, with its password, under the clinic's data key.
    """

    clinic_id: str
    channel_id: str
    name: str
    external_id: str | None
    expected_phone: str | None
    shard_id: str
    created_at: datetime
    updated_at: datetime
    state_since: datetime
    state: ChannelState = ChannelState.CREATED
    reason: str | None = None
    previous_state: ChannelState | None = None
    state_sequence: int = 0
    reported_state: ChannelState = ChannelState.CREATED
    changed_sequence: int = 0
    desired: Desired = Desired.NONE
    desired_version: int = 0
    pairing: Pairing | None = None
    restart_requested_at: datetime | None = None
    drain_sequence: int | None = None
    phone: str | None = None
    lid: str | None = None
    paired_at: datetime | None = None
    last_connected_at: datetime | None = None
    ban_expires_at: datetime | None = None
    retry_at: datetime | None = None
    proxy_address: str | None = None
    proxy_sealed: bytes | None = field(default=None, repr=False)

    @property
    def next_action(self) -> NextAction:
        """What the people who use the channel have to do next."""
        if self.state is ChannelState.PAIRING:
            by_code = self.pairing is not None and self.pairing.method is PairingMethod.CODE
            return NextAction.ENTER_CODE if by_code else NextAction.SCAN_QR
        if self.state in _TROUBLED and self.reason in _NEXT_ACTIONS_BY_REASON:
            return _NEXT_ACTIONS_BY_REASON[self.reason]
        if self.state is ChannelState.DISCONNECTED and self.desired is Desired.CONNECTED:
            return NextAction.WAIT
        return _NEXT_ACTIONS[self.state]


# Reasons that ask for more than their state does.
_TROUBLED = frozenset({ChannelState.DISCONNECTED, ChannelState.FAILED})
_NEXT_ACTIONS_BY_REASON = {
    "proxy_unreachable": NextAction.CHECK_PROXY,
    "proxy_not_allowed": NextAction.CHECK_PROXY,
    "pairing_proxy_unreachable": NextAction.CHECK_PROXY,
    "pairing_passkey_required": NextAction.REMOVE_PASSKEY,
    "vault_damaged": NextAction.CONTACT_SUPPORT,
}
_NEXT_ACTIONS = {
    ChannelState.CREATED: NextAction.CONNECT,
    ChannelState.CONNECTING: NextAction.WAIT,
    ChannelState.CONNECTED: NextAction.NONE,
    ChannelState.DISCONNECTED: NextAction.CONNECT,
    ChannelState.LOGGED_OUT: NextAction.LINK_AGAIN,
    ChannelState.BANNED: NextAction.WAIT_FOR_BAN_TO_END,
    ChannelState.REPLACED: NextAction.CONNECT,
    ChannelState.OUTDATED: NextAction.UPGRADE,
    ChannelState.REJECTED: NextAction.USE_ANOTHER_NUMBER,
    ChannelState.FAILED: NextAction.CONNECT,
    ChannelState.DELETED: NextAction.NONE,
}


def placed(channel: Channel, shard_id: str) -> Channel:
    """Return the channel as placed on a shard."""
    return replace(channel, shard_id=shard_id)


def renamed(channel: Channel, name: str, now: datetime) -> Channel:
    """Return the channel under another name."""
    return channel if channel.name == name else replace(channel, name=name, updated_at=now)


def through(channel: Channel, address: str | None, sealed: bytes | None, now: datetime) -> Channel:
    """Return the channel with another proxy, or none; what is connected or being linked is begun anew through it.

    Raises:
        ChannelStateError: it is being deleted.
    """
    _refuse_if_going(channel)
    if address is None and channel.proxy_address is None:
        return channel
    changed = replace(channel, proxy_address=address, proxy_sealed=sealed)
    if channel.desired is Desired.CONNECTED and channel.paired_at is not None:
        changed = replace(changed, restart_requested_at=now)
    if channel.pairing is not None:
        changed = replace(changed, pairing=replace(channel.pairing, requested_at=now))
    return _requested(changed, now)


def connect(channel: Channel, method: PairingMethod, phone: str | None, now: datetime) -> Channel:
    """Return the channel with the wish to be connected; the same object if it is wanted or so already.

    Args:
        channel: the channel as it is.
        method: how to link a phone if none is linked.
        phone: the number (E.164) that will enter the code; needed for linking by code.
        now: the moment of the request.

    Raises:
        ChannelStateError: it is being deleted, or WhatsApp's ban has not ended.
        InvalidRequestError: linking by code without a number; the field is ``phone``.
    """
    _refuse_if_going(channel)
    if channel.state is ChannelState.BANNED and channel.ban_expires_at and channel.ban_expires_at > now:
        raise ChannelStateError("WhatsApp has banned this number for a time that has not ended.")
    if channel.paired_at is None:
        return _link(channel, method, phone, now)
    wanted = channel.desired is Desired.CONNECTED
    if wanted and channel.state in (ChannelState.CONNECTED, ChannelState.CONNECTING):
        return channel
    connecting = replace(channel, desired=Desired.CONNECTED, pairing=None, drain_sequence=None)
    state = channel.state if channel.state is ChannelState.CONNECTED else ChannelState.CONNECTING
    return _requested(connecting, now, state)


def disconnect(channel: Channel, now: datetime) -> Channel:
    """Return the channel with the wish to be disconnected, its phone staying linked.

    Raises:
        ChannelStateError: it is being deleted.
    """
    _refuse_if_going(channel)
    if channel.desired is not Desired.CONNECTED:
        return channel
    return _requested(replace(channel, desired=Desired.DISCONNECTED, pairing=None), now)


def log_out(channel: Channel, drain_sequence: int, now: datetime) -> Channel:
    """Return the channel with the wish to unlink its phone, after what was accepted before has been sent.

    Raises:
        ChannelStateError: it is being deleted, or no phone is linked.
    """
    _refuse_if_going(channel)
    if channel.state is ChannelState.LOGGED_OUT or channel.desired is Desired.LOGGED_OUT:
        return channel
    if channel.paired_at is None:
        raise ChannelStateError("No phone is linked to this channel.")
    return _requested(
        replace(channel, desired=Desired.LOGGED_OUT, pairing=None, drain_sequence=drain_sequence),
        now,
    )


def restart(channel: Channel, now: datetime) -> Channel:
    """Return the channel with the wish to have its connection made anew.

    Raises:
        ChannelStateError: it is being deleted, or is not meant to be connected.
    """
    _refuse_if_going(channel)
    if channel.desired is not Desired.CONNECTED or channel.paired_at is None:
        raise ChannelStateError("Only a channel that is meant to be connected can be restarted.")
    return _requested(replace(channel, restart_requested_at=now), now)


def delete(channel: Channel, drain_sequence: int | None, now: datetime) -> Channel:
    """Return the channel with the wish to be deleted, from which nothing leads back."""
    if channel.desired is Desired.DELETED:
        return channel
    return _requested(replace(channel, desired=Desired.DELETED, pairing=None, drain_sequence=drain_sequence), now)


def deleted(channel: Channel, now: datetime) -> Channel:
    """Return what stays of a deleted channel: a tombstone without number or place."""
    return replace(
        channel,
        state=ChannelState.DELETED,
        state_since=now,
        updated_at=now,
        reason=None,
        desired=Desired.DELETED,
        desired_version=channel.desired_version + 1,
        pairing=None,
        shard_id="",
        phone=None,
        lid=None,
        paired_at=None,
        expected_phone=None,
        retry_at=None,
        proxy_address=None,
        proxy_sealed=None,
    )


def _link(channel: Channel, method: PairingMethod, phone: str | None, now: datetime) -> Channel:
    if method is PairingMethod.CODE and phone is None:
        raise InvalidRequestError("Linking by code needs the phone's number.", field="phone")
    asked = channel.pairing
    same = asked is not None and (asked.method, asked.phone) == (method, phone)
    if same and channel.desired is Desired.CONNECTED and channel.state is ChannelState.PAIRING:
        return channel
    linking = replace(
        channel, desired=Desired.CONNECTED, pairing=Pairing(method, phone, requested_at=now), drain_sequence=None
    )
    return _requested(linking, now, ChannelState.PAIRING)


def _requested(channel: Channel, now: datetime, state: ChannelState | None = None) -> Channel:
    changed = replace(channel, desired_version=channel.desired_version + 1, updated_at=now, retry_at=None)
    if state is None or state is channel.state:
        return changed
    return replace(changed, state=state, state_since=now, reason=None)


def _refuse_if_going(channel: Channel) -> None:
    if channel.desired is Desired.DELETED:
        raise ChannelStateError("This channel is being deleted.")
