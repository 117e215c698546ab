"""Tells people what happens to the stack, on the terminal as long as there is one, and always in a log file."""

from datetime import datetime
from pathlib import Path


class Report:
    """Writes sentences to the terminal and to ``stack.log``.

    Args:
        log: the log file.
    """

    def __init__(self, log: Path) -> None:
        self._log = log

    def __call__(self, text: str) -> None:
        """Tell one thing."""
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"{datetime.now().astimezone().isoformat(timespec='milliseconds')} {text}\n")
        try:
            print(text, flush=True)
        except OSError:
            return  # the terminal was closed; stopping cleanly goes on, and the log has it
