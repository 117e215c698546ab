"""``python -m local.tour``: types the README's tour against the running local stack, starting one if none runs.

The README's lines name the folder ``.local`` and the receiver's port 8070; with ``--state`` and ``--receiver-port``
they are typed with others instead, and are otherwise as they stand there.

The last line is one JSON object: ``{"steps", "failed", "seconds"}``. A step whose answer depends on something that
happens a moment later (a message arriving) is typed again for a few seconds, as a reader would.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

from local.stack.state import StackRunningError, StateFolder
from local.tour.expectation import differences
from local.tour.script import Step, read_steps
from local.tour.shell import Shell

_ROOT = Path(__file__).parents[2]
_STATE = ".local"
_RECEIVER_PORT = 8070
_PATIENCE_SECONDS = 20.0
_READS_ONLY = ("curl -s $PHONES_URL", "grep", "api $RECADO_URL", 'api "$RECADO_URL')


def _may_repeat(step: Step) -> bool:
    return step.command.startswith(_READS_ONLY) and " -d " not in step.command and " -X " not in step.command


def _type(shell: Shell, step: Step) -> list[str]:
    print(f"$ {step.command}")
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        answer = shell.run(step.command)
        wrong = differences(step.expected, answer) if step.expected is not None else []
        if not wrong or not _may_repeat(step) or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    print(f"{answer.status or ''} {answer.text}".strip())
    for difference in wrong:
        print(f"  ✗ {difference}")
    return wrong


@contextmanager
def _stack(state: Path) -> Iterator[None]:
    """Keep a stack running in the state folder: the one that runs already, or one for the tour alone."""
    command = [sys.executable, "-m", "local.stack", "--state", str(_ROOT / state)]
    if _runs_already(state):
        yield
        return
    # Ready in a few seconds once set up; the first time on a machine it builds the layer and the templates.
    subprocess.run([*command, "--background"], cwd=_ROOT, check=True)
    try:
        yield
    finally:
        subprocess.run([*command, "--stop"], cwd=_ROOT, check=True)


def _runs_already(state: Path) -> bool:
    try:
        with StateFolder(_ROOT / state).held():
            return False
    except StackRunningError:
        return True


def _give_number_back(shell: Shell) -> None:
    """Delete the tour's channel, so that the next tour may link the same phone."""
    channel = "$RECADO_URL/v1/clinics/$CLINIC/channels/$CHANNEL"
    shell.run(f"api -X DELETE {channel}")
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while shell.run(f"api {channel}").status == HTTPStatus.OK and time.monotonic() < deadline:
        time.sleep(0.5)


def placed(step: Step, state: Path, receiver_port: int) -> Step:
    """Return a step as it is typed when the stack and the receiver are not where the README has them."""
    command = step.command.replace(f"{_STATE}/", f"{shlex.quote(str(state))}/")
    return replace(step, command=command.replace(f"127.0.0.1:{_RECEIVER_PORT}/", f"127.0.0.1:{receiver_port}/"))


def main() -> int:
    """Type the whole tour and return 0 if every promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m local.tour", description="Type the README's tour.")
    parser.add_argument("--state", type=Path, default=Path(_STATE), help="the folder of the stack to type it against")
    parser.add_argument("--receiver-port", type=int, default=_RECEIVER_PORT, help="where webhooks are received")
    chosen = parser.parse_args()
    steps = [placed(step, chosen.state, chosen.receiver_port) for step in read_steps(_ROOT / "README.md")]
    with _stack(chosen.state), Shell(_ROOT) as shell:
        # What `make receiver` goes by.
        shell.run(f"export STATE={shlex.quote(str(chosen.state))} RECEIVER_PORT={chosen.receiver_port}")
        started = time.monotonic()
        failed = sum(1 for step in steps if _type(shell, step))
        _give_number_back(shell)
    print(json.dumps({"steps": len(steps), "failed": failed, "seconds": round(time.monotonic() - started, 1)}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
