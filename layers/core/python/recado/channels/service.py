"""What callers can ask of channels. Each request writes what is wanted and then nudges the channel's runner."""

from collections.abc import Callable

from recado.aws.logging import logger
from recado.aws.models import Key, Page
from recado.aws.transactions import Transaction
from recado.channels import model, store
from recado.channels.checks import get_check_result, put_check_result
from recado.channels.model import Channel, ChannelState, PairingMethod
from recado.channels.nudges import nudge
from recado.channels.proxies import proxy_of, seal_proxy
from recado.channels.removal import finish_delete, remove
from recado.channels.reporting import ApplyResult, apply_state, reserve_sequences
from recado.channels.running import (
    claim_number,
    get_liveness,
    get_livenesses,
    get_pairing_code,
    list_for_shard,
    put_liveness,
    put_pairing_code,
    release_number,
    remove_pairing_code,
)
from recado.channels.table import CHANNEL_PREFIX, ChannelRecord, ExternalIdGuard
from recado.clinics.model import check_name
from recado.clinics.service import get_clinic
from recado.contacts.model import parse_recipient
from recado.kernel.clock import Clock, SystemClock
from recado.kernel.errors import (
    ChannelExistsError,
    InvalidPhoneNumberError,
    InvalidRequestError,
    NoShardAvailableError,
)
from recado.kernel.ids import Prefix, new_id
from recado.shards import service as shards
from recado.shards.model import ShardFullError

__all__ = [
    "ApplyResult",
    "apply_state",
    "claim_number",
    "create",
    "finish_delete",
    "get",
    "get_check_result",
    "get_liveness",
    "get_livenesses",
    "get_pairing_code",
    "list_channels",
    "list_for_shard",
    "proxy_of",
    "put_check_result",
    "put_liveness",
    "put_pairing_code",
    "release_number",
    "remove_pairing_code",
    "rename",
    "request_connect",
    "request_delete",
    "request_disconnect",
    "request_logout",
    "request_restart",
    "reserve_sequences",
    "set_proxy",
]

_CLOCK = SystemClock()
_LONGEST_EXTERNAL_ID = 100


def create(
    clinic_id: str,
    name: str,
    external_id: str | None = None,
    expected_phone: str | None = None,
    *,
    clock: Clock = _CLOCK,
) -> Channel:
    """Make a channel and place it on the least loaded shard, all in one transaction.

    Args:
        clinic_id: whose channel.
        name: what people call it.
        external_id: the integrator's own name for it, 1 to 100 characters, unique in the clinic.
        expected_phone: the only number that may be linked, in any notation; None for any.
        clock: tells the moment of making.

    Raises:
        ClinicNotFoundError: there is no such clinic.
        ChannelExistsError: the clinic has a channel of that external id.
        InvalidRequestError: the name or the external id will not do.
        InvalidPhoneNumberError: the expected phone is no number.
        NoShardAvailableError: every shard that is open to the clinic is full.
    """
    get_clinic(clinic_id)
    now = clock.now()
    channel = Channel(
        clinic_id=clinic_id,
        channel_id=new_id(Prefix.CHANNEL, now),
        name=check_name(name),
        external_id=_checked_external_id(external_id),
        expected_phone=_e164(expected_phone, "expected_phone"),
        shard_id="",
        created_at=now,
        updated_at=now,
        state_since=now,
    )
    for shard_id in shards.place(clinic_id):
        placed = model.placed(channel, shard_id)
        try:
            _create(placed)
        except ShardFullError:
            logger("channels").info("A shard filled up while a channel was placed.", shard_id=shard_id)
            continue
        return placed
    raise NoShardAvailableError


def get(clinic_id: str, channel_id: str) -> Channel:
    """Return the channel as stored now.

    Raises:
        ChannelNotFoundError: the clinic has no such channel, or it is deleted.
    """
    return store.get(clinic_id, channel_id)


def list_channels(clinic_id: str, limit: int = 50, cursor_key: Key | None = None) -> Page[Channel]:
    """Return a clinic's channels in the order of their making, without deleted ones."""
    page = ChannelRecord.page(
        f"clinic#{clinic_id}",
        limit=limit,
        start=cursor_key,
        range_condition=ChannelRecord.sk.startswith(CHANNEL_PREFIX),
        filter_condition=ChannelRecord.state != ChannelState.DELETED,
        consistent=True,
    )
    return Page([record.channel() for record in page.items], page.last_key)


def rename(clinic_id: str, channel_id: str, name: str, *, clock: Clock = _CLOCK) -> Channel:
    """Call a channel something else.

    Raises:
        ChannelNotFoundError: the clinic has no such channel.
        InvalidRequestError: the name will not do.
    """
    checked = check_name(name)
    return _change(clinic_id, channel_id, lambda channel: model.renamed(channel, checked, clock.now()))


