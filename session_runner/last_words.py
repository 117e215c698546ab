"""What a task whose lease is lost still hands on: the facts in its journals, and nothing else.

The lease fences what is done in its name: sends, snapshots, connections. What was seen on WhatsApp is true whoever owns
the shard by now, WhatsApp has its acknowledgement and will not tell it again, and the disk goes with the task. A task
that was frozen reads everything its sockets held the moment it goes on, before any fence can strike.
"""

import threading
from collections.abc import Callable
from pathlib import Path

from aws_lambda_powertools import Logger

from session_runner.journal import Journal


def speak(journals: Path, move: Callable[[Journal], int], *, seconds: float, logger: Logger) -> bool:
    """Move all journals to the ingest queue, at most so long; say whether nothing is left.

    For a process that is about to exit: it uses no event loop, which may be what hangs, and leaves behind a thread if
    the queue does not answer in time. Entries that were moved already, or are moved twice, are recorded once.

    Args:
        journals: the directory of the journals, whose writers are dead.
        move: sends the oldest rows of a journal and returns how many were taken; raises if the queue refuses.
        seconds: how long to wait.
        logger: for what could not be handed on.
    """
    left = set(journals.glob("*.journal"))

    def empty() -> None:
        for path in sorted(left):
            try:
                _move_all(path, move)
            except Exception:
                # The publisher may still be at work and delete a journal that is empty while it is being opened.
                if path.exists():
                    logger.exception("a journal was not handed on", extra={"journal": path.name})
                    continue
            left.discard(path)

    speaking = threading.Thread(target=empty, name="last words", daemon=True)
    speaking.start()
    speaking.join(seconds)
    if left:
        logger.error("facts are lost with this task's disk", extra={"journals": len(left)})
    return not left


def _move_all(path: Path, move: Callable[[Journal], int]) -> None:
    journal = Journal(path)
    try:
        while move(journal):
            pass
    finally:
        journal.close()
