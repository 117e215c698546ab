"""Building what we send, and reading from the library's answer what became of it."""

import re
from dataclasses import dataclass
from typing import Any

from neonize.proto import Neonize_pb2 as messages
from neonize.proto.waE2E import WAWebProtobufsE2E_pb2 as e2e

from session_runner.hosts.errors import HostError, NotSentError, RefusedError, UnknownOutcomeError
from session_runner.whatsapp.native import loggable

_ADDRESS = re.compile(r"(\d{5,20})@(s\.whatsapp\.net|lid)")
_SERVER_ERROR = re.compile(r"server returned error (\d+)")

# The steps of whatsmeow's SendMessage that come before the message goes to the socket (send.go, user.go). A bare
# "websocket not connected" is not among them: it also ends a message whose connection broke after it was written.
_NEVER_LEFT = re.compile(
    r"^(?:failed to get user info for|failed to get LID for|failed to get device list|failed to prefetch"
    r"|failed to fetch LID|failed to marshal|failed to encrypt|the store doesn't contain a device JID"
    r"|failed to send message node: (?:websocket not connected|frame socket is closed))"
)


@dataclass(frozen=True, slots=True)
class Quoted:
    """The message a text answers to. ``sender`` is a JID text."""

    whatsapp_id: str
    sender: str
    text: str


def address(text: str) -> Any:
    """Return a person's JID text as neonize's ``JID``.

    Raises:
        RefusedError: ``invalid`` - not a person's address.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise RefusedError("invalid", "not the address of a person")
    return messages.JID(User=match.group(1), RawAgent=0, Device=0, Integrator=0, Server=match.group(2), IsEmpty=False)


def text_message(body: str, quoted: Quoted | None) -> Any:
    """Return a text as the protobuf that WhatsApp's clients send."""
    if quoted is None:
        return e2e.Message(conversation=body)
    context = e2e.ContextInfo(
        stanzaID=quoted.whatsapp_id,
        participant=quoted.sender,
        quotedMessage=e2e.Message(conversation=quoted.text),
    )
    return e2e.Message(extendedTextMessage=e2e.ExtendedTextMessage(text=body, contextInfo=context))


def send_failure(text: str) -> HostError:
    """Return what the error text of a send means for the message."""
    if match := _SERVER_ERROR.search(text):
        return RefusedError("server_error", "WhatsApp refused the message", {"status": match.group(1)})
    if text.startswith("no LID found for"):
        return RefusedError("recipient_unknown", "WhatsApp knows no such number")
    if code := _why_it_never_left(text):
        return NotSentError(code, loggable(text))
    if text == "timed out waiting for message send response":
        return UnknownOutcomeError("timeout", "WhatsApp did not confirm the message in time")
    if text.startswith("websocket disconnected before message send"):
        return UnknownOutcomeError("disconnected_while_sending", "the connection broke before WhatsApp confirmed")
    return UnknownOutcomeError("unknown", loggable(text))


def _why_it_never_left(text: str) -> str | None:
    # The library saves its Signal sessions before it sends; it cannot when the disk is full.
    if text.startswith("failed to save cached sessions"):
        return "disk_full"
    return "not_connected" if _NEVER_LEFT.match(text) else None


def call_failure(text: str) -> HostError:
    """Return what the error text of any other call means."""
    not_connected = text.startswith("websocket ") or "websocket not connected" in text
    return HostError("not_connected" if not_connected else "refused", loggable(text))
