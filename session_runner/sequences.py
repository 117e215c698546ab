"""Per-channel sequences of what a runner saw, taken from DynamoDB in blocks so that they rise across owners too."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from recado.kernel.errors import ChannelNotFoundError

BLOCK = 100
UNKNOWN = 0

Reserve = Callable[[str, str, int], int]


@dataclass(slots=True)
class _Block:
    following: int = 0
    end: int = 0


@dataclass(slots=True)
class Sequences:
    """Hands out the sequences of the shard's channels.

    Args:
        reserve: takes clinic, channel and a count, and returns the first number of a fresh block; a block of a later
            owner is always higher. What is left of a block at the end of the process is a gap, which is allowed.
    """

    reserve: Reserve
    _blocks: dict[tuple[str, str], _Block] = field(default_factory=dict)
    _locks: dict[tuple[str, str], threading.Lock] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def following(self, clinic_id: str, channel_id: str) -> int:
        """Return the channel's next sequence; blocks while a new block is reserved.

        A fact about a channel that never was gets 0: the recorder sets it aside, and nobody waits behind it.
        """
        channel = (clinic_id, channel_id)
        with self._lock:
            lock = self._locks.setdefault(channel, threading.Lock())
        with lock:
            block = self._blocks.setdefault(channel, _Block())
            if block.following >= block.end:
                try:
                    block.following = self.reserve(clinic_id, channel_id, BLOCK)
                except ChannelNotFoundError:
                    return UNKNOWN
                block.end = block.following + BLOCK
            block.following += 1
            return block.following - 1
