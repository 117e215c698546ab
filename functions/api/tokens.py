"""Reading the tokens of people who signed in: OpenID Connect's ID tokens as Cognito writes them.

Loaded by the first request that brings one, because the library costs a cold start a tenth of a second that callers
with keys need not wait for.
https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html
"""

import re
from functools import lru_cache
from typing import Any

import jwt

from functions.api.settings import api_settings
from functions.api.signing_keys import ALGORITHM, SigningKeys
from recado.clinics.model import Person, RefusedPersonError
from recado.kernel.ids import Prefix, is_id

LEEWAY_SECONDS = 10
"""How far clocks may differ."""

_LONGEST_TOKEN = 8 * 1024
_LONGEST_KEY_ID = 256
_REQUIRED = ("exp", "iat", "iss", "aud", "sub", "token_use")
_SUBJECT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CLINIC, _GROUPS = "custom:clinic_id", "cognito:groups"
# The more particular ones first: some are kinds of others.
_REASONS: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.InvalidSignatureError, "signature"),
    (jwt.ExpiredSignatureError, "expired"),
    (jwt.ImmatureSignatureError, "not_yet_valid"),
    (jwt.InvalidAudienceError, "audience"),
    (jwt.InvalidIssuerError, "issuer"),
    (jwt.MissingRequiredClaimError, "claim_missing"),
)


def person_of(token: str) -> Person:
    """Return whom a token vouches for.

    Raises:
        RefusedPersonError: it is no ID token, not signed by whom we trust, not for us, expired or not valid yet, or
            its claims are not as we issue them; or this installation takes no tokens.
        ServiceUnavailableError: the signer's keys cannot be had.
    """
    settings = api_settings()
    if not settings.identity_issuer:
        raise RefusedPersonError("not_configured")
    if len(token) > _LONGEST_TOKEN:
        raise RefusedPersonError("too_long")
    key = _signing_keys(settings.identity_keys_url).find(_key_id(token))
    if key is None:
        raise RefusedPersonError("unknown_key")
    try:
        claims = jwt.decode(
            token,
            key,
            # Never what the token itself names: "none", or HMAC with the public key as the secret (RFC 8725, 3.1).
            algorithms=[ALGORITHM],
            audience=settings.identity_audience,
            issuer=settings.identity_issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": list(_REQUIRED), "strict_aud": True},
        )
    except jwt.PyJWTError as error:
        raise RefusedPersonError(_reason(error)) from error
    return _person(claims)


def forget() -> None:
    """Forget the signers' keys, for another environment."""
    _signing_keys.cache_clear()


@lru_cache(maxsize=1)
def _signing_keys(url: str) -> SigningKeys:
    return SigningKeys(url)


def _key_id(token: str) -> str:
    """Return which key a token says it is signed with, before anything in it can be believed."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, RecursionError) as error:  # the latter from brackets nested without end
        raise RefusedPersonError("malformed") from error
    if header.get("alg") != ALGORITHM:
        raise RefusedPersonError("algorithm")
    key_id = header.get("kid")
    if not isinstance(key_id, str) or not 0 < len(key_id) <= _LONGEST_KEY_ID:
        raise RefusedPersonError("unknown_key")
    return key_id


def _person(claims: dict[str, Any]) -> Person:
    # An access token tells nothing of the clinic, and is meant for the pool itself.
    if claims["token_use"] != "id":  # noqa: S105 - a claim's value
        raise RefusedPersonError("not_an_id_token")
    subject, clinic_id, groups = claims["sub"], claims.get(_CLINIC), claims.get(_GROUPS, [])
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise RefusedPersonError("subject")
    if clinic_id is not None and not (isinstance(clinic_id, str) and is_id(Prefix.CLINIC, clinic_id)):
        raise RefusedPersonError("clinic_malformed")
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise RefusedPersonError("groups_malformed")
    return Person(subject, clinic_id, frozenset(groups))


def _reason(error: jwt.PyJWTError) -> str:
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "malformed")
