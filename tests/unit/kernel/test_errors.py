"""The tree of errors is closed, complete and without doubles."""

import re

from recado.kernel import errors
from recado.kernel.errors import InvalidRequestError, NotFoundError, RecadoError


def _leaves(root: type[RecadoError] = RecadoError) -> list[type[RecadoError]]:
    children = [child for child in root.__subclasses__() if child.__module__ == errors.__name__]
    return [leaf for child in children for leaf in _leaves(child)] or [root]


def test_every_leaf_has_a_code_a_title_and_a_status() -> None:
    """Whatever may be raised can be answered as a problem document."""
    for leaf in _leaves():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", leaf.code), leaf
        assert leaf.title, leaf
        assert 400 <= leaf.status < 600, leaf


def test_codes_are_not_used_twice() -> None:
    """A code names one error."""
    codes = [leaf.code for leaf in _leaves()]
    assert len(codes) == len(set(codes))


def test_everything_not_found_answers_404() -> None:
    """What is missing and what belongs to others look alike."""
    assert {leaf.status for leaf in _leaves(NotFoundError)} == {404}


def test_an_error_tells_what_and_where() -> None:
    """Detail and field are kept; without a detail, the title stands in."""
    error = InvalidRequestError("too long", field="text.body")
    assert (str(error), error.detail, error.field) == ("too long", "too long", "text.body")
    assert InvalidRequestError().detail == InvalidRequestError.title
