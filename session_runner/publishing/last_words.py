"""What a task whose lease is lost still hands on: the facts in its journals, and nothing else.

The lease fences what is done in its name: sends, snapshots, connections. What was seen on WhatsApp is true whoever owns
the shard by now, WhatsApp has its acknowledgement and will not tell it again, and the disk goes with the task. A task
that was frozen reads everything its sockets held the moment it goes on, before any fence can strike.
"""

import threading
from collections.abc import Callable
from pathlib import Path

from aws_lambda_powertools import Logger

from session_runner.journal.journal import Journal

Way = Callable[[Journal], int]


def speak(journals: Path, move: Way, spill: Way, *, patience: float, seconds: float, logger: Logger) -> bool:
    """Move all journals to the ingest queue, or else to S3, at most so long; say whether nothing is left.

    For a process that is about to exit: it uses no event loop, which may be what hangs, and leaves behind threads if
    neither answers in time. Entries that were moved already, or are moved twice, are recorded once.

    Args:
        journals: the directory of the journals, whose writers are dead.
        move: sends the oldest rows of a journal and returns how many were taken; raises if the queue refuses.
        spill: the same for S3, from where the next owner hands them on.
        patience: how long the queue may keep us waiting before S3 is asked, too.
        seconds: how long to wait for both.
        logger: for what could not be handed on.
    """
    left = set(journals.glob("*.journal"))
    moving = _Emptying("last words", left, move, logger)
    moving.start()
    moving.join(min(patience, seconds))
    if left:
        logger.warning("the queue does not take the last facts, spilling them", extra={"journals": len(left)})
        spilling = _Emptying("last spill", left, spill, logger)
        spilling.start()
        spilling.join(seconds - min(patience, seconds))
    if left:
        logger.error("facts are lost with this task's disk", extra={"journals": len(left)})
    return not left


class _Emptying(threading.Thread):
    """Empties journals one way and strikes off those that are empty; two may be at it at once."""

    def __init__(self, name: str, left: set[Path], way: Way, logger: Logger) -> None:
        super().__init__(name=name, daemon=True)
        self._left = left
        self._way = way
        self._logger = logger

    def run(self) -> None:
        """Go through the journals once."""
        for path in sorted(self._left):
            try:
                _move_all(path, self._way)
            except Exception:
                # The publisher may still be at work and delete a journal that is empty while it is being opened.
                if path.exists():
                    self._logger.exception("a journal was not handed on", extra={"journal": path.name})
                    continue
            self._left.discard(path)


def _move_all(path: Path, way: Way) -> None:
    journal = Journal(path)
    try:
        while way(journal):
            pass
    finally:
        journal.close()
