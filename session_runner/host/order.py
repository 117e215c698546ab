"""Work of one session in order, work of different sessions side by side, on one pool of threads."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor


class Ordered:
    """Runs what it is given one after the other."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._running = False

    def submit(self, work: Callable[[], None]) -> None:
        """Run the work after all that was submitted before. It must not raise."""
        with self._lock:
            self._waiting.append(work)
            if self._running:
                return
            self._running = True
        self._executor.submit(self._run)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running = False
                    return
                work = self._waiting.popleft()
            work()
