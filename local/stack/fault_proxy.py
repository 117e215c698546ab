"""The fault proxy as a part of the stack: between runners and functions on one side and the emulator on the other."""

import sys

from local.stack.environment import base_environment
from local.stack.part import Part
from local.stack.state import CHECKOUT, StateFolder


def fault_proxy_part(state: StateFolder, emulator_url: str, port: int) -> Part:
    """Return the proxy, not yet started."""
    command = [sys.executable, "-m", "local.faults", "--upstream", emulator_url, "--port", str(port)]
    return Part("faults", command, environment=base_environment(), folder=CHECKOUT, logs=state.logs)
