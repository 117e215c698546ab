"""What the API tells a channel's runner, by way of the shard's command queue."""

from datetime import timedelta
from typing import Any

from recado.aws.logging import logger
from recado.channels.model import Channel, ChannelState
from recado.contacts.model import Recipient
from recado.kernel.clock import Clock, SystemClock
from recado.kernel.envelopes import Command
from recado.kernel.errors import ChannelNotConnectedError, UnavailableError
from recado.kernel.ids import Prefix, new_id
from recado.messages.model import Message
from recado.shards import service as shards

_CLOCK = SystemClock()
_NUDGE_LIFE = timedelta(hours=1)
_AWAITED_LIFE = timedelta(seconds=60)

_ENDED = frozenset({ChannelState.LOGGED_OUT, ChannelState.BANNED, ChannelState.REJECTED, ChannelState.DELETED})
"""States that no reconnection leaves: what is sent now would wait for somebody to link the number again."""


def has_ended(channel: Channel) -> bool:
    """Say whether the channel's number is not ours to send through any more."""
    return channel.state in _ENDED


def ring(channel: Channel) -> None:
    """Tell the runner that the outbox has rows.

    A bell that cannot be rung is logged and no error: the message is stored, and the runner looks every 60 seconds.
    """
    try:
        _send(channel, "outbox.ring", {}, _NUDGE_LIFE)
    except UnavailableError as error:
        logger("api").warning(
            "doorbell not rung",
            extra={
                "clinic_id": channel.clinic_id,
                "channel_id": channel.channel_id,
                "shard_id": channel.shard_id,
                "error_code": error.code,
            },
        )


def mark_read(channel: Channel, message: Message) -> None:
    """Ask the runner to show a received message's sender that it was read.

    Raises:
        ChannelNotConnectedError: nobody is there to do it now.
    """
    sender = {"e164": message.sender.e164, "lid": message.sender.lid}
    item = {"whatsapp_id": message.whatsapp_id, "chat": sender, "sender": sender}
    _send_live(channel, "messages.mark_read", {"items": [item]})


def show_typing(channel: Channel, to: Recipient, state: str) -> None:
    """Ask the runner to show or stop showing that somebody is typing.

    Args:
        channel: who types.
        to: who sees it.
        state: ``composing`` or ``paused``.

    Raises:
        ChannelNotConnectedError: nobody is there to do it now.
    """
    _send_live(channel, "chats.typing", {"to": {"e164": to.e164, "lid": to.lid}, "state": state})


def ask_about(channel: Channel, request_id: str, numbers: list[str]) -> None:
    """Ask the runner to look numbers up on WhatsApp; the answer is stored under the request id.

    Args:
        channel: the channel that asks.
        request_id: where the answer will be.
        numbers: international numbers, ``+55…``.

    Raises:
        ChannelNotConnectedError: nobody is there to do it now.
    """
    _send_live(channel, "contacts.check", {"request_id": request_id, "numbers": numbers})


def _send_live(channel: Channel, kind: str, data: dict[str, Any]) -> None:
    if channel.state is not ChannelState.CONNECTED:
        raise ChannelNotConnectedError(f"The channel is {channel.state}.")
    _send(channel, kind, data, _AWAITED_LIFE)


def _send(channel: Channel, kind: str, data: dict[str, Any], life: timedelta, clock: Clock = _CLOCK) -> None:
    now = clock.now()
    command = Command(
        command_id=new_id(Prefix.COMMAND, now),
        kind=kind,
        clinic_id=channel.clinic_id,
        channel_id=channel.channel_id,
        issued_at=now,
        expires_at=now + life,
        data=data,
    )
    shards.send_command(channel.shard_id, command)
