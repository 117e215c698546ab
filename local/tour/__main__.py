"""``python -m local.tour``: types the README's tour against the running local stack, starting one if none runs.

The last line is one JSON object: ``{"steps", "failed", "seconds"}``. A step whose answer depends on something that
happens a moment later (a message arriving) is typed again for a few seconds, as a reader would.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from local.stack.state import StackRunningError, StateFolder
from local.tour.expectation import differences
from local.tour.script import Step, read_steps
from local.tour.shell import Shell

_ROOT = Path(__file__).parents[2]
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
def _stack() -> Iterator[None]:
    """Keep a stack running in the checkout's own state folder: the one that runs already, or one for the tour alone."""
    command = [sys.executable, "-m", "local.stack", "--state", str(_ROOT / ".local")]
    if _runs_already():
        yield
        return
    # Ready in a few seconds once set up; the first time on a machine it builds the layer and the templates.
    subprocess.run([*command, "--background"], cwd=_ROOT, check=True)
    try:
        yield
    finally:
        subprocess.run([*command, "--stop"], cwd=_ROOT, check=True)


def _runs_already() -> bool:
    try:
        with StateFolder(_ROOT / ".local").held():
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


def main() -> int:
    """Type the whole tour and return 0 if every promise was kept."""
    steps = read_steps(_ROOT / "README.md")
    with _stack(), Shell(_ROOT) as shell:
        started = time.monotonic()
        failed = sum(1 for step in steps if _type(shell, step))
        _give_number_back(shell)
    print(json.dumps({"steps": len(steps), "failed": failed, "seconds": round(time.monotonic() - started, 1)}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
