"""The bytes of a vault object: a header that binds the snapshot to its channel, then the compressed snapshot.

Layout: magic (8), version (1), kind (1), the write's nonce (16), SHA-256 of clinic and channel (32), SHA-256 of the
snapshot (32), length of the snapshot (8, big-endian), zlib stream. Encryption is S3's (SSE-KMS); integrity and
belonging are ours. The nonce makes no two writes the same bytes: a claim repeats a snapshot, and an ETag may be a
digest of the bytes.
"""

import hashlib
import struct
import zlib
from enum import IntEnum

MAGIC = b"RECADOVT"
VERSION = 1
LARGEST_SNAPSHOT = 256 * 1024 * 1024
_HEADER = struct.Struct(">8sBB16s32s32sQ")


class Kind(IntEnum):
    """What a vault object holds."""

    SNAPSHOT = 1
    TOMBSTONE = 2


class VaultDamagedError(Exception):
    """The object is not a whole vault object of this channel: corrupt, cut short, foreign or too new."""


def pack(kind: Kind, clinic_id: str, channel_id: str, snapshot: bytes, *, nonce: bytes) -> bytes:
    """Return the object's bytes for a snapshot (empty for a tombstone) and this write's 16 random bytes."""
    digest = hashlib.sha256(snapshot).digest()
    header = _HEADER.pack(MAGIC, VERSION, kind, nonce, _belonging(clinic_id, channel_id), digest, len(snapshot))
    return header + zlib.compress(snapshot, 6)


def unpack(body: bytes, clinic_id: str, channel_id: str) -> tuple[Kind, bytes]:
    """Return kind and snapshot of an object's bytes.

    Raises:
        VaultDamagedError: anything about it is wrong; the message says what, never what is inside.
    """
    if len(body) < _HEADER.size:
        raise VaultDamagedError("shorter than its header")
    magic, version, kind, _nonce, belonging, digest, length = _HEADER.unpack_from(body)
    if magic != MAGIC:
        raise VaultDamagedError("not a vault object")
    if version != VERSION or kind not in set(Kind):
        raise VaultDamagedError(f"of an unknown version {version} or kind {kind}")
    if belonging != _belonging(clinic_id, channel_id):
        raise VaultDamagedError("of another channel")
    if length > LARGEST_SNAPSHOT:
        raise VaultDamagedError("larger than any session")
    snapshot = _inflate(body[_HEADER.size :], length)
    if hashlib.sha256(snapshot).digest() != digest:
        raise VaultDamagedError("altered")
    return Kind(kind), snapshot


def _belonging(clinic_id: str, channel_id: str) -> bytes:
    return hashlib.sha256(f"{clinic_id}\x1f{channel_id}".encode()).digest()


def _inflate(compressed: bytes, length: int) -> bytes:
    decompressor = zlib.decompressobj()
    try:
        snapshot = decompressor.decompress(compressed, length + 1)
    except zlib.error as error:
        raise VaultDamagedError("not inflatable") from error
    if len(snapshot) != length or not decompressor.eof or decompressor.unused_data:
        raise VaultDamagedError("cut short or too long")
    return snapshot
