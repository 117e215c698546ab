"""Seals of the first format, which KMS itself encrypted, block by block: they are still opened, no longer made."""

from typing import TYPE_CHECKING, Literal

from botocore.exceptions import BotoCoreError, ClientError

from recado.aws.clients import kms
from recado.aws.envelopes import SealBrokenError
from recado.aws.failures import code_of, is_passing
from recado.aws.settings import sealing_key
from recado.kernel.errors import ServiceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = b"\x01"
_BROKEN_CODES = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
_LENGTH_BYTES = 4
_ORDER: Literal["big"] = "big"


def open_first_format(sealed: bytes, clinic_id: str, purpose: str) -> bytes:
    """Return the plaintext of a seal that begins with ``FORMAT``.

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
                # The block's place is part of the context, so that blocks can be neither swapped nor left out.
                EncryptionContext={"clinic": clinic_id, "purpose": purpose, "block": f"{number + 1}/{len(blocks)}"},
            )
        except (ClientError, BotoCoreError) as error:
            if code_of(error) in _BROKEN_CODES:
                raise SealBrokenError("this was not sealed for that clinic and purpose") from error
            if is_passing(error):
                raise ServiceUnavailableError("The key store does not answer.") from error
            raise
        plaintext += answer["Plaintext"]
    return bytes(plaintext)


def _blocks(sealed: bytes) -> "Iterator[bytes]":
    at = len(FORMAT)
    while at < len(sealed):
        length = int.from_bytes(sealed[at : at + _LENGTH_BYTES], _ORDER)
        at += _LENGTH_BYTES
        if not 0 < length <= len(sealed) - at:
            raise SealBrokenError("this is damaged")
        yield sealed[at : at + length]
        at += length
