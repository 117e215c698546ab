"""What the templates tell each process is what that process reads: it starts, and nothing is said to nobody."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import ValidationError

from local.settings_page.processes import RUNNER, processes, settings_of
from tests.infra.template import Templates
from tests.infra.test_functions import FUNCTIONS
from tests.support.policies.templates import ResolvedTemplates

_STAGES = ("prod", "local", "crowded")
# Set by Lambda or ECS itself, whatever the template says.
_OF_AWS = {"AWS_REGION": "sa-east-1"}
# Read by Python and libraries: Powertools, boto3, tempfile, and whatever looks for a home.
_OF_LIBRARIES = ("POWERTOOLS_", "AWS_", "TMPDIR", "HOME")


@dataclass(frozen=True, slots=True)
class Told:
    """What one process is told in one stage; ``where`` is its name there."""

    where: str
    process: str
    variables: Mapping[str, str]


@pytest.fixture(scope="module")
def told(prod: Templates, local: Templates, crowded: Templates) -> list[Told]:
    """Every function and every container of three stages, with plausible text where CloudFormation puts some in."""
    stages = dict(zip(_STAGES, (prod, local, crowded), strict=True))
    return [one for name, templates in stages.items() for one in _told(name, templates)]


def _told(stage: str, templates: Templates) -> Iterator[Told]:
    resolved = ResolvedTemplates(templates.stacks)
    for name, function in resolved.functions().items():
        yield Told(f"{stage}/{name}", name, function.environment)
    for stack, body in templates.stacks.items():
        for resource in body["Resources"].values():
            if resource["Type"] == "AWS::ECS::TaskDefinition":
                for container in resource["Properties"]["ContainerDefinitions"]:
                    variables: list[dict[str, Any]] = container.get("Environment", [])
                    given = {one["Name"]: resolved._text(stack, one["Value"]) for one in variables}
                    yield Told(f"{stage}/{resource['Properties']['Family']}/{container['Name']}", RUNNER, given)


def test_every_process_is_looked_at(told: list[Told]) -> None:
    """All functions in each stage; a container for each of two and 40 shards, none where a supervisor runs them."""
    assert {one.process for one in told} == {*FUNCTIONS, RUNNER}
    for stage, containers in zip(_STAGES, (2, 0, 40), strict=True):
        here = [one for one in told if one.where.startswith(f"{stage}/")]
        assert sorted(one.process for one in here if one.process != RUNNER) == FUNCTIONS
        assert sum(one.process == RUNNER for one in here) == containers


def test_every_process_takes_what_it_is_told(told: list[Told], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is required is missing, and every value is of its kind and in its limits."""
    read = processes()
    variables = {
        name
        for classes in read.values()
        for one in classes
        for setting in settings_of(one)
        for name in setting.variables
    }
    refused = []
    for one in told:
        with monkeypatch.context() as environment:
            for name in variables:
                environment.delenv(name, raising=False)
            for name, value in {**_OF_AWS, **one.variables}.items():
                environment.setenv(name, value)
            for settings in read[one.process]:
                try:
                    settings()
                except ValidationError as error:
                    refused.append(f"{one.where}: {error}")
    assert refused == []


def test_nothing_is_told_that_nobody_reads(told: list[Told]) -> None:
    """A variable that is left over misleads whoever looks for what it does."""
    left_over = set()
    for one in told:
        known = {
            name
            for settings in processes()[one.process]
            for setting in settings_of(settings)
            for name in setting.variables
        }
        left_over |= {
            f"{one.process}: {name}"
            for name in one.variables
            if name not in known and not name.startswith(_OF_LIBRARIES)
        }
    assert left_over == set()


def test_a_missing_or_wrong_variable_would_show(told: list[Told], monkeypatch: pytest.MonkeyPatch) -> None:
    """The positive control: without any one of its own variables that has no default, a process does not start."""
    one = next(one for one in told if one.where == "prod/api")
    (settings, *_) = processes()[one.process]
    required = {name for setting in settings_of(settings) if setting.field.is_required() for name in setting.variables}
    assert len(required) > 8
    for name, value in one.variables.items():
        monkeypatch.setenv(name, value)
    settings()
    for name in required:
        with monkeypatch.context() as environment:
            environment.delenv(name)
            with pytest.raises(ValidationError):
                settings()
