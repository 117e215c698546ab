"""The README's tour is kept by the platform, line by line."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local.tour.script import read_steps
from tests.support.running_stack import RunningStack

pytestmark = pytest.mark.e2e
_CHECKOUT = Path(__file__).resolve().parents[3]


def test_every_line_of_the_readmes_tour_answers_as_promised(stack: RunningStack) -> None:
    """A reader who types the tour sees what the README shows, from the first clinic to the other clinic's 404."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", "local.tour", "--state", str(stack.folder), "--receiver-port", port]
    typed = subprocess.run(command, cwd=_CHECKOUT, capture_output=True, text=True, timeout=240, check=False)
    assert typed.returncode == 0, typed.stdout + typed.stderr
    counted = json.loads(typed.stdout.splitlines()[-1])
    assert (counted["steps"], counted["failed"]) == (len(read_steps(_CHECKOUT / "README.md")), 0)
