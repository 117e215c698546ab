"""Sealing of secrets that we must be able to read again: KMS, bound to the clinic and the purpose.

The encryption context (https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html) makes KMS refuse
to open one clinic's secret for another, or a webhook secret as something else.
"""

from typing import TYPE_CHECKING, Literal

from botocore.exceptions import BotoCoreError, ClientError

from recado.aws.clients import kms
from recado.aws.failures import code_of, is_passing
from recado.aws.settings import sealing_key
from recado.kernel.errors import ServiceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BROKEN_CODES = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
_FORMAT = b"\x01"
_BLOCK_BYTES = 4096  # KMS encrypts no more than this in one call.
_MOST_BYTES = 16 * _BLOCK_BYTES
_LENGTH_BYTES = 4
_ORDER: Literal["big"] = "big"


class SealBrokenError(Exception):
    """What should be opened was sealed for another clinic or purpose, was altered, or was never sealed."""


def seal(plaintext: bytes, clinic_id: str, purpose: str) -> bytes:
    """Return the plaintext encrypted for one clinic and one purpose.

    Args:
        plaintext: 1 byte to 64 KiB.
        clinic_id: whose secret it is.
        purpose: what it is for, such as ``webhook_secret``; opening needs the same word.

    Raises:
        ValueError: the plaintext is empty or too long.
        ServiceUnavailableError: KMS does not answer.
    """
    if not 0 < len(plaintext) <= _MOST_BYTES:
        raise ValueError(f"1 to {_MOST_BYTES} bytes can be sealed")
    blocks = [plaintext[at : at + _BLOCK_BYTES] for at in range(0, len(plaintext), _BLOCK_BYTES)]
    sealed = bytearray(_FORMAT)
    for number, block in enumerate(blocks):
        try:
            answer = kms().encrypt(
                KeyId=sealing_key(),
                Plaintext=block,
                EncryptionContext=_context(clinic_id, purpose, number, len(blocks)),
            )
        except (ClientError, BotoCoreError) as error:
            raise _unavailable(error) from error
        sealed += len(answer["CiphertextBlob"]).to_bytes(_LENGTH_BYTES, _ORDER) + answer["CiphertextBlob"]
    return bytes(sealed)


def open_sealed(sealed: bytes, clinic_id: str, purpose: str) -> bytes:
    """Return the plaintext of what ``seal`` made for the same clinic and purpose.

    Raises:
        SealBrokenError: it was sealed for another clinic or purpose, or is damaged.
        ServiceUnavailableError: KMS does not answer.
    """
    blocks = list(_blocks(sealed))
    if not blocks:
        raise SealBrokenError("this is damaged")
    plaintext = bytearray()
    for number, block in enumerate(blocks):
        try:
            answer = kms().decrypt(
                KeyId=sealing_key(),
                CiphertextBlob=block,
                EncryptionContext=_context(clinic_id, purpose, number, len(blocks)),
            )
        except (ClientError, BotoCoreError) as error:
            if code_of(error) in _BROKEN_CODES:
                raise SealBrokenError("this was not sealed for that clinic and purpose") from error
            raise _unavailable(error) from error
        plaintext += answer["Plaintext"]
    return bytes(plaintext)


def _context(clinic_id: str, purpose: str, number: int, total: int) -> dict[str, str]:
    # The block's place is part of the context, so that blocks can be neither swapped nor left out.
    return {"clinic": clinic_id, "purpose": purpose, "block": f"{number + 1}/{total}"}


def _blocks(sealed: bytes) -> "Iterator[bytes]":
    if not sealed.startswith(_FORMAT):
        raise SealBrokenError("this is not sealed")
    at = len(_FORMAT)
    while at < len(sealed):
        length = int.from_bytes(sealed[at : at + _LENGTH_BYTES], _ORDER)
        at += _LENGTH_BYTES
        if not 0 < length <= len(sealed) - at:
            raise SealBrokenError("this is damaged")
        yield sealed[at : at + length]
        at += length


def _unavailable(error: Exception) -> Exception:
    return ServiceUnavailableError("The key store does not answer.") if is_passing(error) else error
