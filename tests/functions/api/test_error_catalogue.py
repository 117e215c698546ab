"""The catalogue of errors: complete, in step with the kernel and with the written documentation."""

import re
from pathlib import Path

from functions.api import pages
from functions.api.error_catalogue import EXPLANATIONS, as_markdown, leaves, problem_kind
from recado.kernel import errors

_ROOT = Path(__file__).parents[3]


def test_every_error_of_the_kernel_is_explained_exactly_once() -> None:
    """A code that an integrator can meet has one section, and no section explains a code that is gone."""
    explained = [explanation.error for explanation in EXPLANATIONS]
    assert sorted(error.code for error in explained) == sorted(error.code for error in leaves())
    assert len(explained) == len(set(explained))


def test_codes_are_unique_words() -> None:
    """Integrators decide by code, so two errors must not share one."""
    codes = [error.code for error in leaves()]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z][a-z0-9_]+", code) for code in codes)


def test_every_explanation_has_cause_remedy_and_portuguese() -> None:
    """Each section says what happened, what to do, and the gist in Portuguese."""
    for explanation in EXPLANATIONS:
        for text in (explanation.cause, explanation.remedy, explanation.portuguese):
            assert len(text) > 15, explanation.error.code


def test_the_written_documentation_is_rendered_from_the_catalogue() -> None:
    """docs/errors.md says what the running API says."""
    assert (_ROOT / "docs" / "errors.md").read_text(encoding="utf-8") == as_markdown()


def test_the_page_of_all_errors_shows_every_code() -> None:
    """The HTML list under /errors is complete and in both languages."""
    page = pages.errors_page()
    assert page is not None
    for explanation in EXPLANATIONS:
        assert f'id="{explanation.error.code}"' in page
    assert page.count('lang="pt-BR"') == len(EXPLANATIONS)


def test_every_problem_type_has_a_page() -> None:
    """The ``type`` of a problem leads somewhere."""
    for error in leaves():
        page = pages.errors_page(problem_kind(error))
        assert page is not None
        assert error.code in page


def test_plain_not_found_errors_share_one_problem_type() -> None:
    """A foreign clinic and a missing one are the same problem type to the outside."""
    assert problem_kind(errors.ClinicNotFoundError) == "not_found"
    assert problem_kind(errors.MessageNotFoundError) == "not_found"
    assert problem_kind(errors.ChannelExistsError) == "channel_exists"


def test_an_unknown_error_has_no_page() -> None:
    """Whatever stands in the address is not echoed into HTML."""
    assert pages.errors_page("<script>") is None
