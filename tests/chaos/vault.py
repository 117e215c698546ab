"""The vault bucket as it lies in S3: which objects are marked clean, and every version there ever was."""

from typing import Any

from tests.chaos.records import VaultVersion
from tests.support.running_stack import RunningStack

# Beside these lies what was spilled of the journals.
_CREDENTIALS = "clinic/"
_SPILLED = "spill/"


class Vault:
    """Looks into a stack's vault, past the fault proxy; blocking."""

    def __init__(self, stack: RunningStack) -> None:
        self._s3 = stack.aws("s3")
        self._bucket = stack.environment["RECADO_VAULT_BUCKET"]

    def clean(self, channel_ids: list[str]) -> int:
        """Return how many of these channels have a snapshot that is marked clean."""
        found = 0
        for key in self._keys():
            if any(f"/{channel_id}/" in key for channel_id in channel_ids):
                found += self._s3.head_object(Bucket=self._bucket, Key=key)["Metadata"].get("clean") == "true"
        return found

    def spilled(self) -> int:
        """Return how many batches of facts lie there."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=_SPILLED)
        return sum(len(page.get("Contents", [])) for page in pages)

    def versions(self) -> list[VaultVersion]:
        """Return every version of every object."""
        versions: list[VaultVersion] = []
        for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=_CREDENTIALS):
            for listed in page.get("Versions", []):
                head = self._s3.head_object(Bucket=self._bucket, Key=listed["Key"], VersionId=listed["VersionId"])
                versions.append(_version(listed["Key"], head["Metadata"]))
        return versions

    def _keys(self) -> list[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=_CREDENTIALS)
        return [str(listed["Key"]) for page in pages for listed in page.get("Contents", [])]


def _version(key: str, metadata: dict[str, Any]) -> VaultVersion:
    return VaultVersion(key, int(metadata["epoch"]), int(metadata["sequence"]), metadata["clean"] == "true")
