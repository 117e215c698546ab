"""Identifiers: a prefix and a ULID in lower case, so that ids sort by time and name their kind.

The ULID layout (48 bits of milliseconds, 80 bits of randomness, Crockford base 32) is that of
https://github.com/ulid/spec; lower case keeps ids valid as AWS tag values and in S3 keys.
"""

import hashlib
import re
import secrets
from datetime import UTC, datetime
from enum import StrEnum

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 80
_ULID_LENGTH = 26
_ULID = re.compile(rf"[0-7][{_ALPHABET}]{{25}}")


class Prefix(StrEnum):
    """The kinds of things that have an id of their own."""

    CLINIC = "cli"
    CHANNEL = "chn"
    MESSAGE = "msg"
    ENDPOINT = "whk"
    EVENT = "evt"
    DELIVERY = "dlv"
    API_KEY = "key"
    COMMAND = "cmd"
    REQUEST = "req"


def new_id(prefix: Prefix, at: datetime | None = None) -> str:
    """Return a fresh id of that kind.

    Args:
        prefix: the kind.
        at: the moment the id carries; now if omitted. Must be timezone-aware.
    """
    return _join(prefix, at or datetime.now(UTC), secrets.randbits(_RANDOM_BITS))


def derived_id(prefix: Prefix, at: datetime, *parts: str) -> str:
    """Return the id that these parts always give, so that seeing a fact twice makes it once.

    Args:
        prefix: the kind.
        at: the moment the id carries; must itself be a property of the fact, never the time of handling.
        parts: what makes the fact unique; kept apart by a separator, so ("a", "bc") differs from ("ab", "c").
    """
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return _join(prefix, at, int.from_bytes(digest[: _RANDOM_BITS // 8]))


def first_id(prefix: Prefix, at: datetime) -> str:
    """Return the smallest id of that kind that carries this moment: the bound of "since" and "until" in lists."""
    return _join(prefix, at, 0)


def is_id(prefix: Prefix, text: str) -> bool:
    """Say whether the text has the form of an id of that kind."""
    kind, _, ulid = text.partition("_")
    return kind == prefix and len(ulid) == _ULID_LENGTH and _ULID.fullmatch(ulid) is not None


def time_of(identifier: str) -> datetime:
    """Return the moment an id carries, to the millisecond.

    Raises:
        ValueError: the text is not an id.
    """
    ulid = identifier.rpartition("_")[2]
    if _ULID.fullmatch(ulid) is None:
        raise ValueError("not an id")
    number = 0
    for character in ulid:
        number = number * 32 + _ALPHABET.index(character)
    return datetime.fromtimestamp((number >> _RANDOM_BITS) / 1000, UTC)


def month_of(identifier: str) -> str:
    """Return the partition month (``yyyymm``, UTC) in which the thing with this id is stored."""
    return time_of(identifier).strftime("%Y%m")


def _join(prefix: Prefix, at: datetime, randomness: int) -> str:
    number = (round(at.timestamp() * 1000) << _RANDOM_BITS) | randomness
    characters = []
    for _ in range(_ULID_LENGTH):
        number, digit = divmod(number, 32)
        characters.append(_ALPHABET[digit])
    return f"{prefix}_{''.join(reversed(characters))}"
