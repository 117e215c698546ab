"""The vault: each session's credentials in S3, sealed here, versioned, and written only by the shard's present owner.

Every write is a compare-and-swap by ETag (S3 conditional writes: ``If-Match``, ``If-None-Match: *``) and carries
the writer's epoch and a nonce. The epoch is the lease's; a higher one in the object means that somebody else owns
the shard now, and we stop. ``clean`` promises that nothing was sent or received after the snapshot.
"""

import base64
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from recado.aws import data_keys
from session_runner.vault.format import pack, unpack
from session_runner.vault.object import Kind, Marks, VaultDamagedError
from session_runner.vault.usage import Usage, tell

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_TRIES = 8
_PRECONDITION_FAILED = "PreconditionFailed"
_CONFLICT = "ConditionalRequestConflict"
_MISSING = {"NoSuchKey", "404"}


class VaultFencedError(Exception):
    """A newer owner of the shard has written: this process must not write, nor connect, any more."""


class VaultBusyError(Exception):
    """The store kept refusing a conditional write; nothing was written."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A vault object as read.

    Attributes:
        etag: its entity tag, the ticket for the next write.
        epoch: the lease epoch of its writer.
        sequence: how many writes there were before and with this one.
        nonce: the writer's mark, by which it knows its own write again.
        clean: whether it was written after the session had been stopped in order.
        kind: snapshot or tombstone.
        snapshot: the database, empty for a tombstone.
    """

    etag: str
    epoch: int
    sequence: int
    nonce: str
    clean: bool
    kind: Kind
    snapshot: bytes


class Vault:
    """One runner's access to the vault; blocking, safe from several threads for different channels.

    Args:
        client: the S3 client.
        bucket: the vault bucket (versioned).
        kms_key_id: the key for SSE-KMS, S3's encryption of what is encrypted under the clinic's data key already.
        epoch: the lease epoch under which this process writes.
        pause: how to wait between tries, in seconds.
        told: hears what each write took.
    """

    def __init__(
        self,
        client: "S3Client",
        *,
        bucket: str,
        kms_key_id: str,
        epoch: int,
        pause: Callable[[float], None] = time.sleep,
        told: Callable[[Usage], None] = tell,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._kms_key_id = kms_key_id
        self._epoch = epoch
        self._pause = pause
        self._told = told

    def read(self, clinic_id: str, channel_id: str) -> Stored | None:
        """Return what the vault holds for this channel, None when it holds nothing.

        Raises:
            VaultDamagedError: what it holds is no vault object of this channel.
            DataErasedError: the clinic's data key was erased, and all its sessions with it.
            ServiceUnavailableError: the key store does not answer.
        """
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key_of(clinic_id, channel_id))
        except ClientError as error:
            if _code(error) in _MISSING:
                return None
            raise
        metadata = answer.get("Metadata", {})
        marks, snapshot = unpack(answer["Body"].read(), clinic_id, channel_id, metadata, data_keys.of)
        return _stored(answer["ETag"], marks, snapshot)

    def claim(self, clinic_id: str, channel_id: str, stored: Stored) -> Stored:
        """Write the same snapshot under our epoch, not clean, before connecting with it.

        Returns:
            What is in the vault now; its snapshot may be newer than the one passed in, when the former owner
            managed to write in between.

        Raises:
            VaultFencedError: a newer owner has written.
        """
        return self._write(clinic_id, channel_id, stored, clean=False)

    def save(self, clinic_id: str, channel_id: str, snapshot: bytes, *, over: Stored | None, clean: bool) -> Stored:
        """Write a new snapshot over the one we know of.

        Raises:
            VaultFencedError: a newer owner has written.
        """
        return self._write(clinic_id, channel_id, over, clean=clean, content=(Kind.SNAPSHOT, snapshot))

    def bury(self, clinic_id: str, channel_id: str, *, over: Stored | None) -> Stored:
        """Write a tombstone: the link is ended; earlier versions stay in the bucket until they expire.

        Raises:
            VaultFencedError: a newer owner has written.
        """
        return self._write(clinic_id, channel_id, over, clean=True, content=(Kind.TOMBSTONE, b""))

    def _write(
        self,
        clinic_id: str,
        channel_id: str,
        over: Stored | None,
        *,
        clean: bool,
        content: tuple[Kind, bytes] | None = None,
    ) -> Stored:
        nonce = secrets.token_hex(16)
        purpose = content[0].name.lower() if content else "claim"
        puts = sent = 0
        stored: Stored | None = None
        try:
            for attempt in range(_TRIES):
                if over is not None and over.epoch > self._epoch:
                    raise VaultFencedError(f"epoch {over.epoch} has written, ours is {self._epoch}")
                kind, snapshot = content or _content_of(over)
                marks = Marks(kind, self._epoch, over.sequence + 1 if over else 1, nonce, clean)
                key = data_keys.current(clinic_id)
                body = pack(marks, snapshot, clinic_id=clinic_id, channel_id=channel_id, key=key)
                puts, sent = puts + 1, sent + len(body)
                try:
                    etag = self._put(clinic_id, channel_id, marks, body, over)
                except ClientError as error:
                    if _code(error) not in {_PRECONDITION_FAILED, _CONFLICT}:
                        raise
                    if _code(error) == _CONFLICT:
                        self._pause(0.05 * 2**attempt)
                    over = self.read(clinic_id, channel_id)
                    stored = over if over is not None and over.nonce == nonce else None
                else:
                    stored = _stored(etag, marks, snapshot)
                if stored is not None:
                    return stored
            raise VaultBusyError("the vault refused every conditional write")
        finally:
            self._told(Usage(clinic_id, channel_id, purpose, clean, puts, sent, stored is not None))

    def _put(self, clinic_id: str, channel_id: str, marks: Marks, body: bytes, over: Stored | None) -> str:
        condition: dict[str, Any] = {"IfMatch": over.etag} if over else {"IfNoneMatch": "*"}
        context = json.dumps({"clinic": clinic_id, "channel": channel_id}, sort_keys=True)
        answer = self._client.put_object(
            Bucket=self._bucket,
            Key=key_of(clinic_id, channel_id),
            Body=body,
            ContentType="application/octet-stream",
            # For people who look; what counts stands encrypted or bound in the object itself.
            Metadata={
                "epoch": str(marks.epoch),
                "sequence": str(marks.sequence),
                "nonce": marks.nonce,
                "clean": "true" if marks.clean else "false",
            },
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId=self._kms_key_id,
            SSEKMSEncryptionContext=base64.b64encode(context.encode()).decode(),
            **condition,
        )
        return answer["ETag"]


def key_of(clinic_id: str, channel_id: str) -> str:
    """Return the S3 key of a channel's vault object."""
    return f"clinic/{clinic_id}/channel/{channel_id}/session.vault"


def _content_of(over: Stored | None) -> tuple[Kind, bytes]:
    if over is None:
        raise VaultDamagedError("gone while it was being claimed")
    return over.kind, over.snapshot


def _stored(etag: str, marks: Marks, snapshot: bytes) -> Stored:
    return Stored(etag, marks.epoch, marks.sequence, marks.nonce, marks.clean, marks.kind, snapshot)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
