"""The public keys of who signs people's tokens, fetched when needed and kept for an hour."""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import urllib3

from recado.aws.logging import logger
from recado.kernel.clock import Clock, SystemClock
from recado.kernel.errors import ServiceUnavailableError

ALGORITHM = "RS256"
FRESH_SECONDS = 3600.0
"""After this a key that was withdrawn is no longer taken, as long as the publisher answers."""

STALE_SECONDS = 24 * 3600.0
"""For so long keys are still taken when the publisher does not answer."""

UNKNOWN_KEY_SECONDS = 60.0
"""Tokens that name unknown keys make us ask at most this often: anybody can write such tokens."""

RETRY_SECONDS = 5.0
"""While the publisher fails, requests in between are answered without asking."""

_CONNECT_SECONDS = 2.0
_READ_SECONDS = 3.0
_LARGEST_ANSWER = 64 * 1024
_OK = 200
_CLOCK = SystemClock()
_pool = urllib3.PoolManager(
    timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
    retries=urllib3.Retry(total=1, redirect=0),
)


class UnusableAnswerError(Exception):
    """What was published cannot be used; says why."""


def fetch(url: str) -> bytes:
    """Return what is published at an address.

    Raises:
        UnusableAnswerError: it is not there, or too large.
        urllib3.exceptions.HTTPError: nobody answers.
    """
    answer = _pool.request("GET", url, preload_content=False, redirect=False)
    try:
        body = answer.read(_LARGEST_ANSWER + 1)
    finally:
        answer.release_conn()
    if answer.status != _OK:
        raise UnusableAnswerError(f"status {answer.status}")
    if len(body) > _LARGEST_ANSWER:
        raise UnusableAnswerError("too large")
    return body


class SigningKeys:
    """The keys published at one address (RFC 7517), by their ids; safe to use from several threads.

    Args:
        url: where they are published.
        fetching: gets what is there.
        clock: tells how old they are.
    """

    def __init__(self, url: str, *, fetching: Callable[[str], bytes] = fetch, clock: Clock = _CLOCK) -> None:
        self._url = url
        self._fetching = fetching
        self._clock = clock
        self._guard = threading.Lock()
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._failed = False

    def find(self, key_id: str) -> jwt.PyJWK | None:
        """Return the key of this id, None if there is none.

        Raises:
            ServiceUnavailableError: the publisher does not answer, so nobody can say whether there is one.
        """
        with self._guard:
            if not (key_id in self._keys and self._age() < FRESH_SECONDS) and self._may_ask():
                self._ask()
            if key_id in self._keys and self._age() < STALE_SECONDS:
                return self._keys[key_id]
            if self._failed:
                raise ServiceUnavailableError("Who signs people's tokens does not answer at the moment.")
            return None

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._clock.monotonic() - self._fetched_at

    def _may_ask(self) -> bool:
        if self._tried_at is None:
            return True
        return self._clock.monotonic() - self._tried_at >= (RETRY_SECONDS if self._failed else UNKNOWN_KEY_SECONDS)

    def _ask(self) -> None:
        self._tried_at = self._clock.monotonic()
        try:
            self._keys = _read(self._fetching(self._url))
        except (urllib3.exceptions.HTTPError, UnusableAnswerError) as error:
            self._failed = True
            logger("api").error("signing keys cannot be had", extra={"error": type(error).__name__})
        else:
            self._failed = False
            self._fetched_at = self._tried_at


def _read(body: bytes) -> Mapping[str, jwt.PyJWK]:
    try:
        published = json.loads(body)["keys"]
        keys = {key["kid"]: jwt.PyJWK(key, algorithm=ALGORITHM) for key in published if _is_for_signing(key)}
    except (ValueError, TypeError, KeyError, AttributeError, jwt.PyJWTError) as error:
        raise UnusableAnswerError("no set of keys") from error
    if not keys:
        raise UnusableAnswerError("an empty set of keys")
    return keys


def _is_for_signing(key: Mapping[str, Any]) -> bool:
    wanted = (("kty", "RSA"), ("use", "sig"), ("alg", ALGORITHM))
    return isinstance(key.get("kid"), str) and all(key.get(name, value) == value for name, value in wanted)
