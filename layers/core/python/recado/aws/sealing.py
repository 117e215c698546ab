"""Sealing of secrets that we must be able to read again, under the clinic's data key and bound to their purpose.

A seal is a format byte, the key's id (8 bytes), the nonce (12) and the ciphertext with its tag. Format, clinic,
purpose and key id are GCM's associated data, so one clinic's secret does not open as another's, nor a webhook secret
as something else. Seals of the first format (KMS encrypted them directly) are still opened.
"""

import json

from recado.aws import data_keys
from recado.aws.envelopes import KEY_ID_BYTES, SealBrokenError
from recado.aws.kms_seals import FORMAT as FIRST_FORMAT
from recado.aws.kms_seals import open_first_format

__all__ = ["SealBrokenError", "open_sealed", "seal"]

_FORMAT = b"\x02"
_MOST_BYTES = 64 * 1024


def seal(plaintext: bytes, clinic_id: str, purpose: str) -> bytes:
    """Return the plaintext encrypted for one clinic and one purpose.

    Args:
        plaintext: 1 byte to 64 KiB.
        clinic_id: whose secret it is.
        purpose: what it is for, such as ``webhook_secret``; opening needs the same word.

    Raises:
        ValueError: the plaintext is empty or too long.
        DataErasedError: the clinic's key was erased.
        ServiceUnavailableError: the key store does not answer.
    """
    if not 0 < len(plaintext) <= _MOST_BYTES:
        raise ValueError(f"1 to {_MOST_BYTES} bytes can be sealed")
    key = data_keys.current(clinic_id)
    return _FORMAT + key.key_id + key.encrypt(plaintext, _bound_to(clinic_id, purpose, key.key_id))


def open_sealed(sealed: bytes, clinic_id: str, purpose: str) -> bytes:
    """Return the plaintext of what ``seal`` made for the same clinic and purpose.

    Raises:
        SealBrokenError: it was sealed for another clinic or purpose, or is damaged.
        DataErasedError: the clinic's key was erased.
        ServiceUnavailableError: the key store does not answer.
    """
    if sealed.startswith(FIRST_FORMAT):
        return open_first_format(sealed, clinic_id, purpose)
    if not sealed.startswith(_FORMAT):
        raise SealBrokenError("this is not sealed")
    body = sealed[len(_FORMAT) :]
    key_id, encrypted = body[:KEY_ID_BYTES], body[KEY_ID_BYTES:]
    key = data_keys.of(clinic_id, key_id)
    return key.decrypt(encrypted, _bound_to(clinic_id, purpose, key_id))


def _bound_to(clinic_id: str, purpose: str, key_id: bytes) -> bytes:
    return json.dumps(["recado.seal", _FORMAT.hex(), clinic_id, purpose, key_id.hex()]).encode()
