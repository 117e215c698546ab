"""What is inside a message: the few fields of WhatsApp's ``Message`` that a person would see.

Field numbers are those of the ``waE2E`` protobuf that ships with the client.
"""

from __future__ import annotations

from dataclasses import dataclass

from local.whatsapp import protobuf

CONVERSATION, EXTENDED_TEXT, PROTOCOL, DEVICE_SENT, REACTION = 1, 6, 12, 31, 46
_WRAPPERS = (37, 40, 53, 55, 58)  # view once, ephemeral, document with caption, view once 2, edited
_MEDIA = {3: ("image", 3), 7: ("document", 20), 8: ("audio", 0), 9: ("video", 7), 26: ("sticker", 0)}
_PLACES = {5: ("location", 3), 4: ("contact", 1)}
_CONTEXT = 17
_REVOKE, _EDIT = 0, 14


@dataclass(frozen=True)
class MessageContent:
    """The visible part of a message.

    Attributes:
        type: ``text``, ``image``, ``document``, ``audio``, ``video``, ``sticker``, ``location``, ``contact``,
            ``reaction``, ``revoke``, ``edit`` or ``unknown``.
        text: text, caption, emoji or name; ``None`` if there is none.
        reply_to: id of the message it refers to.
        destination: for a copy of what another own device sent, the address it was sent to.
    """

    type: str
    text: str | None = None
    reply_to: str | None = None
    destination: str | None = None


def text_message(text: str, reply_to: str | None = None, reply_author: str | None = None) -> bytes:
    """A text, optionally as a reply to message ``reply_to`` of ``reply_author`` (an address)."""
    if reply_to is None:
        return protobuf.encode([(CONVERSATION, text.encode())])
    author = reply_author.encode() if reply_author else None
    context = protobuf.encode([(1, reply_to.encode()), (2, author), (3, protobuf.encode([(CONVERSATION, b"")]))])
    return protobuf.encode([(EXTENDED_TEXT, protobuf.encode([(1, text.encode()), (_CONTEXT, context)]))])


def reaction_message(emoji: str, message_id: str, chat: str, *, from_me: bool) -> bytes:
    """An emoji on message ``message_id`` of a chat; an empty emoji takes the reaction back."""
    key = protobuf.encode([(1, chat.encode()), (2, int(from_me)), (3, message_id.encode())])
    return protobuf.encode([(REACTION, protobuf.encode([(1, key), (2, emoji.encode())]))])


def own_copy(message: bytes, destination: str) -> bytes:
    """The copy of a sent message for the sender's other devices."""
    return protobuf.encode([(DEVICE_SENT, protobuf.encode([(1, destination.encode()), (2, message)]))])


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _quoted(part: dict[int, protobuf.FieldValue]) -> str | None:
    stanza_id = protobuf.blob(protobuf.decode(protobuf.blob(part, _CONTEXT)), 1)
    return _text(stanza_id) or None


def read_message(plaintext: bytes) -> MessageContent:
    """What a person would see of a decrypted message.

    Raises:
        ProtobufError: the plaintext is not a protobuf message.
    """
    fields = protobuf.decode(plaintext)
    if DEVICE_SENT in fields:
        sent = protobuf.decode(protobuf.blob(fields, DEVICE_SENT))
        inner = read_message(protobuf.blob(sent, 2))
        return MessageContent(inner.type, inner.text, inner.reply_to, _text(protobuf.blob(sent, 1)))
    for wrapper in _WRAPPERS:
        if wrapper in fields:
            return read_message(protobuf.blob(protobuf.decode(protobuf.blob(fields, wrapper)), 1))
    return _read_plain(fields)


def _read_plain(fields: dict[int, protobuf.FieldValue]) -> MessageContent:
    if CONVERSATION in fields:
        return MessageContent("text", _text(protobuf.blob(fields, CONVERSATION)))
    if EXTENDED_TEXT in fields:
        part = protobuf.decode(protobuf.blob(fields, EXTENDED_TEXT))
        return MessageContent("text", _text(protobuf.blob(part, 1)), _quoted(part))
    if REACTION in fields:
        part = protobuf.decode(protobuf.blob(fields, REACTION))
        key = protobuf.decode(protobuf.blob(part, 1))
        return MessageContent("reaction", _text(protobuf.blob(part, 2)), _text(protobuf.blob(key, 3)))
    if PROTOCOL in fields:
        return _read_protocol(protobuf.decode(protobuf.blob(fields, PROTOCOL)))
    for number, (kind, caption) in (_MEDIA | _PLACES).items():
        if number in fields:
            part = protobuf.decode(protobuf.blob(fields, number))
            return MessageContent(kind, _text(protobuf.blob(part, caption)) or None, _quoted(part))
    return MessageContent("unknown")


def _read_protocol(part: dict[int, protobuf.FieldValue]) -> MessageContent:
    target = _text(protobuf.blob(protobuf.decode(protobuf.blob(part, 1)), 3)) or None
    kind = protobuf.integer(part, 2)
    if kind == _EDIT:
        edited = read_message(protobuf.blob(part, 14))
        return MessageContent("edit", edited.text, target)
    return MessageContent("revoke" if kind == _REVOKE and target else "unknown", None, target)
