"""The moment until which the shard's lease is provably ours, shared between the supervisor and its hosts.

One double in a memory-mapped file. ``time.monotonic`` is CLOCK_MONOTONIC on Linux, the same for all processes of a
machine, so the numbers compare across processes (https://docs.python.org/3/library/time.html#time.monotonic).
"""

import mmap
import os
import struct
import time
from pathlib import Path

_FORMAT = struct.Struct("=d")


class LeaseDeadline:
    """The supervisor extends it after each renewal of the lease; hosts check it before each native call."""

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size < _FORMAT.size:
                os.ftruncate(descriptor, _FORMAT.size)
            self._memory = mmap.mmap(descriptor, _FORMAT.size)
        finally:
            os.close(descriptor)

    def extend(self, until: float) -> None:
        """Move the deadline to ``until``, in seconds of ``time.monotonic``; an earlier moment fences at once."""
        self._memory[:] = _FORMAT.pack(until)

    @property
    def until(self) -> float:
        """The moment, in seconds of ``time.monotonic``; 0 if it was never set."""
        return float(_FORMAT.unpack(self._memory[:])[0])

    def passed(self) -> bool:
        """Say whether the deadline is behind us; a deadline never set has passed."""
        return time.monotonic() >= self.until
