"""Channels: a clinic's WhatsApp numbers and what is asked of their sessions."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, status

from functions.api.auth import ChannelsRead, ChannelsWrite, channels_of, may_see_channel, needs
from functions.api.documentation import problems
from functions.api.listing import Listing
from functions.api.schemas.base import Listed
from functions.api.schemas.channels import (
    ChannelAnswer,
    ChannelChange,
    ChannelListQuery,
    ChannelQuery,
    ConnectRequest,
    NewChannel,
)
from functions.api.settings import LONGEST_WAIT_SECONDS
from functions.api.waiting import Patience, patience
from recado.channels import service as channels
from recado.channels.model import Channel, ChannelState, Liveness, NextAction, PairingMethod
from recado.clinics.model import Scope
from recado.kernel.clock import SystemClock
from recado.kernel.errors import (
    ChannelExistsError,
    ChannelStateError,
    InsufficientScopeError,
    InvalidPhoneNumberError,
    InvalidRequestError,
    NoShardAvailableError,
)
from recado.messages import service as messages

router = APIRouter(prefix="/v1/clinics/{clinic_id}/channels", tags=["channels"])
_CLOCK = SystemClock()


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Create a channel",
    responses=problems(ChannelExistsError, InvalidPhoneNumberError, NoShardAvailableError),
)
def create_channel(principal: ChannelsWrite, clinic_id: str, body: NewChannel) -> ChannelAnswer:
    """Create a channel; nothing is linked or connected yet. Your own `external_id` can be used only once."""
    if channels_of(principal) is not None:
        raise InsufficientScopeError("A key limited to channels cannot create another.")
    return show_channel(channels.create(clinic_id, body.name, body.external_id, body.expected_phone))


@router.get("", summary="List the channels")
def list_channels(
    principal: ChannelsRead, clinic_id: str, query: Annotated[ChannelListQuery, Query()]
) -> Listed[ChannelAnswer]:
    """List the clinic's channels, oldest first; a key limited to channels sees only those."""
    listing = Listing("list_channels", query, clinic_id)
    page = channels.list_channels(clinic_id, query.limit, listing.start())
    heard = channels.get_livenesses(clinic_id, [channel.channel_id for channel in page.items])
    return listing.answer(
        page,
        lambda channel: show_channel(channel, heard.get(channel.channel_id)),
        keep=lambda channel: may_see_channel(principal, channel.channel_id),
    )


@router.get("/{channel_id}", summary="Read a channel", dependencies=[needs(Scope.CHANNELS_READ)])
def get_channel(
    clinic_id: str,
    channel_id: str,
    query: Annotated[ChannelQuery, Query()],
    waiting: Annotated[Patience, Depends(patience)],
) -> ChannelAnswer:
    """Read one channel. With `wait_for=connected`, the answer comes once it is connected, or as it is after 20 s."""

    def connected() -> Channel | None:
        channel = channels.get(clinic_id, channel_id)
        return channel if channel.state is ChannelState.CONNECTED else None

    if query.wait_for:
        waiting.until(connected, LONGEST_WAIT_SECONDS)
    return show_channel(channels.get(clinic_id, channel_id), channels.get_liveness(clinic_id, channel_id))


@router.patch(
    "/{channel_id}",
    summary="Rename a channel, set its proxy",
    responses=problems(ChannelStateError),
    dependencies=[needs(Scope.CHANNELS_WRITE)],
)
def update_channel(clinic_id: str, channel_id: str, body: ChannelChange) -> ChannelAnswer:
    """Change the channel's name, or the proxy that it connects through; what is left out stays."""
    if body.name is None and "proxy" not in body.model_fields_set:
        raise InvalidRequestError("Say what to change: name or proxy.", field="name")
    if "proxy" in body.model_fields_set:
        url = body.proxy.get_secret_value() if body.proxy is not None else None
        channel = channels.set_proxy(clinic_id, channel_id, url)
    if body.name is not None:
        channel = channels.rename(clinic_id, channel_id, body.name)
    return show_channel(channel, channels.get_liveness(clinic_id, channel_id))


