"""Secrets and signatures: Standard Webhooks 1.0 plus the plain ``X-Webhook-Signature``."""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

from standardwebhooks import Webhook

from recado import __version__
from recado.kernel.errors import InvalidRequestError

PREFIX = "whsec_"
_NEW_BYTES = 32
# Standard Webhooks 1.0, "Signature scheme": a symmetric secret has between 24 and 64 bytes.
_FEWEST_BYTES = 24
_MOST_BYTES = 64


def new_secret() -> str:
    """Return a fresh secret as the integrator sees it: ``whsec_`` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_NEW_BYTES)).decode()


def check_own_secret(text: str) -> str:
    """Return a secret the integrator chose.

    Raises:
        InvalidRequestError: it is not ``whsec_`` followed by the base64 of 24 to 64 bytes.
    """
    refusal = InvalidRequestError("a secret is whsec_ followed by the base64 of 24 to 64 random bytes", field="secret")
    if not text.startswith(PREFIX):
        raise refusal
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise refusal from None
    if not _FEWEST_BYTES <= len(key) <= _MOST_BYTES:
        raise refusal
    return text


def signed_headers(event_id: str, at: datetime, body: bytes, signing_secrets: Sequence[str]) -> dict[str, str]:
    """Return the headers of one attempt.

    Args:
        event_id: becomes ``webhook-id``, the same in every attempt, so that receivers can drop doubles.
        at: the moment of this attempt; becomes ``webhook-timestamp`` and is part of what is signed.
        body: the raw body, UTF-8.
        signing_secrets: the present secret first; each further one adds a signature to ``webhook-signature``.
    """
    text = body.decode()
    plain = hmac.new(signing_secrets[0].encode(), body, hashlib.sha256).hexdigest()
    return {
        "content-type": "application/json",
        "user-agent": f"Recado/{__version__}",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(event_id, at, text) for secret in signing_secrets),
        "x-webhook-signature": f"sha256={plain}",
    }
