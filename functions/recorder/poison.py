"""Setting aside what breaks its contract: sealed, because it may hold what a patient wrote."""

import json
import zlib
from typing import Any

from recado.aws.sealing import seal
from recado.kernel.clock import Clock
from recado.messages import service as messages

PURPOSE = "poison"
# What an invalid entry says of its clinic is not to be believed, so it is sealed for none.
OWNER = "platform"
_PIECE_BYTES = 48 * 1024


def keep(poison_id: str, reason: str, plain: Any, clock: Clock) -> None:
    """Keep an entry or a whole body for 30 days.

    Args:
        poison_id: where it came from: the queue message's id and the entry's place in it.
        reason: what was wrong, without anything that was in it.
        plain: the entry as decoded from JSON, or the body that could not be.
        clock: the time.
    """
    text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
    packed = zlib.compress(text.encode())
    pieces = [packed[at : at + _PIECE_BYTES] for at in range(0, len(packed), _PIECE_BYTES)]
    sealed = tuple(seal(piece, OWNER, PURPOSE) for piece in pieces)
    messages.keep_poison(poison_id, reason, sealed, clock=clock)
