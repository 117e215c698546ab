"""Wire format of Signal messages (version 3) and the padding WhatsApp puts round the plaintext."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from local.whatsapp import protobuf
from local.whatsapp.signal.keys import KEY_TYPE, typed

VERSION = 0x33
_MAC_SIZE = 8


class InvalidMessageError(ValueError):
    """The bytes are not a Signal message, or its MAC or padding is wrong."""


@dataclass(frozen=True, slots=True)
class SignalMessage:
    """One step of a conversation: the sender's ratchet key (32 bytes), counters and the ciphertext."""

    ratchet_key: bytes
    counter: int
    previous_counter: int
    ciphertext: bytes

    def body(self) -> bytes:
        """Version byte and protobuf, without the MAC; zero counters are written."""
        fields: list[tuple[int, protobuf.FieldValue | None]] = [
            (1, typed(self.ratchet_key)),
            (2, self.counter),
            (3, self.previous_counter),
            (4, self.ciphertext),
        ]
        return bytes([VERSION]) + protobuf.encode(fields)

    def serialize(self, mac_key: bytes, sender: bytes, receiver: bytes) -> bytes:
        """The whole message, authenticated between two identities (32-byte public keys)."""
        body = self.body()
        return body + _mac(mac_key, sender, receiver, body)


@dataclass(frozen=True, slots=True)
class PreKeyMessage:
    """A Signal message together with what the receiver needs to open a new session for it."""

    registration_id: int
    prekey_id: int | None
    signed_prekey_id: int
    base_key: bytes
    identity: bytes
    message: bytes

    def serialize(self) -> bytes:
        """Version byte and protobuf, in ascending field order."""
        fields: list[tuple[int, protobuf.FieldValue | None]] = [
            (1, self.prekey_id),
            (2, typed(self.base_key)),
            (3, typed(self.identity)),
            (4, self.message),
            (5, self.registration_id),
            (6, self.signed_prekey_id),
        ]
        return bytes([VERSION]) + protobuf.encode(fields)


def _mac(key: bytes, sender: bytes, receiver: bytes, body: bytes) -> bytes:
    return hmac.digest(key, typed(sender) + typed(receiver) + body, "sha256")[:_MAC_SIZE]


def _fields(data: bytes) -> dict[int, protobuf.FieldValue]:
    if not data or data[0] >> 4 != VERSION >> 4:
        raise InvalidMessageError("not a Signal message of version 3")
    try:
        return protobuf.decode(data[1:])
    except protobuf.ProtobufError as error:
        raise InvalidMessageError("malformed Signal message") from error


def _key(fields: dict[int, protobuf.FieldValue], number: int) -> bytes:
    key = protobuf.blob(fields, number)
    if len(key) != 33 or key[:1] != KEY_TYPE:
        raise InvalidMessageError("a public key is missing or of an unknown type")
    return key[1:]


def parse_message(data: bytes) -> SignalMessage:
    """Read a message; its MAC is checked later, when the MAC key is known.

    Raises:
        InvalidMessageError: the bytes are malformed.
    """
    if len(data) <= _MAC_SIZE:
        raise InvalidMessageError("truncated Signal message")
    fields = _fields(data[:-_MAC_SIZE])
    counters = protobuf.integer(fields, 2), protobuf.integer(fields, 3)
    return SignalMessage(_key(fields, 1), *counters, protobuf.blob(fields, 4))


def parse_prekey_message(data: bytes) -> PreKeyMessage:
    """Read a message that opens a session.

    Raises:
        InvalidMessageError: the bytes are malformed.
    """
    fields = _fields(data)
    prekey_id = fields.get(1)
    return PreKeyMessage(
        registration_id=protobuf.integer(fields, 5),
        prekey_id=prekey_id if isinstance(prekey_id, int) and prekey_id > 0 else None,
        signed_prekey_id=protobuf.integer(fields, 6),
        base_key=_key(fields, 2),
        identity=_key(fields, 3),
        message=protobuf.blob(fields, 4),
    )


def check_mac(data: bytes, mac_key: bytes, sender: bytes, receiver: bytes) -> None:
    """Check the MAC of a serialized message.

    Raises:
        InvalidMessageError: it does not match.
    """
    if not hmac.compare_digest(data[-_MAC_SIZE:], _mac(mac_key, sender, receiver, data[:-_MAC_SIZE])):
        raise InvalidMessageError("the MAC does not match")


def position_in_chain(data: bytes, *, opens_session: bool) -> tuple[bytes, int]:
    """The (ratchet key, counter) of a ciphertext, which any server can read.

    Raises:
        InvalidMessageError: the bytes are malformed.
    """
    inner = parse_prekey_message(data).message if opens_session else data
    message = parse_message(inner)
    return message.ratchet_key, message.counter


def pad(plaintext: bytes, size: int) -> bytes:
    """WhatsApp's padding: ``size`` (1 to 16) bytes of value ``size``."""
    return plaintext + bytes([size]) * size


def unpad(padded: bytes) -> bytes:
    """Remove WhatsApp's padding.

    Raises:
        InvalidMessageError: the padding is damaged.
    """
    if not padded or not 1 <= padded[-1] <= min(16, len(padded)):
        raise InvalidMessageError("the padding is damaged")
    return padded[: -padded[-1]]
