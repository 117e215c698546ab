"""What a vault object says, in whatever version its bytes are written."""

import zlib
from dataclasses import dataclass
from enum import IntEnum

LARGEST_SNAPSHOT = 256 * 1024 * 1024


class Kind(IntEnum):
    """What a vault object holds."""

    SNAPSHOT = 1
    TOMBSTONE = 2


class VaultDamagedError(Exception):
    """The object is not a whole vault object of this channel: corrupt, cut short, foreign or too new."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What one write says of itself.

    Attributes:
        kind: snapshot or tombstone.
        epoch: the lease epoch of its writer.
        sequence: how many writes there were before and with this one.
        nonce: the write's own 16 random bytes in hex, by which its writer knows it again.
        clean: whether it was written after the session had been stopped in order.
    """

    kind: Kind
    epoch: int
    sequence: int
    nonce: str
    clean: bool


def inflate(compressed: bytes, length: int) -> bytes:
    """Return what was compressed with zlib, of exactly this length.

    Raises:
        VaultDamagedError: it is not whole, or longer than any session.
    """
    if length > LARGEST_SNAPSHOT:
        raise VaultDamagedError("larger than any session")
    decompressor = zlib.decompressobj()
    try:
        snapshot = decompressor.decompress(compressed, length + 1)
    except zlib.error as error:
        raise VaultDamagedError("not inflatable") from error
    if len(snapshot) != length or not decompressor.eof or decompressor.unused_data:
        raise VaultDamagedError("cut short or too long")
    return snapshot
