"""Channels and their pairing on the wire."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints

from functions.api.schemas.base import Answer, Given, Moment, PageQuery, with_example
from functions.api.schemas.clinics import Name, Phone

_EXAMPLE = {
    "channel_id": "chn_01kb1v00000000000000000000",
    "name": "Recepção",
    "external_id": "recepcao",
    "expected_phone": None,
    "state": "connected",
    "reason": None,
    "since": "2026-11-22T13:00:00.000Z",
    "next_action": None,
    "retry_at": None,
    "phone": "+5511988880001",
    "lid": "100000000000001@lid",
    "last_frame_at": "2026-11-22T13:05:00.000Z",
    "last_frame_age": 12,
    "last_connected_at": "2026-11-22T13:00:00.000Z",
    "paired_at": "2026-11-22T13:00:00.000Z",
    "ban_expires_at": None,
    "proxy": None,
    "created_at": "2026-11-22T12:58:00.000Z",
    "updated_at": "2026-11-22T13:00:00.000Z",
}

ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class NewChannel(Given):
    """A channel to be created."""

    model_config = with_example({"name": "Recepção", "external_id": "recepcao"})

    name: Name
    external_id: ExternalId | None = Field(None, description="Your own id, unique within the clinic.")
    expected_phone: Phone | None = Field(
        None, description="If given, pairing with any other number is refused and logged out again."
    )


class ChannelChange(Given):
    """What to change."""

    model_config = with_example({"name": "Recepção 2"})

    name: Name | None = Field(None, description="A new name; left out or null, it stays.")
    proxy: SecretStr | None = Field(
        None,
        description=(
            "An HTTP CONNECT proxy that the channel connects through, as `http://user:password@host:port` or "
            "`https://…`; "
            "null takes it away; left out, it stays. It must be at a public address; SOCKS is not possible. Only "
            "`host:port` is ever shown again. A connected channel is connected anew through it, and never directly."
        ),
    )


class ConnectRequest(Given):
    """How to link the number, when it is not linked yet."""

    model_config = with_example({"method": "qr"})

    method: Literal["qr", "code"] = "qr"
    phone: Phone | None = Field(None, description="The number to link; needed for the method `code` only.")


class ChannelAnswer(Answer):
    """A channel."""

    model_config = with_example(_EXAMPLE)

    channel_id: str
    name: str
    external_id: str | None
    expected_phone: str | None
    state: str
    reason: str | None = Field(description="Why the channel is in this state, as a word.")
    since: Moment = Field(description="When it came into this state.")
    next_action: str | None = Field(
        description="What has to be done, as a word: connect, scan_qr, wait, link_again, check_proxy…"
    )
    retry_at: Moment | None = Field(description="When a connection is tried again by itself, if that is planned.")
    phone: str | None
    lid: str | None = Field(description="WhatsApp's own hidden id of the number.")
    last_frame_at: Moment | None = Field(description="When anything was last heard from WhatsApp on this channel.")
    last_frame_age: int | None = Field(description="How many seconds ago that was.")
    last_connected_at: Moment | None
    paired_at: Moment | None
    ban_expires_at: Moment | None
    proxy: str | None = Field(description="`host:port` of the proxy it connects through; null for none.")
    created_at: Moment
    updated_at: Moment


class ChannelQuery(Given):
    """How long to hold on to the request."""

    wait_for: Literal["connected"] | None = Field(
        None, description="Answer once the channel is in this state, after 20 seconds at the latest."
    )


class ChannelListQuery(PageQuery):
    """The query of the list of channels."""


class PairingQuery(Given):
    """How long to wait for a code."""

    wait: int = Field(5, ge=0, le=20, description="Seconds to wait for a code.")


class PairingCodeAnswer(Answer):
    """What links the number; whoever has it can link a device, so treat it like a password."""

    model_config = with_example(
        {
            "code": "https://wa.me/settings/linked_devices#2@AbC…",
            "expires_at": "2026-11-22T13:01:00.000Z",
        }
    )

    code: str
    expires_at: Moment
