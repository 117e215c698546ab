"""Encryption under a clinic's data key: AES-256-GCM, bound to whatever the caller names beside it.

Each encryption draws its nonce anew; NIST SP 800-38D, 8.3 allows 2^32 of such encryptions under one key, which is more
than a clinic makes in centuries.
"""

import secrets
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_ID_BYTES = 8
_NONCE_BYTES = 12
_TAG_BYTES = 16


class SealBrokenError(Exception):
    """What should be opened was sealed for another clinic or purpose, was altered, or was never sealed."""


@dataclass(frozen=True, slots=True)
class DataKey:
    """A clinic's data key, unwrapped; the secret part stays out of what is printed of it.

    Attributes:
        clinic_id: whose it is.
        key_id: 8 bytes by which what it sealed names it.
        secret: 32 bytes.
    """

    clinic_id: str
    key_id: bytes
    secret: bytes = field(repr=False)

    def encrypt(self, plaintext: bytes, bound_to: bytes) -> bytes:
        """Return nonce, ciphertext and tag.

        Args:
            plaintext: what is to be kept secret.
            bound_to: what is not secret, but must be the same when it is decrypted (GCM's associated data).
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(self.secret).encrypt(nonce, plaintext, bound_to)

    def decrypt(self, encrypted: bytes, bound_to: bytes) -> bytes:
        """Return the plaintext of what ``encrypt`` made of it for the same ``bound_to``.

        Raises:
            SealBrokenError: it was made with another key, for something else, or is damaged.
        """
        if len(encrypted) < _NONCE_BYTES + _TAG_BYTES:
            raise SealBrokenError("this is cut short")
        try:
            return AESGCM(self.secret).decrypt(encrypted[:_NONCE_BYTES], encrypted[_NONCE_BYTES:], bound_to)
        except InvalidTag as error:
            raise SealBrokenError("this was not sealed for that, or is damaged") from error
