"""Tags, by which the bill is split: on everything that CloudFormation can tag, as its own schemas say."""

import re
from typing import Any

import pytest

from tests.infra.conftest import CLINICS
from tests.infra.cost_tags import CLINIC, METERED, PAGE, table, taggable, tagging_of, tags_of, written
from tests.infra.template import Templates

_SHARD = re.compile(r"Shard(\d{3}|[0-9a-z]{26})(?=[A-Z])")
_STAGES = ("prod", "crowded")


@pytest.fixture(params=_STAGES)
def stage(request: pytest.FixtureRequest) -> Templates:
    """The templates of production, and of a stage with 40 shards."""
    found: Templates = request.getfixturevalue(request.param)
    return found


def _shard_of(name: str) -> str | None:
    """The shard that a resource belongs to, by its logical name; dedicated ones' ids are written in lower case."""
    found = _SHARD.match(name)
    return f"shard-{found[1]}" if found else None


def test_everything_that_takes_tags_says_its_component_and_stage(stage: Templates) -> None:
    """No list of types here: a new kind of resource is held to this by its schema."""
    name_of_stage = next(iter(stage.stacks)).split("-")[1]
    kinds = set()
    for name, resource in taggable(stage):
        tags = tags_of(resource)
        kinds.add(resource["Type"])
        assert tags.get("recado:stage") == name_of_stage, (name, resource["Type"])
        assert tags.get("recado:component"), (name, resource["Type"])
    assert {"AWS::ECS::Service", "AWS::Cognito::UserPool", "AWS::WAFv2::WebACL", "AWS::CloudWatch::Alarm"} <= kinds


def test_what_belongs_to_a_shard_says_which_and_nothing_else_does(stage: Templates) -> None:
    """Queue, dead letters, alarms, service, task definition, role and log group of each shard."""
    kinds = set()
    for name, resource in taggable(stage):
        shard = _shard_of(name)
        assert tags_of(resource).get("recado:shard") == shard, (name, resource["Type"])
        if shard:
            kinds.add(resource["Type"])
    assert kinds == {
        "AWS::CloudWatch::Alarm",
        "AWS::ECS::Service",
        "AWS::ECS::TaskDefinition",
        "AWS::IAM::Role",
        "AWS::Logs::LogGroup",
        "AWS::SQS::Queue",
    }


def test_what_belongs_to_one_clinic_says_whose_and_nothing_else_does(crowded: Templates) -> None:
    """All that a dedicated shard has, and never the other clinic's name or a shared resource."""
    owners = {f"shard-{clinic.removeprefix('cli_')}": clinic for clinic in CLINICS}
    seen = dict.fromkeys(CLINICS, 0)
    for name, resource in taggable(crowded):
        owner = owners.get(_shard_of(name) or "")
        assert tags_of(resource).get(CLINIC) == owner, (name, resource["Type"])
        if owner:
            seen[owner] += 1
    assert len(set(seen.values())) == 1
    assert seen[CLINICS[0]] >= 10


def test_tasks_inherit_the_tags_of_their_service(stage: Templates) -> None:
    """What runs is what is paid for: a tag on the service alone would say nothing about the bill."""
    services = stage.properties("AWS::ECS::Service")
    assert services
    for service in services:
        assert service["PropagateTags"] == "SERVICE"
        assert service["EnableECSManagedTags"] is True


def test_no_tag_of_ours_is_one_that_nobody_knows(stage: Templates) -> None:
    """Four tags are activated for cost allocation; a fifth would be forgotten."""
    known = {"recado:component", "recado:stage", "recado:shard", CLINIC}
    for name, resource in taggable(stage):
        ours = {key for key in tags_of(resource) if key.startswith("recado:")}
        assert ours <= known, name


def test_the_table_of_what_carries_a_clinic_is_the_templates_own(prod: Templates, crowded: Templates) -> None:
    """``python -m tests.infra.cost_tags`` writes it anew."""
    page = PAGE.read_text(encoding="utf-8")
    assert page == written(page, table(prod, crowded))


def test_nothing_is_metered_that_is_not_there(prod: Templates, crowded: Templates) -> None:
    """The list of meters names the types of the templates that take tags, and no other."""
    kinds: set[str] = {resource["Type"] for stage in (prod, crowded) for _, resource in taggable(stage)}
    assert kinds == set(METERED)


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        ("AWS::SQS::Queue", "Tags"),
        ("AWS::Cognito::UserPool", "UserPoolTags"),
        ("AWS::Budgets::Budget", "ResourceTags"),
        ("AWS::SQS::QueuePolicy", None),
        ("AWS::IAM::Policy", None),
    ],
)
def test_the_schemas_say_what_takes_tags_and_where(kind: str, where: str | None) -> None:
    """If they stopped to, the tests above would pass by looking at nothing."""
    found = tagging_of(kind)
    assert found.taggable is (where is not None)
    if where:
        assert found.where == where


def test_a_resource_that_lost_its_tags_would_be_found(prod: Templates) -> None:
    """Both shapes of tags are read: lists of pairs, and maps."""
    shapes: set[type[Any]] = set()
    for _, resource in taggable(prod):
        raw = resource["Properties"][tagging_of(resource["Type"]).where]
        shapes.add(type(raw))
        assert tags_of(resource), resource
        assert not tags_of({**resource, "Properties": {}})
    assert shapes == {list, dict}