def set_proxy(clinic_id: str, channel_id: str, url: str | None, *, clock: Clock = _CLOCK) -> Channel:
    """Have the channel connect through a proxy from now on, or directly again; a connection is made anew.

    Args:
        clinic_id: whose channel.
        channel_id: which channel.
        url: ``http(s)://[user:password@]host[:port]``; None for a direct connection.
        clock: tells the moment of the request.

    Raises:
        ChannelNotFoundError: the clinic has no such channel.
        ChannelStateError: it is being deleted.
        InvalidRequestError: the URL will not do; the field is ``proxy``.
    """
    store.get(clinic_id, channel_id)  # before anything is resolved on behalf of somebody it is no business of
    proxy = seal_proxy(clinic_id, url) if url is not None else None
    address, sealed = (proxy.address, proxy.sealed) if proxy else (None, None)
    return _ask(clinic_id, channel_id, lambda channel: model.through(channel, address, sealed, clock.now()), clock)


def request_connect(
    clinic_id: str, channel_id: str, method: PairingMethod | str, phone: str | None = None, *, clock: Clock = _CLOCK
) -> Channel:
    """Ask that the channel be connected, and a phone linked first if none is. Asking again changes nothing.

    Args:
        clinic_id: whose channel.
        channel_id: which channel.
        method: how to link a phone if none is linked.
        phone: for linking by code, the number that will enter it, in any notation.
        clock: tells the moment of the request.

    Raises:
        ChannelNotFoundError: the clinic has no such channel.
        ChannelStateError: it is being deleted, or banned.
        InvalidRequestError: linking by code without a number.
        InvalidPhoneNumberError: the phone is no number.
    """
    e164 = _e164(phone, "phone")
    return _ask(
        clinic_id, channel_id, lambda channel: model.connect(channel, PairingMethod(method), e164, clock.now()), clock
    )


def request_disconnect(clinic_id: str, channel_id: str, *, clock: Clock = _CLOCK) -> Channel:
    """Ask that the channel be disconnected, its phone staying linked. Asking again changes nothing.

    Raises:
        ChannelNotFoundError: the clinic has no such channel.
        ChannelStateError: it is being deleted.
    """
    return _ask(clinic_id, channel_id, lambda channel: model.disconnect(channel, clock.now()), clock)


def request_logout(clinic_id: str, channel_id: str, drain_sequence: int, *, clock: Clock = _CLOCK) -> Channel:
    """Ask that the channel's phone be unlinked. Asking again changes nothing.

    Args:
        clinic_id: whose channel.
        channel_id: which channel.
        drain_sequence: the outbox's present counter: what was accepted before is still sent.
        clock: tells the moment of the request.

    Raises:
        ChannelNotFoundError: the clinic has no such channel.
        ChannelStateError: it is being deleted, or no phone is linked.
    """
    return _ask(clinic_id, channel_id, lambda channel: model.log_out(channel, drain_sequence, clock.now()), clock)


def request_restart(clinic_id: str, channel_id: str, *, clock: Clock = _CLOCK) -> Channel:
    """Ask that the channel's connection be made anew.

    Raises:
        ChannelNotFoundError: the clinic has no such channel.
        ChannelStateError: it is being deleted, or is not meant to be connected.
    """
    return _ask(clinic_id, channel_id, lambda channel: model.restart(channel, clock.now()), clock)


def request_delete(
    clinic_id: str, channel_id: str, drain_sequence: int | None = None, *, clock: Clock = _CLOCK
) -> Channel:
    """Ask that the channel be deleted: at once if no phone is linked, else after its runner has unlinked it.

    Args:
        clinic_id: whose channel.
        channel_id: which channel.
        drain_sequence: the outbox's present counter; None to send nothing more.
        clock: tells the moment of the request.

    Raises:
        ChannelNotFoundError: the clinic has no such channel; so too when it is deleted already.
    """
    channel = _ask(clinic_id, channel_id, lambda channel: model.delete(channel, drain_sequence, clock.now()), clock)
    # A phone may be linked in this very moment; then nothing is removed here and the runner finishes.
    return channel if channel.paired_at else remove(channel, clock.now()) or channel


def _create(channel: Channel) -> None:
    transaction = Transaction().save(ChannelRecord.of(channel), ChannelRecord.pk.does_not_exist())
    if channel.external_id is not None:
        transaction.save(
            ExternalIdGuard.of(channel.clinic_id, channel.external_id, channel.channel_id),
            ExternalIdGuard.pk.does_not_exist(),
            otherwise=ChannelExistsError("This clinic has a channel of that external id.", field="external_id"),
        )
    shards.hold(transaction, channel.shard_id)
    transaction.commit()


def _change(clinic_id: str, channel_id: str, decide: Callable[[Channel], Channel]) -> Channel:
    return store.change(lambda: store.get(clinic_id, channel_id), decide)[1]


def _ask(clinic_id: str, channel_id: str, decide: Callable[[Channel], Channel], clock: Clock) -> Channel:
    before, after = store.change(lambda: store.get(clinic_id, channel_id), decide)
    if after is not before:
        nudge(after, clock.now())
    return after


def _checked_external_id(external_id: str | None) -> str | None:
    if external_id is not None and not (0 < len(external_id) <= _LONGEST_EXTERNAL_ID and external_id.isprintable()):
        raise InvalidRequestError("An external id has 1 to 100 printable characters.", field="external_id")
    return external_id


def _e164(text: str | None, field: str) -> str | None:
    if text is None:
        return None
    recipient = parse_recipient(text, field=field)
    if recipient.e164 is None:
        raise InvalidPhoneNumberError("A phone number is needed here.", field=field)
    return recipient.e164
