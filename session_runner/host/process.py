"""What binds the host's life to its supervisor's, and how it ends."""

import ctypes
import logging
import os
import resource
import signal
import sys
from typing import NoReturn

_PR_SET_PDEATHSIG = 1

logger = logging.getLogger(__name__)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; end now if it already has.

    Linux sends the signal when the *thread* that started us ends: hosts are started from the supervisor's main thread.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        end_process(1)


def use_all_descriptors() -> None:
    """Raise the soft limit of open files: each start of a session leaks some in the library."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def end_process(code: int) -> NoReturn:
    """End at once. An ordinary exit would wait for threads that the library never lets go."""
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)
