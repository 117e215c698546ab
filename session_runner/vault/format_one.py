"""Version 1 of a vault object, encrypted by S3 alone: still read, no longer written.

Layout after magic and version: kind (1), the write's nonce (16), SHA-256 of clinic and channel (32), SHA-256 of the
snapshot (32), length of the snapshot (8, big-endian), zlib stream. Epoch, sequence and clean mark stand in the
object's metadata only.
"""

import hashlib
import struct
from collections.abc import Mapping

from session_runner.vault.object import Kind, Marks, VaultDamagedError, inflate

VERSION = 1
_HEADER = struct.Struct(">8sBB16s32s32sQ")


def unpack(body: bytes, clinic_id: str, channel_id: str, metadata: Mapping[str, str]) -> tuple[Marks, bytes]:
    """Return the marks and the snapshot of an object.

    Raises:
        VaultDamagedError: anything about it is wrong; the message says what, never what is inside.
    """
    if len(body) < _HEADER.size:
        raise VaultDamagedError("shorter than its header")
    _, _, kind, _, belonging, digest, length = _HEADER.unpack_from(body)
    if kind not in set(Kind):
        raise VaultDamagedError(f"of an unknown kind {kind}")
    if belonging != hashlib.sha256(f"{clinic_id}\x1f{channel_id}".encode()).digest():
        raise VaultDamagedError("of another channel")
    snapshot = inflate(body[_HEADER.size :], length)
    if hashlib.sha256(snapshot).digest() != digest:
        raise VaultDamagedError("altered")
    try:
        epoch, sequence = int(metadata["epoch"]), int(metadata["sequence"])
        nonce, clean = metadata["nonce"], metadata["clean"] == "true"
    except (KeyError, ValueError) as error:
        raise VaultDamagedError("without its epoch, sequence, nonce or clean mark") from error
    return Marks(Kind(kind), epoch, sequence, nonce, clean), snapshot
