"""Messages: accepted durably and answered at once, read back, listed, marked as read."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response, status

from functions.api import sessions
from functions.api.auth import MessagesRead, channels_of, may_see_channel, needs
from functions.api.documentation import problems
from functions.api.listing import Listing
from functions.api.schemas.base import Listed
from functions.api.schemas.messages import (
    AcceptedAnswer,
    ClinicMessageListQuery,
    ContextAnswer,
    MessageAnswer,
    MessageListQuery,
    NewMessage,
    PartyAnswer,
    Recipient,
    RequestedAnswer,
    StatusChangeAnswer,
    TypingRequest,
)
from recado.channels import service as channels
from recado.channels.model import Channel
from recado.clinics.model import Scope
from recado.contacts.model import parse_recipient
from recado.kernel.errors import (
    ChannelNotConnectedError,
    ChannelNotFoundError,
    ChannelStateError,
    IdempotencyConflictError,
    InvalidPhoneNumberError,
    InvalidRequestError,
    MessageNotFoundError,
)
from recado.messages import service as messages
from recado.messages.model import Accepted, Direction, Message, Party, SendRequest
from recado.messages.status import MessageStatus

router = APIRouter(prefix="/v1/clinics/{clinic_id}", tags=["messages"])

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Your own name for this request; the same key within 24 hours never sends twice.",
    ),
]


@router.post(
    "/channels/{channel_id}/messages",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Send a message",
    responses=problems(ChannelStateError, IdempotencyConflictError, InvalidPhoneNumberError),
    dependencies=[needs(Scope.MESSAGES_SEND)],
)
def send_message(
    clinic_id: str,
    channel_id: str,
    body: NewMessage,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> AcceptedAnswer:
    """Accept a message for sending; it is stored before this is answered, and sent in the order of the answers.

    A channel that is not connected queues it. A channel that was logged out, banned or rejected refuses it (409).
    """
    channel = channels.get(clinic_id, channel_id)
    request = SendRequest(
        to=parse_recipient(body.to),
        text=body.text.body,
        context_message_id=body.context.message_id if body.context else None,
        client_reference=body.client_reference,
        ttl_seconds=body.ttl,
    )
    accepted = _accepted(channel, request, idempotency_key, _canonical(body))
    if accepted.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    sessions.ring(channel)
    return AcceptedAnswer(
        message_id=accepted.message.message_id,
        status="queued",
        to=Recipient(input=body.to, e164=accepted.message.to.e164),
    )


@router.get(
    "/channels/{channel_id}/messages",
    summary="List a channel's messages",
    dependencies=[needs(Scope.MESSAGES_READ)],
)
def list_channel_messages(
    clinic_id: str, channel_id: str, query: Annotated[MessageListQuery, Query()]
) -> Listed[MessageAnswer]:
    """List the messages of one channel, newest first."""
    channel = channels.get(clinic_id, channel_id)
    listing = Listing("list_channel_messages", query, clinic_id, channel_id)
    page = messages.list_channel(
        clinic_id,
        channel_id,
        limit=query.limit,
        start=listing.start(),
        filters=_filters(query, None),
        created_at=channel.created_at,
    )
    return listing.answer(page, show_message)


@router.get("/messages", summary="List a clinic's messages")
def list_clinic_messages(
    principal: MessagesRead, clinic_id: str, query: Annotated[ClinicMessageListQuery, Query()]
) -> Listed[MessageAnswer]:
    """List the messages of all channels, newest first; a key limited to channels sees only theirs."""
    listing = Listing("list_clinic_messages", query, clinic_id)
    if query.channel_id is None:
        filters = _filters(query, channels_of(principal))
        page = messages.list_clinic(clinic_id, limit=query.limit, start=listing.start(), filters=filters)
        return listing.answer(page, show_message)
    if not may_see_channel(principal, query.channel_id):
        raise ChannelNotFoundError
    created_at = channels.get(clinic_id, query.channel_id).created_at
    page = messages.list_channel(
        clinic_id,
        query.channel_id,
        limit=query.limit,
        start=listing.start(),
        filters=_filters(query, None),
        created_at=created_at,
    )
    return listing.answer(page, show_message)


@router.get(
    "/channels/{channel_id}/messages/{message_id}",
    summary="Read a message",
    responses=problems(MessageNotFoundError),
    dependencies=[needs(Scope.MESSAGES_READ)],
)
def get_message(clinic_id: str, channel_id: str, message_id: str) -> MessageAnswer:
    """Read one message with the history of its status."""
    channels.get(clinic_id, channel_id)
    return show_message(messages.get(clinic_id, channel_id, message_id))


@router.post(
    "/channels/{channel_id}/messages/{message_id}/read",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Mark a message as read",
    responses=problems(MessageNotFoundError, ChannelNotConnectedError),
    dependencies=[needs(Scope.MESSAGES_SEND)],
)
def mark_message_read(clinic_id: str, channel_id: str, message_id: str) -> RequestedAnswer:
    """Show the sender of a received message that it was read (the blue ticks)."""
    channel = channels.get(clinic_id, channel_id)
    message = messages.get(clinic_id, channel_id, message_id)
    if message.direction is not Direction.INBOUND or message.whatsapp_id is None:
        raise InvalidRequestError("Only received messages can be marked as read.")
    sessions.mark_read(channel, message)
    return RequestedAnswer()


@router.post(
    "/channels/{channel_id}/typing",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Show that somebody is typing",
    responses=problems(ChannelNotConnectedError, InvalidPhoneNumberError),
    dependencies=[needs(Scope.MESSAGES_SEND)],
)
def send_typing(clinic_id: str, channel_id: str, body: TypingRequest) -> RequestedAnswer:
    """Show or stop showing a contact that somebody is typing; WhatsApp itself stops showing it after a while."""
    sessions.show_typing(channels.get(clinic_id, channel_id), parse_recipient(body.to), body.state)
    return RequestedAnswer()


def _accepted(channel: Channel, request: SendRequest, key: str | None, canonical: bytes) -> Accepted:
    """Accept a message, or repeat an earlier answer: that is given even if the channel has come to its end since.

    Raises:
        ChannelStateError: the channel takes no new messages.
    """
    if not sessions.has_ended(channel):
        return messages.accept(channel.clinic_id, channel.channel_id, request, key, canonical)
    earlier = messages.repeated(channel.clinic_id, channel.channel_id, request, key, canonical) if key else None
    if earlier is None:
        raise ChannelStateError(f"The channel is {channel.state}; its number has to be linked again first.")
    return earlier


def _canonical(body: NewMessage) -> bytes:
    """Return the body in one form, so that spaces and the order of fields do not make it another."""
    plain: dict[str, Any] = body.model_dump(mode="json", exclude_none=True)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def show_message(message: Message) -> MessageAnswer:
    """Return the wire shape of a message."""
    queued = message.status is MessageStatus.QUEUED
    return MessageAnswer.model_validate(
        {
            "message_id": message.message_id,
            "channel_id": message.channel_id,
            "direction": message.direction,
            "status": message.status,
            "type": message.type,
            "source": message.source,
            "from": _party(message.sender),
            "to": _party(message.to),
            "text": None if message.text is None else {"body": message.text},
            "unsupported_kind": message.unsupported_kind,
            "context": _context(message),
            "client_reference": message.client_reference,
            "whatsapp_id": message.whatsapp_id,
            "code": message.code,
            "resends": message.resends,
            # Of one that evidence ended while it was held, the hold is still written.
            "held_reason": message.held_reason if queued else None,
            "not_before": message.not_before if queued else None,
            "offline": message.offline,
            "timestamp": message.timestamp,
            "valid_until": message.valid_until,
            "created_at": message.created_at,
            "history": [
                StatusChangeAnswer(status=change.status, at=change.at, code=change.code) for change in message.history
            ],
        }
    )


def _filters(query: MessageListQuery, only: frozenset[str] | None) -> messages.Filters:
    contact = parse_recipient(query.contact, field="contact") if query.contact is not None else None
    return messages.Filters(
        direction=query.direction,
        channels=only,
        contact=Party(e164=contact.e164, lid=contact.lid) if contact else None,
        since=query.since,
        until=query.until,
    )


def _party(party: Party) -> PartyAnswer:
    return PartyAnswer(e164=party.e164, lid=party.lid, input=party.input)


def _context(message: Message) -> ContextAnswer | None:
    if message.context_message_id is None and message.context_whatsapp_id is None:
        return None
    return ContextAnswer(message_id=message.context_message_id, whatsapp_id=message.context_whatsapp_id)
