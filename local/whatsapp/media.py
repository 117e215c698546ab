"""Media: the upload and download service, keyed by the token the client derives from the encrypted bytes."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from local.whatsapp.binary_xml import Node

if TYPE_CHECKING:
    from pathlib import Path

MEDIA_HOST = "mmg.whatsapp.net"
MAXIMUM_UPLOAD_BYTES = 100 * 1024 * 1024
_DOWNLOAD_PREFIX = "/v/"


def media_connection() -> Node:
    """The answer that tells a client where to upload."""
    attrs = {"auth": "sim", "ttl": "3600", "auth_ttl": "21600", "max_buckets": "12"}
    return Node("media_conn", {**attrs}, [Node("host", {"hostname": MEDIA_HOST})])


class MediaStore:
    """Encrypted files as clients upload them, on disk in the state directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def upload(self, path: str, body: bytes) -> bytes:
        """Store an upload (``/mms/<type>/<token>``) and return the JSON answer."""
        name = hashlib.sha256(path.rpartition("/")[2].encode()).hexdigest()
        self._directory.mkdir(exist_ok=True)
        (self._directory / name).write_bytes(body)
        direct = f"{_DOWNLOAD_PREFIX}{name}?ccb=sim"  # the client appends further parameters with "&"
        return json.dumps({"url": f"https://{MEDIA_HOST}{direct}", "direct_path": direct}).encode()

    def download(self, path: str) -> bytes | None:
        """The stored bytes behind a direct path, or ``None``."""
        name = path.removeprefix(_DOWNLOAD_PREFIX)
        if not path.startswith(_DOWNLOAD_PREFIX) or not name.isalnum():
            return None
        file = self._directory / name
        return file.read_bytes() if file.is_file() else None
