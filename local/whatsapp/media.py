"""Media: the upload and download service, keyed by the token the client derives from the encrypted bytes."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from local.whatsapp.binary_xml import Node
from local.whatsapp.signal.session import hkdf

if TYPE_CHECKING:
    from pathlib import Path

MEDIA_HOST = "mmg.whatsapp.net"
MAXIMUM_UPLOAD_BYTES = 100 * 1024 * 1024
_DOWNLOAD_PREFIX = "/v/"


def media_connection() -> Node:
    """The answer that tells a client where to upload."""
    attrs = {"auth": "sim", "ttl": "3600", "auth_ttl": "21600", "max_buckets": "12"}
    return Node("media_conn", {**attrs}, [Node("host", {"hostname": MEDIA_HOST})])


@dataclass(frozen=True)
class Reference:
    """What a message says of an encrypted file: where it is, its key, its length and the digests of both forms."""

    direct_path: str
    key: bytes
    length: int
    digest: bytes
    encrypted_digest: bytes


class MediaStore:
    """Encrypted files as clients upload them, on disk in the state directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def upload(self, path: str, body: bytes) -> bytes:
        """Store an upload (``/mms/<type>/<token>``) and return the JSON answer."""
        direct = self._store(hashlib.sha256(path.rpartition("/")[2].encode()).hexdigest(), body)
        return json.dumps({"url": f"https://{MEDIA_HOST}{direct}", "direct_path": direct}).encode()

    def keep(self, plaintext: bytes, kind: str) -> Reference:
        """Encrypt a file as a phone does and store it.

        Args:
            plaintext: the file.
            kind: WhatsApp's word for what it is, from which its keys are derived, such as ``History``.
        """
        key = os.urandom(32)
        material = hkdf(key, f"WhatsApp {kind} Keys".encode(), 80)
        iv, cipher_key, mac_key = material[:16], material[16:48], material[48:]
        padder = PKCS7(128).padder()
        encryptor = Cipher(algorithms.AES(cipher_key), modes.CBC(iv)).encryptor()
        ciphertext = encryptor.update(padder.update(plaintext) + padder.finalize()) + encryptor.finalize()
        body = ciphertext + hmac.digest(mac_key, iv + ciphertext, "sha256")[:10]
        digest = hashlib.sha256(body)
        direct = self._store(digest.hexdigest(), body)
        return Reference(direct, key, len(plaintext), hashlib.sha256(plaintext).digest(), digest.digest())

    def _store(self, name: str, body: bytes) -> str:
        self._directory.mkdir(exist_ok=True)
        (self._directory / name).write_bytes(body)
        return f"{_DOWNLOAD_PREFIX}{name}?ccb=sim"  # the client appends further parameters with "&"

    def download(self, path: str) -> bytes | None:
        """The stored bytes behind a direct path, or ``None``."""
        name = path.removeprefix(_DOWNLOAD_PREFIX)
        if not path.startswith(_DOWNLOAD_PREFIX) or not name.isalnum():
            return None
        file = self._directory / name
        return file.read_bytes() if file.is_file() else None
