"""Messages on the wire, in the typed shape that WhatsApp's own Cloud API uses."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from functions.api.schemas.base import Answer, Given, GivenMoment, Moment, PageQuery, with_example
from recado.messages.model import Direction

MAXIMUM_TEXT_CHARACTERS = 4096
"""WhatsApp Cloud API's limit of a text body."""

MAXIMUM_TTL_SECONDS = 30 * 24 * 3600
"""The longest WhatsApp itself keeps an undelivered message."""

_MESSAGE_ID = "msg_01kb1v00000000000000000000"

Address = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class TextBody(Given):
    """The content of a text message."""

    body: str = Field(min_length=1, max_length=MAXIMUM_TEXT_CHARACTERS, pattern=r"\S")


class Context(Given):
    """The message that is answered; it is shown quoted."""

    message_id: str = Field(min_length=1, max_length=64)


class NewMessage(Given):
    """A message to be sent."""

    model_config = with_example(
        {
            "to": "(11) 97777-0001",
            "type": "text",
            "text": {"body": "Olá! Consulta amanhã às 14h."},
            "client_reference": "42",
        }
    )

    to: Address = Field(
        description="A phone number or a person's WhatsApp address (`@s.whatsapp.net`, `@c.us`, `@lid`)."
    )
    type: Literal["text"]
    text: TextBody
    context: Context | None = None
    client_reference: str | None = Field(
        None, min_length=1, max_length=256, description="Your own name for it; echoed in all its events."
    )
    ttl: int | None = Field(
        None,
        ge=1,
        le=MAXIMUM_TTL_SECONDS,
        description="Seconds after which it is no longer worth sending; it then ends as `expired`. Null: never.",
    )


class Recipient(Answer):
    """Who a message goes to, as given and as understood."""

    input: str
    e164: str | None


class TextAnswer(Answer):
    """The content of a text message."""

    body: str


class AcceptedAnswer(Answer):
    """The receipt of a message to be sent."""

    model_config = with_example(
        {
            "message_id": _MESSAGE_ID,
            "status": "queued",
            "to": {"input": "(11) 97777-0001", "e164": "+5511977770001"},
        }
    )

    message_id: str
    status: Literal["queued"]
    to: Recipient


class PartyAnswer(Answer):
    """One side of a conversation."""

    e164: str | None
    lid: str | None
    input: str | None = Field(description="The address as it was given; null for what WhatsApp told us.")


class ContextAnswer(Answer):
    """The message that was answered."""

    message_id: str | None
    whatsapp_id: str | None


class StatusChangeAnswer(Answer):
    """One step of a message."""

    status: str
    at: Moment
    code: str | None


class MessageAnswer(Answer):
    """A message with its history."""

    model_config = with_example(
        {
            "message_id": _MESSAGE_ID,
            "channel_id": "chn_01kb1v00000000000000000000",
            "direction": "outbound",
            "status": "delivered",
            "type": "text",
            "source": "api",
            "from": {"e164": "+5511988880001", "lid": None, "input": None},
            "to": {"e164": "+5511977770001", "lid": "100000000000002@lid", "input": "(11) 97777-0001"},
            "text": {"body": "Olá! Consulta amanhã às 14h."},
            "unsupported_kind": None,
            "context": None,
            "client_reference": "42",
            "whatsapp_id": "3EB0C431C26A1916E07A",
            "code": None,
            "resends": 0,
            "held_reason": None,
            "not_before": None,
            "offline": False,
            "timestamp": "2026-11-22T13:05:01.000Z",
            "valid_until": None,
            "created_at": "2026-11-22T13:05:00.000Z",
            "history": [
                {"status": "queued", "at": "2026-11-22T13:05:00.000Z", "code": None},
                {"status": "sent", "at": "2026-11-22T13:05:01.000Z", "code": None},
                {"status": "delivered", "at": "2026-11-22T13:05:02.000Z", "code": None},
            ],
        }
    )

    message_id: str
    channel_id: str
    direction: str
    status: str
    type: str
    source: str
    from_: PartyAnswer = Field(alias="from")
    to: PartyAnswer
    text: TextAnswer | None
    unsupported_kind: str | None = Field(description="WhatsApp's kind of a message whose type is `unsupported`.")
    context: ContextAnswer | None
    client_reference: str | None
    whatsapp_id: str | None
    code: str | None = Field(description="Why it failed or is uncertain; `resent` while it is queued again.")
    resends: int = Field(description="How often it was queued again after it had been `uncertain`.")
    held_reason: str | None = Field(
        description="Why a queued message does not go out yet: `reachout_locked`, `cold_budget` or `hourly_limit`. "
        "Null while it only waits its turn."
    )
    not_before: Moment | None = Field(description="The earliest moment at which a held message may go out.")
    offline: bool = Field(description="It reached WhatsApp while the channel was not connected.")
    timestamp: Moment | None = Field(description="WhatsApp's own time of the message.")
    valid_until: Moment | None
    created_at: Moment
    history: list[StatusChangeAnswer]


class MessageListQuery(PageQuery):
    """How to choose among messages; the newest come first."""

    direction: Direction | None = None
    contact: Address | None = Field(None, description="The other side: a phone number or a LID.")
    since: GivenMoment | None = Field(None, description="Only messages created at this moment or later.")
    until: GivenMoment | None = Field(None, description="Only messages created before this moment.")


class ClinicMessageListQuery(MessageListQuery):
    """How to choose among the messages of all channels."""

    channel_id: str | None = Field(None, min_length=1, max_length=64)


class TypingRequest(Given):
    """Show or stop showing the contact that somebody is typing."""

    model_config = with_example({"to": "+5511977770001", "state": "composing"})

    to: Address
    state: Literal["composing", "paused"] = "composing"


class RequestedAnswer(Answer):
    """Something has been asked of the channel's session; it is not waited for."""

    model_config = with_example({"status": "requested"})

    status: Literal["requested"] = "requested"
