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


CLINICS = ("cli_01k0000000000000000000000a", "cli_01k0000000000000000000000b")


@pytest.fixture(scope="session")
def crowded() -> Templates:
    """The templates of a stage with 40 shards, two of them dedicated, behind one fixed address, on x86-64.

    Its people have a dashboard, and the plan with threat protection.
    """
    settings = {
        "trace_aws_calls": True,
        "shards": {"shared": 38, "dedicated": list(CLINICS)},
        "egress": "nat",
        "task_architecture": "x86_64",
        "container_insights": True,
        "alarm_email": "ops@clinic.example",
        "monthly_budget": 500,
        "dashboard_urls": ["https://painel.example/"],
        "identity_plan": "plus",
    }
    return Templates(templates("crowded", settings=settings))
