"""The functions' code and layers: staged as for AWS, zipped, put into the CDK's assets bucket."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra.assets import FunctionAssets

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest moment a zip can hold: the same files always give the same archive


class CodeBucket:
    """Puts zipped folders into the assets bucket, each once, under the hash of its content."""

    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._keys: dict[Path, str] = {}

    def make(self) -> None:
        """Make the bucket if it is not there."""
        try:
            self._s3.head_bucket(Bucket=self._bucket)
        except ClientError:
            self._s3.create_bucket(
                Bucket=self._bucket,
                CreateBucketConfiguration={"LocationConstraint": self._s3.meta.region_name},  # type: ignore[typeddict-item]
            )

    def put(self, folder: Path) -> dict[str, str]:
        """Upload a folder unless the same content is there, and return where it is as ``{"S3Bucket", "S3Key"}``."""
        if folder not in self._keys:
            archive = zip_folder(folder)
            key = f"{hashlib.sha256(archive).hexdigest()}.zip"
            if not self._holds(key):
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=archive)
            self._keys[folder] = key
        return {"S3Bucket": self._bucket, "S3Key": self._keys[folder]}

    def _holds(self, key: str) -> bool:
        try:
            self._s3.head_object(Bucket=self._bucket, Key=key)
        except ClientError:
            return False
        return True


def zip_folder(folder: Path) -> bytes:
    """Return a folder's files as a zip, stored without compression: it is unpacked far more often than moved."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def with_code(template: Mapping[str, Any], assets: FunctionAssets, put: Callable[[Path], dict[str, str]]) -> None:
    """Fill in the code of every function and layer of a template, in place.

    Args:
        template: as synthesised with placeholders.
        assets: stages the folders.
        put: uploads a folder and says where it is.

    Raises:
        MissingAssetError: a function is not written or the third-party layer is not built.
    """
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Lambda::Function":
            properties["Code"] = put(assets.function(properties["Handler"].split(".")[1]))
        elif resource["Type"] == "AWS::Lambda::LayerVersion":
            is_core = properties["LayerName"].endswith("-core")
            properties["Content"] = put(assets.core_layer() if is_core else assets.dependencies_layer("native"))
