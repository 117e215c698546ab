"""What a WhatsApp message holds: text, something we do not map yet, or plumbing between devices.

Input is ``WAWebProtobufsE2E.Message`` as neonize hands it over: whatsmeow has already unwrapped ephemeral, view-once
and captioned-document wrappers.
"""

import re
from dataclasses import dataclass
from typing import Any

# Fields that say something about the message, not what it holds.
_ENVELOPE_FIELDS = frozenset({"messageContextInfo", "senderKeyDistributionMessage"})
# The protocol messages a person would see the effect of; all others are plumbing between devices.
_VISIBLE_PROTOCOL_TYPES = {"REVOKE": "revoke", "MESSAGE_EDIT": "edit"}
_SUFFIX = re.compile(r"(?:Mess+age)?(?:V\d+)?$")
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Content:
    """What one message holds.

    ``text`` is None for what is not text; then ``unsupported_kind`` names it, as ``image`` or ``reaction``.
    ``plumbing`` is the reason to ignore it, as ``protocol:app_state_sync_key_share``.
    ``context_id`` is the WhatsApp id of the message it answers to.
    """

    text: str | None = None
    unsupported_kind: str | None = None
    plumbing: str | None = None
    context_id: str | None = None


def content_of(message: Any, *, is_edit: bool) -> Content:
    """Read a message's content.

    Args:
        message: the protobuf.
        is_edit: whether it replaces an earlier message; an edit is not mapped to text yet, or it would read as new.
    """
    field = _content_field(message)
    if field is None:
        only_keys = message.HasField("senderKeyDistributionMessage")
        return Content(plumbing="sender_key_distribution") if only_keys else Content(unsupported_kind="empty")
    if field == "protocolMessage":
        return _protocol_content(message.protocolMessage)
    context_id = _context_id(getattr(message, field))
    if is_edit:
        return Content(unsupported_kind="edit", context_id=context_id)
    if field == "conversation":
        return Content(text=message.conversation)
    if field == "extendedTextMessage":
        return Content(text=message.extendedTextMessage.text, context_id=context_id)
    return Content(unsupported_kind=_kind_name(field), context_id=context_id)


def _content_field(message: Any) -> str | None:
    present = [descriptor.name for descriptor, _ in message.ListFields() if descriptor.name not in _ENVELOPE_FIELDS]
    return present[0] if present else None


def _protocol_content(protocol: Any) -> Content:
    name = type(protocol).Type.Name(protocol.type)
    if name in _VISIBLE_PROTOCOL_TYPES:
        return Content(unsupported_kind=_VISIBLE_PROTOCOL_TYPES[name], context_id=protocol.key.ID or None)
    return Content(plumbing=f"protocol:{name.lower()}")


def _context_id(part: Any) -> str | None:
    descriptor = getattr(part, "DESCRIPTOR", None)
    if descriptor is None or "contextInfo" not in descriptor.fields_by_name or not part.HasField("contextInfo"):
        return None
    return part.contextInfo.stanzaID or None


def _kind_name(field: str) -> str:
    return _CAPITAL.sub("_", _SUFFIX.sub("", field) or field).lower()
