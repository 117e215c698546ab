"""The vault and the backup bucket in S3."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from recado.aws.clients import s3
from recado.aws.failures import code_of, is_passing
from recado.aws.settings import BackupSettings, VaultSettings, sealing_key
from recado.backups.model import StoredObject
from recado.kernel.errors import ServiceUnavailableError

_MISSING = frozenset({"NoSuchKey", "NotFound", "404"})
_REFUSED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412"})
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class VaultObject:
    """An object of the vault at the moment it was looked at."""

    key: str
    etag: str


class SourceChangedError(Exception):
    """The vault's object is not what it was when it was looked at: written or deleted since."""


class Storage:
    """Both buckets; what is written is encrypted under the platform's key and bound to its clinic."""

    def __init__(self) -> None:
        self._vault = VaultSettings().vault_bucket
        self._backup = BackupSettings().backup_bucket

    def vault_objects(self, prefix: str) -> list[VaultObject]:
        """Return the objects of the vault whose keys begin with the prefix."""
        pages = s3().get_paginator("list_objects_v2").paginate(Bucket=self._vault, Prefix=prefix)
        with _translated():
            return [
                VaultObject(found["Key"], found["ETag"].strip('"'))
                for page in pages
                for found in page.get("Contents", [])
            ]

    def vault_object(self, key: str) -> VaultObject | None:
        """Look at one object of the vault; None if it is gone."""
        try:
            with _translated():
                return VaultObject(key, s3().head_object(Bucket=self._vault, Key=key)["ETag"].strip('"'))
        except ClientError as error:
            if code_of(error) in _MISSING:
                return None
            raise

    def copy(self, source: VaultObject, key: str, clinic_id: str) -> StoredObject:
        """Copy an object of the vault inside S3, then read the copy back to know what lies there.

        Raises:
            SourceChangedError: the object is no longer the one that was looked at.
            ServiceUnavailableError: S3 does not answer.
        """
        try:
            with _translated():
                s3().copy_object(
                    Bucket=self._backup,
                    Key=key,
                    CopySource={"Bucket": self._vault, "Key": source.key},
                    CopySourceIfMatch=source.etag,
                    ServerSideEncryption="aws:kms",
                    SSEKMSKeyId=sealing_key(),
                    SSEKMSEncryptionContext=_context(clinic_id),
                )
        except ClientError as error:
            if code_of(error) in _REFUSED | _MISSING:
                raise SourceChangedError(source.key) from error
            raise
        copied = self.examine(key)
        if copied is None:
            raise SourceChangedError(source.key)
        return copied

    def write(self, key: str, content: bytes, clinic_id: str, *, once: bool = False) -> bool:
        """Write an object of the backup bucket.

        Args:
            key: where.
            content: what.
            clinic_id: whose it is.
            once: write only if there is nothing yet.

        Returns:
            False if ``once`` and it is there already.
        """
        arguments: dict[str, Any] = {"IfNoneMatch": "*"} if once else {}
        try:
            with _translated():
                s3().put_object(
                    Bucket=self._backup,
                    Key=key,
                    Body=content,
                    ServerSideEncryption="aws:kms",
                    SSEKMSKeyId=sealing_key(),
                    SSEKMSEncryptionContext=_context(clinic_id),
                    **arguments,
                )
        except ClientError as error:
            if code_of(error) in _REFUSED:
                return False
            raise
        return True

    def read(self, key: str) -> bytes | None:
        """Return a small object of the backup bucket, None if there is none."""
        try:
            with _translated():
                return s3().get_object(Bucket=self._backup, Key=key)["Body"].read()
        except ClientError as error:
            if code_of(error) in _MISSING:
                return None
            raise

    def exists(self, key: str) -> bool:
        """Say whether the backup bucket has an object."""
        try:
            with _translated():
                s3().head_object(Bucket=self._backup, Key=key)
        except ClientError as error:
            if code_of(error) in _MISSING:
                return False
            raise
        return True

    def examine(self, key: str) -> StoredObject | None:
        """Read an object of the backup bucket through and return its size and hash; None if there is none."""
        digest, size = hashlib.sha256(), 0
        try:
            with _translated():
                for chunk in s3().get_object(Bucket=self._backup, Key=key)["Body"].iter_chunks(_CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
        except ClientError as error:
            if code_of(error) in _MISSING:
                return None
            raise
        return StoredObject(key, size, digest.hexdigest())


def _context(clinic_id: str) -> str:
    return base64.b64encode(json.dumps({"clinic": clinic_id}).encode()).decode()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        if is_passing(error):
            raise ServiceUnavailableError("The object store does not answer.") from error
        raise
