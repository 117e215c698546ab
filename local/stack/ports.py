"""Ports on this machine: the preferred one, or the next that is free."""

import socket
from contextlib import closing

_TRIED = 50
HOST = "127.0.0.1"


class NoFreePortError(Exception):
    """Neither the preferred port nor one of the next is free."""


def free_port(preferred: int, *, besides: frozenset[int] = frozenset()) -> int:
    """Return the preferred port if nothing listens on it, else the next free one; any free one if 0 is preferred.

    Args:
        preferred: the port asked for, or 0.
        besides: ports already promised to another part.

    Raises:
        NoFreePortError: fifty ports in a row are taken.
    """
    if preferred == 0:
        return _bind(0)
    for port in range(preferred, preferred + _TRIED):
        if port in besides:
            continue
        try:
            return _bind(port)
        except OSError:
            continue
    raise NoFreePortError(f"ports {preferred} to {preferred + _TRIED - 1} are all taken")


def _bind(port: int) -> int:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        bound: int = listener.getsockname()[1]
        return bound
