"""Writes vault objects of version 1, as the runner did before clinics had data keys."""

import hashlib
import struct
import zlib

from session_runner.vault.object import Kind

HEADER = struct.Struct(">8sBB16s32s32sQ")


def pack(kind: Kind, clinic_id: str, channel_id: str, snapshot: bytes, nonce: bytes = b"n" * 16) -> bytes:
    """Return the object's bytes."""
    belonging = hashlib.sha256(f"{clinic_id}\x1f{channel_id}".encode()).digest()
    digest = hashlib.sha256(snapshot).digest()
    return HEADER.pack(b"RECADOVT", 1, kind, nonce, belonging, digest, len(snapshot)) + zlib.compress(snapshot, 6)
