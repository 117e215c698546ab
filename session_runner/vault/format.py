"""The bytes of a vault object: compressed, then encrypted under the clinic's data key before they leave this process.

Layout of version 2: magic (8), version (1), kind (1), clean (1), epoch (8), sequence (8), the write's nonce (16), the
data key's id (8), length of the snapshot (8; all numbers big-endian); then AES-256-GCM's nonce, the encrypted zlib
stream and the tag. The whole header, clinic and channel are GCM's associated data: no mark can be changed, and no
object moved to another channel, without the key. S3 encrypts the object once more (SSE-KMS).
"""

import json
import struct
import zlib
from collections.abc import Callable, Mapping

from recado.aws.envelopes import DataKey, SealBrokenError
from session_runner.vault import format_one
from session_runner.vault.object import Kind, Marks, VaultDamagedError, inflate

MAGIC = b"RECADOVT"
VERSION = 2
_HEADER = struct.Struct(">8sBB?QQ16s8sQ")
_VERSION_AT = len(MAGIC)

KeyOf = Callable[[str, bytes], DataKey]
"""Returns the data key of a clinic with this id; raises SealBrokenError, DataErasedError, ServiceUnavailableError."""


def pack(marks: Marks, snapshot: bytes, *, clinic_id: str, channel_id: str, key: DataKey) -> bytes:
    """Return the object's bytes for a snapshot (empty for a tombstone) and the marks of this write."""
    header = _HEADER.pack(
        MAGIC,
        VERSION,
        marks.kind,
        marks.clean,
        marks.epoch,
        marks.sequence,
        bytes.fromhex(marks.nonce),
        key.key_id,
        len(snapshot),
    )
    return header + key.encrypt(zlib.compress(snapshot, 6), _bound_to(header, clinic_id, channel_id))


def unpack(
    body: bytes, clinic_id: str, channel_id: str, metadata: Mapping[str, str], key_of: KeyOf
) -> tuple[Marks, bytes]:
    """Return the marks and the snapshot of an object's bytes, whichever version they are.

    Args:
        body: the bytes.
        clinic_id: whose object it has to be.
        channel_id: which channel's.
        metadata: the object's metadata; only objects of version 1 are believed what it says.
        key_of: where data keys come from.

    Raises:
        VaultDamagedError: anything about it is wrong; the message says what, never what is inside.
        DataErasedError: the clinic's data key was erased.
        ServiceUnavailableError: the key store does not answer.
    """
    if not body.startswith(MAGIC) or len(body) == len(MAGIC):
        raise VaultDamagedError("not a vault object")
    version = body[_VERSION_AT]
    if version == format_one.VERSION:
        return format_one.unpack(body, clinic_id, channel_id, metadata)
    if version != VERSION:
        raise VaultDamagedError(f"of an unknown version {version}")
    if len(body) < _HEADER.size:
        raise VaultDamagedError("shorter than its header")
    header, encrypted = body[: _HEADER.size], body[_HEADER.size :]
    _, _, kind, clean, epoch, sequence, nonce, key_id, length = _HEADER.unpack(header)
    try:
        compressed = key_of(clinic_id, key_id).decrypt(encrypted, _bound_to(header, clinic_id, channel_id))
    except SealBrokenError as error:
        raise VaultDamagedError("of another channel, altered or cut short") from error
    if kind not in set(Kind):
        raise VaultDamagedError(f"of an unknown kind {kind}")
    return Marks(Kind(kind), epoch, sequence, nonce.hex(), clean), inflate(compressed, length)


def _bound_to(header: bytes, clinic_id: str, channel_id: str) -> bytes:
    return json.dumps(["recado.vault", header.hex(), clinic_id, channel_id]).encode()
