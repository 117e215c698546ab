"""Webhook secrets, sealed for their clinic and opened only to sign."""

from recado.aws.sealing import open_sealed, seal

_PURPOSE = "webhook_secret"


def sealed(secret: str, clinic_id: str) -> bytes:
    """Return the secret sealed for the clinic."""
    return seal(secret.encode(), clinic_id, _PURPOSE)


def opened(sealed_secret: bytes, clinic_id: str) -> str:
    """Return the secret inside.

    Raises:
        SealBrokenError: it was sealed for another clinic, or is damaged.
        DataErasedError: the clinic's key was erased.
        ServiceUnavailableError: the key store does not answer.
    """
    return open_sealed(sealed_secret, clinic_id, _PURPOSE).decode()
