"""What a stack is asked to be."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from local.stack.state import CHECKOUT

WhatsApp = Literal["simulated", "real"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOptions:
    """How to start a stack.

    Attributes:
        state: the folder that keeps everything.
        port: the front door's preferred port; 0 for any.
        phones_port: the simulator's preferred port.
        emulator_port: the AWS emulator's preferred port, for a new state; a kept one goes on with its own.
        whatsapp: the simulator, or the real network.
        fresh: throw away the kept state first.
        resume: go on although some of the kept state was lost.
        task_start_delay: seconds until a started or restarted task runs, as ECS needs to place one.
        runners: whether to start the shards' tasks.
        demo: whether to make the demo clinics and contacts.
        faults: whether runners and functions reach AWS through the fault proxy.
    """

    state: Path = CHECKOUT / ".local"
    port: int = 8080
    phones_port: int = 8090
    emulator_port: int = 4570
    whatsapp: WhatsApp = "simulated"
    fresh: bool = False
    resume: bool = False
    task_start_delay: float = 0.0
    runners: bool = True
    demo: bool = True
    faults: bool = False


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; ``options`` reads what it parses."""
    standard = StackOptions()
    lines = argparse.ArgumentParser(
        prog="python -m local.stack", description="Runs the whole platform on this machine, for developers and tests."
    )
    lines.add_argument("--state", type=Path, help="the folder that keeps everything; .local, or .local-real")
    lines.add_argument("--port", type=int, default=standard.port, help="the API's port; the next free one if taken")
    lines.add_argument("--phones-port", type=int, default=standard.phones_port, help="the WhatsApp simulator's port")
    lines.add_argument("--emulator-port", type=int, default=standard.emulator_port, help="the AWS emulator's port")
    lines.add_argument("--any-ports", action="store_true", help="take any free ports")
    lines.add_argument("--whatsapp", choices=["simulated", "real"], default=standard.whatsapp)
    lines.add_argument("--fresh", action="store_true", help="throw away the kept state first")
    lines.add_argument("--resume", action="store_true", help="go on although some of the kept state was lost")
    lines.add_argument("--task-start-delay", type=float, default=0.0, metavar="SECONDS")
    lines.add_argument("--no-runners", action="store_true", help="leave out the session runners")
    lines.add_argument("--no-demo", action="store_true", help="make no demo clinics and contacts")
    lines.add_argument("--faults", action="store_true", help="put the fault proxy between the platform and AWS")
    lines.add_argument("--background", action="store_true", help="return once the stack is ready, and leave it running")
    lines.add_argument("--stop", action="store_true", help="stop the stack that runs in the folder")
    return lines


def options(parsed: argparse.Namespace) -> StackOptions:
    """Return the options of a parsed command line."""
    anywhere = parsed.any_ports
    state = parsed.state or CHECKOUT / (".local" if parsed.whatsapp == "simulated" else ".local-real")
    return StackOptions(
        state=state.resolve(),
        port=0 if anywhere else parsed.port,
        phones_port=0 if anywhere else parsed.phones_port,
        emulator_port=0 if anywhere else parsed.emulator_port,
        whatsapp=parsed.whatsapp,
        fresh=parsed.fresh,
        resume=parsed.resume,
        task_start_delay=parsed.task_start_delay,
        runners=not parsed.no_runners,
        demo=not parsed.no_demo,
        faults=parsed.faults,
    )
