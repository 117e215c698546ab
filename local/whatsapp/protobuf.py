"""Protocol-buffer wire format, as far as the simulator needs it.

The generated classes live inside the ``neonize`` package, and importing them would load its Go runtime
into the simulator. The messages handled here have a dozen fields, and Signal needs exact control of field
order and of written zeroes, so the wire format is read and written directly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

FieldValue: TypeAlias = int | bytes

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


class ProtobufError(ValueError):
    """The bytes are not a well-formed protocol-buffer message."""


def encode_varint(value: int) -> bytes:
    """Encode a non-negative integer with the fewest possible bytes."""
    if value < 0:
        raise ProtobufError("negative varint")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_varint(data: bytes, position: int) -> tuple[int, int]:
    """Return the integer at ``position`` and the position after it."""
    value = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise ProtobufError("truncated varint")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def encode(fields: list[tuple[int, FieldValue | None]]) -> bytes:
    """Encode ``(number, value)`` pairs in the given order; ``None`` leaves a field out, zero is written."""
    out = bytearray()
    for number, value in fields:
        if value is None:
            continue
        if isinstance(value, int):
            out += encode_varint(number << 3 | _VARINT)
            out += encode_varint(value)
        else:
            out += encode_varint(number << 3 | _LENGTH)
            out += encode_varint(len(value))
            out += value
    return bytes(out)


def iterate(data: bytes) -> Iterator[tuple[int, FieldValue]]:
    """Yield ``(number, value)`` for each field; fixed-width fields come as their raw bytes."""
    position, size = 0, len(data)
    while position < size:
        key, position = decode_varint(data, position)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise ProtobufError("field number zero")
        if wire == _VARINT:
            value, position = decode_varint(data, position)
            yield number, value
            continue
        if wire == _LENGTH:
            length, position = decode_varint(data, position)
        elif wire == _FIXED64:
            length = 8
        elif wire == _FIXED32:
            length = 4
        else:
            raise ProtobufError(f"unsupported wire type {wire}")
        if position + length > size:
            raise ProtobufError("truncated field")
        yield number, bytes(data[position : position + length])
        position += length


def decode(data: bytes) -> dict[int, FieldValue]:
    """Decode into a mapping of field number to value; of a repeated field the last value wins."""
    return dict(iterate(data))


def integer(fields: dict[int, FieldValue], number: int, default: int = 0) -> int:
    """The integer in field ``number``, or ``default`` if it is absent or not an integer."""
    value = fields.get(number)
    return value if isinstance(value, int) else default


def blob(fields: dict[int, FieldValue], number: int) -> bytes:
    """The bytes in field ``number``, or ``b""`` if it is absent or not bytes."""
    value = fields.get(number)
    return value if isinstance(value, bytes) else b""
