"""Least privilege of the runner: its role may do what a runner was seen doing, ECS's own what starting it takes."""

import pytest

from tests.infra.template import Templates
from tests.support.policies.evaluation import Decision, Request, decide
from tests.support.policies.requests import arns
from tests.support.policies.rights import distinct, listed, needless, refused, translated, unexplained_stars
from tests.support.policies.suites import recorded_calls_of_the_runner
from tests.support.policies.templates import ResolvedTemplates, Role, Task
from tests.support.policies.unseen import of_calls, of_execution, of_task

# The calls are those of real hosts with the real client.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_200)]

ROLES = ("runner", "execution")
WILDCARDS = {
    r"arn:aws:s3:::recado-prod-vault-[^*]+/clinic/\*/\*": "a shared shard keeps the sessions of many clinics",
    r"arn:aws:s3:::recado-prod-vault-[^*]+/spill(-broken)?/shard-001/\*": "its own shard's part of the vault",
    r"arn:aws:ecs:[^*]+:task/[^*]+/\*": "tasks are named by ECS when they start",
    r"arn:aws:logs:[^*]+:log-group:/recado/prod/shard-00[12]:\*": "log streams are named by ECS",
    r"\*": "a registry's password belongs to no repository",
}
"""Every star in an action or a resource of these roles, with its reason."""


@pytest.fixture(scope="module")
def resolved(prod: Templates) -> ResolvedTemplates:
    """The production templates with every reference put in."""
    return ResolvedTemplates(prod.stacks)


def _needed(name: str, resolved: ResolvedTemplates) -> tuple[Role, list[Request]]:
    tasks = resolved.tasks()
    task = tasks["shard-001"]
    if name == "execution":
        return task.execution_role, [unseen.request for one in tasks.values() for unseen in of_execution(one)]
    return task.role, _of_the_program(task)


def _of_the_program(task: Task) -> list[Request]:
    made = [
        request
        for call in recorded_calls_of_the_runner()
        if call.process == "session_runner"
        for request in translated(_of_own_shard(call.requests), task)
    ]
    assert made, "no call of the runner was recorded"
    key = arns(task.environment)["RECADO_KMS_KEY_ID"]
    made += [unseen.request for unseen in of_calls(list(made), key)]
    return distinct([*made, *(unseen.request for unseen in of_task(task))])


def _of_own_shard(requests: tuple[Request, ...]) -> list[Request]:
    """Leave out those that a test makes for a shard that is not deployed, to show that the two are kept apart."""
    return [request for request in requests if "/shard-0011/" not in request.resource]


@pytest.mark.parametrize("name", ROLES)
def test_nothing_is_missing(resolved: ResolvedTemplates, name: str) -> None:
    """Everything that a runner was seen doing, and what AWS does in the role's name, is allowed."""
    role, needed = _needed(name, resolved)
    assert refused(role.statements, needed) == []


@pytest.mark.parametrize("name", ROLES)
def test_removing_any_one_right_would_be_noticed(resolved: ResolvedTemplates, name: str) -> None:
    """Without any single action on any single resource, something that is needed is refused: nothing is too many."""
    role, needed = _needed(name, resolved)
    assert needless(role.statements, needed) == []


@pytest.mark.parametrize("name", ROLES)
def test_every_star_has_its_reason_and_no_policy_is_managed_by_others(resolved: ResolvedTemplates, name: str) -> None:
    """Stars are on a list; AWS's own policies, which are for everybody, are not used."""
    role, _ = _needed(name, resolved)
    assert role.managed == ()
    assert unexplained_stars(role, WILDCARDS) == []


def test_a_runner_reaches_neither_another_shards_commands_nor_what_it_spilled(resolved: ResolvedTemplates) -> None:
    """Two shards of a stage do not get into each other's way, whatever a runner is told."""
    one, other = (resolved.tasks()[shard] for shard in ("shard-001", "shard-002"))
    vault = arns(one.environment)["RECADO_VAULT_BUCKET"]
    index = f"{arns(one.environment)['RECADO_CORE_TABLE']}/index/by_shard"
    commands = [
        text for statement in other.role.statements for text in listed(statement["Resource"]) if "commands" in text
    ]
    assert commands
    for request in (
        *(Request("sqs:ReceiveMessage", queue) for queue in commands),
        Request("s3:GetObject", f"{vault}/spill/shard-002/1"),
        Request("dynamodb:Query", index, {"dynamodb:LeadingKeys": ("shard-002",)}),
    ):
        assert decide(one.role.statements, request) is not Decision.ALLOWED, request
        assert decide(other.role.statements, request) is Decision.ALLOWED, request
