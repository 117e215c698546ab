"""The bytes of a spilled batch: the ingest messages of one clinic, compressed and sealed for it and for their place.

Layout: magic (9), then per piece its length (4, big-endian) and the sealed piece. Each piece is sealed with the
clinic and, as its purpose, the object's key and its number among all pieces: no clinic's batch can be opened as
another's, none can be moved to another place, and no piece can be left out or swapped.
"""

import json
import zlib
from collections.abc import Iterator, Sequence
from typing import Literal

from recado.aws.sealing import SealBrokenError, open_sealed, seal
from recado.kernel.envelopes import Entry
from session_runner.publishing.ingest import BYTES_PER_MESSAGE, ENTRIES_PER_MESSAGE

MAGIC = b"RECADOSP\x01"
LARGEST_BATCH = 4 * 1024 * 1024
_PIECE_BYTES = 64 * 1024  # what can be sealed at once
_LENGTH_BYTES = 4
_ORDER: Literal["big"] = "big"


class SpillBrokenError(Exception):
    """The object is no whole batch of this clinic at this place; the message says why, never what is inside."""


def pack(bodies: Sequence[str], clinic_id: str, key: str) -> bytes:
    """Return the object's bytes for these bodies of ingest messages.

    Args:
        bodies: at least one; all of one clinic.
        clinic_id: the clinic.
        key: the S3 key under which they will lie.

    Raises:
        ServiceUnavailableError: KMS does not answer.
    """
    compressed = zlib.compress(json.dumps(list(bodies)).encode(), 6)
    pieces = [compressed[at : at + _PIECE_BYTES] for at in range(0, len(compressed), _PIECE_BYTES)]
    packed = bytearray(MAGIC)
    for number, piece in enumerate(pieces, 1):
        sealed = seal(piece, clinic_id, _purpose(key, number, len(pieces)))
        packed += len(sealed).to_bytes(_LENGTH_BYTES, _ORDER) + sealed
    return bytes(packed)


def unpack(content: bytes, clinic_id: str, key: str) -> list[str]:
    """Return the bodies of an object's bytes, as they were handed to ``pack`` for the same clinic and key.

    Raises:
        SpillBrokenError: anything about it is wrong.
        ServiceUnavailableError: KMS does not answer.
    """
    pieces = list(_pieces(content))
    try:
        opened = [
            open_sealed(piece, clinic_id, _purpose(key, number, len(pieces))) for number, piece in enumerate(pieces, 1)
        ]
    except SealBrokenError as error:
        raise SpillBrokenError("not sealed for this clinic and place") from error
    try:
        bodies = json.loads(_inflate(b"".join(opened)))
    except ValueError as error:
        raise SpillBrokenError("not a list of messages") from error
    if not isinstance(bodies, list) or not bodies:
        raise SpillBrokenError("not a list of messages")
    for body in bodies:
        _check(body, clinic_id)
    return bodies


def entries_of(body: str) -> list[Entry]:
    """Return the entries inside an ingest message's body.

    Raises:
        ValueError: it is no such body.
    """
    return [Entry.from_mapping(plain) for plain in json.loads(body)["entries"]]


def _purpose(key: str, number: int, total: int) -> str:
    return f"spill {key} {number}/{total}"


def _pieces(content: bytes) -> Iterator[bytes]:
    if not content.startswith(MAGIC):
        raise SpillBrokenError("not a spilled batch")
    at = len(MAGIC)
    while at < len(content):
        length = int.from_bytes(content[at : at + _LENGTH_BYTES], _ORDER)
        at += _LENGTH_BYTES
        if not 0 < length <= len(content) - at:
            raise SpillBrokenError("cut short")
        yield content[at : at + length]
        at += length
    if at == len(MAGIC):
        raise SpillBrokenError("empty")


def _inflate(compressed: bytes) -> bytes:
    decompressor = zlib.decompressobj()
    try:
        plain = decompressor.decompress(compressed, LARGEST_BATCH)
    except zlib.error as error:
        raise SpillBrokenError("not inflatable") from error
    if not decompressor.eof:
        raise SpillBrokenError("cut short or too large")
    return plain


def _check(body: object, clinic_id: str) -> None:
    # What the queue would refuse for ever must not hold up what comes after it.
    if not isinstance(body, str) or not body.isascii() or len(body) > BYTES_PER_MESSAGE:
        raise SpillBrokenError("not a message the queue takes")
    try:
        entries = entries_of(body)
    except (ValueError, KeyError, TypeError) as error:
        raise SpillBrokenError("not a message of entries") from error
    if not 0 < len(entries) <= ENTRIES_PER_MESSAGE or any(entry.clinic_id != clinic_id for entry in entries):
        raise SpillBrokenError("not this clinic's entries")
