"""Where spilled batches lie: ``spill/<shard>/<epoch>/<when>-<number>-<clinic>.sealed`` in the vault bucket.

Keys sort by their age over all epochs. What cannot be opened moves to the same place under ``spill-broken/``.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from recado.aws.failures import code_of
from recado.kernel.clock import Clock
from session_runner.publishing.spill_format import SpillBrokenError, pack, unpack

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

PREFIX = "spill"
BROKEN_PREFIX = "spill-broken"
_SUFFIX = ".sealed"
_MISSING = {"NoSuchKey", "404"}


class SpillStore:
    """One shard's spilled batches; blocking, safe from several threads.

    Args:
        client: the S3 client.
        bucket: the vault bucket.
        kms_key_id: the key for encryption at rest, on top of the clinic's seal.
        shard_id: the shard; batches of all its epochs are read, those of other shards never.
        epoch: our lease epoch, under which we write.
        clock: for the names of batches.
    """

    def __init__(
        self, client: "S3Client", *, bucket: str, kms_key_id: str, shard_id: str, epoch: int, clock: Clock
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._kms_key_id = kms_key_id
        self._prefix = f"{PREFIX}/{shard_id}/"
        self._own = f"{self._prefix}{epoch:012d}/"
        self._clock = clock
        self._numbers = itertools.count(1)

    def put(self, clinic_id: str, bodies: Sequence[str]) -> str:
        """Write a clinic's batch and return its key once S3 has it.

        Raises:
            ServiceUnavailableError: KMS does not answer.
            botocore's errors: S3 does not take it.
        """
        moment = int(self._clock.now().timestamp() * 1000)
        key = f"{self._own}{moment:015d}-{next(self._numbers):06d}-{clinic_id}{_SUFFIX}"
        self._client.put_object(
            Bucket=self._bucket,
            Key=key,
            Body=pack(bodies, clinic_id, key),
            ContentType="application/octet-stream",
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId=self._kms_key_id,
        )
        return key

    def listed(self) -> Iterator[str]:
        """Yield the keys of the shard's batches, whichever owner wrote them, the oldest first."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        for page in pages:
            for found in page.get("Contents", []):
                yield found["Key"]

    def read(self, key: str) -> list[str] | None:
        """Return a batch's bodies, None when it is there no more.

        Raises:
            SpillBrokenError: it cannot be used.
            ServiceUnavailableError: KMS does not answer.
            botocore's errors: S3 does not give it.
        """
        try:
            content = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except self._client.exceptions.ClientError as error:
            if code_of(error) in _MISSING:
                return None
            raise
        return unpack(content, _clinic_of(key), key)

    def remove(self, key: str) -> None:
        """Delete a batch that the queue has taken."""
        self._client.delete_object(Bucket=self._bucket, Key=key)

    def set_aside(self, key: str) -> str:
        """Move a broken batch, as it is, to where nobody replays it; return its new key."""
        aside = BROKEN_PREFIX + key.removeprefix(PREFIX)
        content = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        self._client.put_object(
            Bucket=self._bucket, Key=aside, Body=content, ServerSideEncryption="aws:kms", SSEKMSKeyId=self._kms_key_id
        )
        self.remove(key)
        return aside


def _clinic_of(key: str) -> str:
    name = key.rpartition("/")[2]
    parts = name.removesuffix(_SUFFIX).split("-", 2)
    if not name.endswith(_SUFFIX) or len(parts) != 3:
        raise SpillBrokenError("not named like a batch")
    return parts[2]
