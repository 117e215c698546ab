"""Opaque cursors of lists: where to go on, readable only for the list that issued them.

A cursor holds no secret and needs no key: it carries the scope it was issued for, and the list it is given to
(``ClinicItem.page``) refuses keys that lie outside its own partition.
"""

import base64
import binascii
import hashlib
import json
from typing import Any

from recado.kernel.errors import InvalidCursorError

_LONGEST = 2048


def encode(scope: str, key: dict[str, Any]) -> str:
    """Return the cursor for a list's last key.

    Args:
        scope: what the list is: clinic, route and filters, in one text.
        key: ``last_key`` of the page.
    """
    plain = json.dumps([_mark(scope), key], separators=(",", ":"))
    return base64.urlsafe_b64encode(plain.encode()).rstrip(b"=").decode()


def decode(scope: str, text: str, *, partition: str | None = None) -> dict[str, Any]:
    """Return the key inside a cursor.

    Args:
        scope: the same text that it was issued for.
        text: what the caller sent.
        partition: how the key's partition must begin, such as ``clinic#cli_…``; None for platform lists.

    Raises:
        InvalidCursorError: it was issued for another clinic, route or filter, or was never issued.
    """
    try:
        if len(text) > _LONGEST:
            raise InvalidCursorError
        mark, key = json.loads(base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)))
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise InvalidCursorError from error
    if mark != _mark(scope) or not _is_key(key) or (partition and not _within(key, partition)):
        raise InvalidCursorError
    return dict(key)


def _mark(scope: str) -> str:
    return hashlib.sha256(scope.encode()).hexdigest()[:16]


def _is_key(key: Any) -> bool:
    return isinstance(key, dict) and all(
        isinstance(value, dict) and list(value) == ["S"] and isinstance(value["S"], str) for value in key.values()
    )


def _within(key: dict[str, Any], partition: str) -> bool:
    pk = key.get("pk", {}).get("S", "")
    # "clinic#a" must not open "clinic#ab": what follows is nothing or the next part.
    return bool(pk == partition or pk.startswith(partition + "#"))
