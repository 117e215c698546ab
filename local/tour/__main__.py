"""``python -m local.tour``: types the README's tour against the running local stack, starting one if none runs.

The last line is one JSON object: ``{"steps", "failed", "seconds"}``. A step whose answer depends on something that
happens a moment later (a message arriving) is typed again for a few seconds, as a reader would.
"""

import json
import sys
import time
from pathlib import Path

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


def main() -> int:
    """Type the whole tour and return 0 if every promise was kept."""
    started = time.monotonic()
    steps = read_steps(_ROOT / "README.md")
    with Shell(_ROOT) as shell:
        failed = sum(1 for step in steps if _type(shell, step))
    print(json.dumps({"steps": len(steps), "failed": failed, "seconds": round(time.monotonic() - started, 1)}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
