"""The synthesised templates, made once a session (and kept between sessions while ``infra/`` stays the same)."""

import pytest

from local.stack.synthesis import templates
from tests.infra.crowded import CLINICS, CROWDED
from tests.infra.template import Templates

__all__ = ["CLINICS"]


@pytest.fixture(scope="session")
def prod() -> Templates:
    """The templates of the production stage."""
    return Templates(templates("prod"))


@pytest.fixture(scope="session")
def local() -> Templates:
    """The templates of the local stage."""
    return Templates(templates("local"))


@pytest.fixture(scope="session")
def crowded() -> Templates:
    """The templates of a stage with 40 shards and more of everything."""
    return Templates(templates("crowded", settings=CROWDED))
