"""The synthesised templates, made once a session (and kept between sessions while ``infra/`` stays the same)."""

import pytest

from local.stack.synthesis import templates
from tests.infra.template import Templates


@pytest.fixture(scope="session")
def prod() -> Templates:
    """The templates of the production stage."""
    return Templates(templates("prod"))


@pytest.fixture(scope="session")
def local() -> Templates:
    """The templates of the local stage."""
    return Templates(templates("local"))
