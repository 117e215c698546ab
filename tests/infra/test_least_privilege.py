"""Least privilege: a role may do exactly what its process was seen doing, and what AWS does in its name."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from tests.infra.template import Templates
from tests.infra.test_functions import FUNCTIONS
from tests.support.policies.evaluation import Request
from tests.support.policies.requests import arns
from tests.support.policies.rights import distinct, needless, refused, translated, unexplained_stars
from tests.support.policies.suites import recorded_calls
from tests.support.policies.templates import ResolvedTemplates, Role
from tests.support.policies.unseen import of_calls, of_function

CLINIC_ACCESS = "clinic-access"
ROLES = [*FUNCTIONS, CLINIC_ACCESS]
# Where the calls have to be recorded first, on a busy machine.
pytestmark = pytest.mark.timeout(1_200)

WILDCARDS = {
    r"\*": "X-Ray knows no narrower resource; test_rights holds the star to its two actions",
    r"arn:aws:logs:[^*]+:log-group:/aws/lambda/recado-prod-[a-z-]+:\*": "log streams are named by Lambda",
    r"arn:aws:s3:::recado-prod-(vault|backups)-[^*]+/\*": "the backup reads and writes every clinic's objects",
    r"arn:aws:dynamodb:[^*]+/index/\*": "denied: no index of any table may be scanned",
    r"dynamodb:PartiQL\*": "denied: no statement of any kind",
}
"""Every star in an action or a resource of a role, with its reason."""


@pytest.fixture(scope="module")
def resolved(prod: Templates) -> ResolvedTemplates:
    """The production templates with every reference put in."""
    return ResolvedTemplates(prod.stacks)


def _needed(name: str, resolved: ResolvedTemplates) -> tuple[Role, list[Request]]:
    """Return a role and all that IAM is asked about it; each clinic's calls with its tag."""
    fenced = name == CLINIC_ACCESS
    function = resolved.functions()["api" if fenced else name]
    made: list[Request] = []
    for call in recorded_calls():
        if call.process == function.name and (call.clinic is not None) == fenced:
            tag = {"aws:PrincipalTag/clinic": (call.clinic,)} if call.clinic else {}
            made += [
                replace(request, context={**request.context, **tag}) for request in translated(call.requests, function)
            ]
    assert made, f"no call of {name} was recorded"
    key = arns(function.environment).get("RECADO_KMS_KEY_ID") or _key_of(resolved)
    role = resolved.role_at(function.environment["RECADO_CLINIC_ROLE_ARN"]) if fenced else function.role
    made += [unseen.request for unseen in of_calls(list(made), key)]
    if not fenced:
        made += [unseen.request for unseen in of_function(function, key)]
    return role, distinct(made)


def _key_of(resolved: ResolvedTemplates) -> str:
    return arns(resolved.functions()["api"].environment)["RECADO_KMS_KEY_ID"]


@pytest.mark.parametrize("name", ROLES)
def test_nothing_is_missing(resolved: ResolvedTemplates, name: str) -> None:
    """Everything that the suites were seen doing, and what AWS does in the role's name, is allowed."""
    role, needed = _needed(name, resolved)
    assert refused(role.statements, needed) == []


@pytest.mark.parametrize("name", ROLES)
def test_removing_any_one_right_would_be_noticed(resolved: ResolvedTemplates, name: str) -> None:
    """Without any single action on any single resource, something that is needed is refused: nothing is too many."""
    role, needed = _needed(name, resolved)
    assert needless(role.statements, needed) == []


@pytest.mark.parametrize("name", ROLES)
def test_each_partition_pattern_is_needed(resolved: ResolvedTemplates, name: str) -> None:
    """Patterns of leading keys and attributes are no wider than what is used: without one, something is refused."""
    role, needed = _needed(name, resolved)
    for place, statement in enumerate(role.statements):
        for operator, keys in statement.get("Condition", {}).items():
            for key, wanted in keys.items():
                if not operator.startswith("ForAllValues") or len(wanted) == 1:
                    continue
                for one in wanted:
                    changed: Any = copy.deepcopy(list(role.statements))
                    changed[place]["Condition"][operator][key].remove(one)
                    assert refused(changed, needed), f"{key} {one} is not needed"


@pytest.mark.parametrize("name", ROLES)
def test_no_policy_is_managed_by_others(resolved: ResolvedTemplates, name: str) -> None:
    """AWS's own policies are for everybody: they are wider than any of our processes needs."""
    assert _needed(name, resolved)[0].managed == ()


@pytest.mark.parametrize("name", ROLES)
def test_every_star_has_its_reason(resolved: ResolvedTemplates, name: str) -> None:
    """Stars in actions and resources are on a list."""
    role, _ = _needed(name, resolved)
    assert unexplained_stars(role, WILDCARDS) == []


def test_the_functions_do_not_share_a_role(resolved: ResolvedTemplates) -> None:
    """What one may do, no other may do by that."""
    functions = resolved.functions().values()
    assert len({function.role.arn for function in functions}) == len(functions)
