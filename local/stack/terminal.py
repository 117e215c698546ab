"""Noticing that the terminal is gone, also where nobody sends SIGHUP for it.

A shell hands SIGHUP on to its jobs. Where ``make`` itself is the terminal's first program (``xterm -e make run``, a
tmux window), the kernel tells only ``make``, which waits for its child, which then has to see for itself.
"""

import os
import select
import sys
import threading
from collections.abc import Callable


def on_hangup(tell: Callable[[], object]) -> None:
    """Call ``tell``, on a thread of its own, when the terminal that is this process's input is closed."""
    if not sys.stdin or sys.stdin.closed or not os.isatty(sys.stdin.fileno()):
        return
    terminal = select.poll()
    terminal.register(sys.stdin.fileno(), 0)  # no event but those that are always reported, the hang-up among them

    def wait() -> None:
        terminal.poll()
        tell()

    threading.Thread(target=wait, name="terminal", daemon=True).start()
