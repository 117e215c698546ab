"""An identity provider in this process: it signs tokens as Cognito does, and publishes its keys to whoever asks."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from functools import lru_cache
from typing import Any

import jwt
import urllib3
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

ISSUER = "https://cognito-idp.sa-east-1.amazonaws.com/sa-east-1_Test12345"
AUDIENCE = "1h57kf5cpq17m0eml12EXAMPLE"
KEYS_URL = f"{ISSUER}/.well-known/jwks.json"
SUBJECT = "5b6f0000-1111-4222-8333-444455556666"
EMAIL = "ana@aurora.example"


@lru_cache
def private_key(name: str) -> rsa.RSAPrivateKey:
    """Return the private key of that name, made once: it takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def published(*names: str) -> list[dict[str, Any]]:
    """Return public keys as they are published."""
    return [
        {**json.loads(RSAAlgorithm.to_jwk(private_key(name).public_key())), "kid": name, "use": "sig", "alg": "RS256"}
        for name in names
    ]


class Provider:
    """The provider as the API sees it.

    Attributes:
        keys: what is published.
        failure: raised instead, if set.
        asked: how often somebody asked.
    """

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = published("first")
        self.failure: Exception | None = None
        self.asked = 0

    def fetch(self, url: str) -> bytes:
        """Publish the keys, or fail."""
        assert url == KEYS_URL
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return json.dumps({"keys": self.keys}).encode()

    def fall_silent(self) -> None:
        """Answer nobody from now on."""
        self.failure = urllib3.exceptions.NewConnectionError(None, "refused")  # type: ignore[arg-type]


def claims(clinic_id: str | None, *groups: str, **others: Any) -> dict[str, Any]:
    """Return an ID token's claims as Cognito writes them; None as a value leaves a claim out."""
    now = int(time.time())
    written = {
        "sub": SUBJECT,
        "email_verified": True,
        "iss": ISSUER,
        "cognito:username": SUBJECT,
        "custom:clinic_id": clinic_id,
        "cognito:groups": list(groups) or None,
        "origin_jti": str(uuid.uuid4()),
        "aud": AUDIENCE,
        "token_use": "id",
        "auth_time": now,
        "exp": now + 900,
        "iat": now,
        "jti": str(uuid.uuid4()),
        "email": EMAIL,
        **others,
    }
    return {name: value for name, value in written.items() if value is not None}


def signed(payload: dict[str, Any], *, key: str = "first", key_id: str | None = None) -> str:
    """Return a token signed with a key; ``key_id`` is which one it says it is."""
    return jwt.encode(payload, private_key(key), algorithm="RS256", headers={"kid": key_id or key})


def token(clinic_id: str | None, *groups: str, **others: Any) -> str:
    """Return a good token."""
    return signed(claims(clinic_id, *groups, **others))


def unsigned(payload: dict[str, Any]) -> str:
    """Return a token of the algorithm "none"."""
    return _written({"alg": "none", "typ": "JWT", "kid": "first"}, payload, lambda _: b"")


def signed_with_the_public_key(payload: dict[str, Any]) -> str:
    """Return a token signed by HMAC, its secret being the public key that everybody knows."""
    pem = (
        private_key("first")
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    header = {"alg": "HS256", "typ": "JWT", "kid": "first"}
    return _written(header, payload, lambda text: hmac.new(pem, text, hashlib.sha256).digest())


def _written(header: dict[str, Any], payload: dict[str, Any], sign: Any) -> str:
    parts = [_encoded(json.dumps(part).encode()) for part in (header, payload)]
    text = b".".join(parts)
    return b".".join((text, _encoded(sign(text)))).decode()


def _encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
