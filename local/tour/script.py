"""Reads the tour out of the README: the commands as they stand there, each with the answer it promises."""

import re
from dataclasses import dataclass
from pathlib import Path

_TOUR = re.compile(r"<!-- tour:begin -->\n```console\n(?P<lines>.*?)```\n<!-- tour:end -->", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the tour.

    ``expected`` is the promised answer, or None for a command whose answer the README does not show.
    """

    number: int
    command: str
    expected: str | None


def read_steps(readme: Path) -> list[Step]:
    """Return the steps of the tour in the order of the README.

    Raises:
        ValueError: the README has no tour, or an answer stands before any command.
    """
    found = _TOUR.search(readme.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{readme} has no tour between its markers")
    steps: list[Step] = []
    for line in found["lines"].splitlines():
        if line.startswith("$ "):
            steps.append(Step(len(steps) + 1, line.removeprefix("$ "), None))
        elif line:
            if not steps or steps[-1].expected is not None:
                raise ValueError(f"an answer without its command: {line!r}")
            steps[-1] = Step(steps[-1].number, steps[-1].command, line)
    return steps
