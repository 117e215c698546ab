"""Webhook secrets, sealed for their clinic and opened only to sign."""

from functools import lru_cache

from recado.aws.sealing import open_sealed, seal

_PURPOSE = "webhook_secret"


def sealed(secret: str, clinic_id: str) -> bytes:
    """Return the secret sealed for the clinic."""
    return seal(secret.encode(), clinic_id, _PURPOSE)


# Kept open for the life of the process: without this every attempt would call KMS. A rotated secret is another
# sealed value, so nothing stale can be found here.
@lru_cache(maxsize=256)
def opened(sealed_secret: bytes, clinic_id: str) -> str:
    """Return the secret inside.

    Raises:
        SealBrokenError: it was sealed for another clinic, or is damaged.
        ServiceUnavailableError: KMS does not answer.
    """
    return open_sealed(sealed_secret, clinic_id, _PURPOSE).decode()
