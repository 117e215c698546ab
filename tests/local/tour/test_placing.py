"""The tour can be typed against a stack elsewhere; nothing but folder and port may differ from the README."""

from pathlib import Path

import local.tour.__main__ as tour
from local.tour.script import Step, read_steps

_README = Path(tour.__file__).parents[2] / "README.md"


def test_at_the_usual_place_the_lines_are_typed_as_they_stand() -> None:
    """The tour of a reader and the tour of ``make tour`` are the same text."""
    steps = read_steps(_README)
    assert [tour.placed(step, Path(".local"), 8070) for step in steps] == steps


def test_elsewhere_only_folder_and_port_are_exchanged() -> None:
    """No line of the README leads to the usual place any more, and a folder's name may have a space."""
    elsewhere = [tour.placed(step, Path("/own state"), 8999) for step in read_steps(_README)]
    assert not [step for step in elsewhere if ".local/" in step.command or "8070" in step.command]
    typed = tour.placed(Step(1, "grep x .local/log http://127.0.0.1:8070/", "x .local/log"), Path("/own state"), 8999)
    assert typed == Step(1, "grep x '/own state'/log http://127.0.0.1:8999/", "x .local/log")
