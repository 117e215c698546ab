"""What a host is told at its start, and the refusal to run in an environment that would do harm."""

import argparse
import importlib.util
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PRIVATE = stat.S_IRWXG | stat.S_IRWXO


class WrongEnvironmentError(Exception):
    """The host must not run like this."""


@dataclass(frozen=True, slots=True)
class HostSettings:
    """The command line of a host.

    Attributes:
        socket: the inherited descriptor that leads to the supervisor.
        parent: the supervisor's process id; a host ends with it.
        directory: where the sessions' databases are, ours alone (0700).
        journal: the file in which it writes down what it saw.
        sessions: how many it may hold.
        pairing: whether it is there to link one phone and end.
        deadline: the file with the lease's deadline, if sends shall be fenced by it.
    """

    socket: int
    parent: int
    directory: Path
    journal: Path
    sessions: int
    pairing: bool
    deadline: Path | None


def read_settings(arguments: Sequence[str]) -> HostSettings:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="session_runner.host")
    parser.add_argument("--socket", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--sessions", type=int, required=True)
    parser.add_argument("--pairing", action="store_true")
    parser.add_argument("--deadline", type=Path)
    return HostSettings(**vars(parser.parse_args(arguments)))


def require_environment(settings: HostSettings) -> None:
    """Check what cannot be repaired later.

    Raises:
        WrongEnvironmentError: the environment of the process's exec lacks ``NEONIZE_BOT_TAG=off`` (every message would
            carry a visible bot tag; Go sees only the variables of the exec, so setting it now would not help), the
            sessions' directory can be read by others, or the native library is not installed (neonize would download
            one from the internet).
    """
    variables = Path("/proc/self/environ").read_bytes().split(b"\0")
    if b"NEONIZE_BOT_TAG=off" not in variables:
        raise WrongEnvironmentError("NEONIZE_BOT_TAG=off is missing from the environment of the exec")
    mode = settings.directory.stat().st_mode
    if mode & _PRIVATE or settings.directory.stat().st_uid != os.geteuid():
        raise WrongEnvironmentError("the sessions' directory must be ours alone (0700)")
    found = importlib.util.find_spec("neonize")
    if found is None or found.origin is None or not list(Path(found.origin).parent.glob("neonize-*.so")):
        raise WrongEnvironmentError("the native library of neonize is not installed")