@router.delete(
    "/{channel_id}",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Delete a channel",
    dependencies=[needs(Scope.CHANNELS_WRITE)],
)
def delete_channel(clinic_id: str, channel_id: str) -> ChannelAnswer:
    """Log the number out, forget its session and free the `external_id`. Messages already accepted are sent first."""
    channels.get(clinic_id, channel_id)
    return show_channel(channels.request_delete(clinic_id, channel_id, messages.outbox_counter(clinic_id, channel_id)))


@router.post(
    "/{channel_id}/connect",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Connect a channel",
    responses=problems(ChannelStateError, InvalidPhoneNumberError),
    dependencies=[needs(Scope.CHANNELS_WRITE)],
)
def connect_channel(clinic_id: str, channel_id: str, body: ConnectRequest | None = None) -> ChannelAnswer:
    """Connect the channel, linking the number first if it is not linked yet. Doing it twice changes nothing.

    Without a body, an unlinked number is linked by QR code.
    """
    wanted = body or ConnectRequest()
    return show_channel(channels.request_connect(clinic_id, channel_id, PairingMethod(wanted.method), wanted.phone))


@router.post(
    "/{channel_id}/disconnect",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Disconnect a channel",
    responses=problems(ChannelStateError),
    dependencies=[needs(Scope.CHANNELS_WRITE)],
)
def disconnect_channel(clinic_id: str, channel_id: str) -> ChannelAnswer:
    """Close the connection and keep the link: connecting again needs no QR code. Messages are queued meanwhile."""
    return show_channel(channels.request_disconnect(clinic_id, channel_id))


@router.post(
    "/{channel_id}/logout",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Log a channel out",
    responses=problems(ChannelStateError),
    dependencies=[needs(Scope.CHANNELS_WRITE)],
)
def logout_channel(clinic_id: str, channel_id: str) -> ChannelAnswer:
    """Send what was accepted before, then unlink the number; connecting again needs a new QR code."""
    channels.get(clinic_id, channel_id)
    return show_channel(channels.request_logout(clinic_id, channel_id, messages.outbox_counter(clinic_id, channel_id)))


@router.post(
    "/{channel_id}/restart",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Restart a channel",
    responses=problems(ChannelStateError),
    dependencies=[needs(Scope.CHANNELS_WRITE)],
)
def restart_channel(clinic_id: str, channel_id: str) -> ChannelAnswer:
    """Close the connection and open it again, without unlinking."""
    return show_channel(channels.request_restart(clinic_id, channel_id))


def show_channel(channel: Channel, liveness: Liveness | None = None) -> ChannelAnswer:
    """Return the wire shape of a channel.

    Args:
        channel: the channel.
        liveness: what its runner last said of the connection, if it ever did.
    """
    last_frame_at = liveness.last_frame_at if liveness else None
    return ChannelAnswer(
        channel_id=channel.channel_id,
        name=channel.name,
        external_id=channel.external_id,
        expected_phone=channel.expected_phone,
        state=channel.state,
        reason=channel.reason,
        since=channel.state_since,
        next_action=None if channel.next_action is NextAction.NONE else channel.next_action,
        phone=channel.phone,
        lid=channel.lid,
        retry_at=channel.retry_at,
        last_frame_at=last_frame_at,
        last_frame_age=_age(last_frame_at),
        last_connected_at=channel.last_connected_at,
        paired_at=channel.paired_at,
        ban_expires_at=channel.ban_expires_at,
        proxy=channel.proxy_address,
        created_at=channel.created_at,
        updated_at=channel.updated_at,
    )


def _age(moment: datetime | None) -> int | None:
    return None if moment is None else max(0, int((_CLOCK.now() - moment).total_seconds()))
