"""Per-channel sequences of what a runner saw, taken from DynamoDB in blocks so that they rise across owners too."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from recado.kernel.errors import ChannelNotFoundError

BLOCK = 100
UNKNOWN = 0
AT_ONCE = 8

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

    def make_ready(self, channels: Iterable[tuple[str, str]]) -> None:
        """Reserve blocks for those of these channels that have none left, side by side.

        After a start all have none, and one after the other they would keep the first facts waiting for seconds. What
        cannot be reserved is left to ``following``.
        """
        with self._lock:
            empty = [channel for channel in dict.fromkeys(channels) if self._is_empty(channel)]
        if len(empty) < 2:
            return
        with ThreadPoolExecutor(min(len(empty), AT_ONCE), thread_name_prefix="sequences") as threads:
            wait([threads.submit(self._fill, channel) for channel in empty])

    def following(self, clinic_id: str, channel_id: str) -> int:
        """Return the channel's next sequence; blocks while a new block is reserved.

        A fact about a channel that never was gets 0: the recorder sets it aside, and nobody waits behind it.
        """
        channel = (clinic_id, channel_id)
        with self._lock_of(channel):
            try:
                block = self._filled(channel)
            except ChannelNotFoundError:
                return UNKNOWN
            block.following += 1
            return block.following - 1

    def _fill(self, channel: tuple[str, str]) -> None:
        with self._lock_of(channel):
            self._filled(channel)

    def _filled(self, channel: tuple[str, str]) -> _Block:
        block = self._blocks.setdefault(channel, _Block())
        if block.following >= block.end:
            block.following = self.reserve(*channel, BLOCK)
            block.end = block.following + BLOCK
        return block

    def _is_empty(self, channel: tuple[str, str]) -> bool:
        block = self._blocks.get(channel)
        return block is None or block.following >= block.end

    def _lock_of(self, channel: tuple[str, str]) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(channel, threading.Lock())
