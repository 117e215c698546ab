"""The tour's comparison must accept what the README shortens and nothing else."""

from pathlib import Path

import pytest

from local.tour.expectation import Answer, differences
from local.tour.script import read_steps

PROMISE = '200 {"state":"connected","since":"…","checks":{…},"history":[{"status":"queued","at":"…"}],"next":null}'
KEPT = (
    '{"state":"connected","since":"now","checks":{"a":1},"history":[{"status":"queued","at":"x"}],"next":null,"more":1}'
)


def test_a_kept_promise_has_no_differences() -> None:
    """Fields behind an ellipsis and fields beyond the shown ones are accepted."""
    assert differences(PROMISE, Answer(KEPT, 200)) == []


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (KEPT, 201),
        (KEPT.replace("connected", "pairing"), 200),
        (KEPT.replace('"now"', "null"), 200),
        (KEPT.replace('"next":null', '"next":"c"'), 200),
        (KEPT.replace('"history":[{', '"history":[],"h":[{'), 200),
        ("not json", 200),
    ],
)
def test_a_broken_promise_is_told(text: str, status: int) -> None:
    """A wrong status, value, list length or form is a difference."""
    assert differences(PROMISE, Answer(text, status)) != []


def test_a_line_of_output_is_found_among_others() -> None:
    """A promise without a status is looked for in all that was printed."""
    assert differences('✓ evt_… "Confirmo"', Answer('noise\n✓ evt_01 "Confirmo"\n', None)) == []
    assert differences('✓ evt_… "Confirmo"', Answer("noise", None)) != []


def test_the_readme_has_a_tour() -> None:
    """The README's own tour can be read and shows the answers of its requests."""
    steps = read_steps(Path(__file__).parents[3] / "README.md")
    assert len(steps) > 20
    assert sum(step.expected is not None for step in steps) > 12
