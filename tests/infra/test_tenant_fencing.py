"""Tenant fencing: what the API does for one clinic is refused to the credentials of any other."""

from dataclasses import replace

import pytest

from recado.kernel.ids import Prefix, new_id
from tests.infra.template import Templates
from tests.support.policies.evaluation import Decision, Request, decide
from tests.support.policies.recording import Call
from tests.support.policies.rights import translated
from tests.support.policies.suites import recorded_calls
from tests.support.policies.templates import Function, ResolvedTemplates, Role

CLINIC = new_id(Prefix.CLINIC)
OTHER = new_id(Prefix.CLINIC)
# Where the calls have to be recorded first, on a busy machine.
pytestmark = pytest.mark.timeout(1_200)

SHARED_KEYS = {("dynamodb:UpdateItem", "shard#"): "the count of a shard's channels changes with the channel"}
"""What the role reaches of the platform's own items, with the reason."""


@pytest.fixture(scope="module")
def resolved(prod: Templates) -> ResolvedTemplates:
    """The production templates with every reference put in."""
    return ResolvedTemplates(prod.stacks)


@pytest.fixture(scope="module")
def api(resolved: ResolvedTemplates) -> Function:
    """The API's function."""
    return resolved.functions()["api"]


@pytest.fixture(scope="module")
def role(resolved: ResolvedTemplates, api: Function) -> Role:
    """The role for clinics."""
    return resolved.role_at(api.environment["RECADO_CLINIC_ROLE_ARN"])


@pytest.fixture(scope="module")
def calls(api: Function) -> list[Call]:
    """Every call that the API's suite made with a clinic's credentials, on the deployed resources."""
    made = [call for call in recorded_calls() if call.process == "api" and call.clinic is not None]
    return [replace(call, requests=tuple(translated(call.requests, api))) for call in made]


def _decisions(role: Role, call: Call, clinic: str | None) -> set[Decision]:
    tag = {"aws:PrincipalTag/clinic": (clinic,)} if clinic else {}
    return {decide(role.statements, replace(one, context={**one.context, **tag})) for one in call.requests}


def test_every_call_is_allowed_to_its_own_clinic(role: Role, calls: list[Call]) -> None:
    """The fence lets through all that the API's suite was seen doing for a clinic."""
    assert len(calls) > 500
    refused = [call for call in calls if _decisions(role, call, call.clinic) != {Decision.ALLOWED}]
    assert refused == []


def test_every_call_is_refused_to_any_other_clinic(role: Role, calls: list[Call]) -> None:
    """The same calls, made with another clinic's tag, are refused without exception: one part of each at least."""
    through = [call for call in calls if _decisions(role, call, OTHER) == {Decision.ALLOWED}]
    assert through == []


def test_no_part_of_a_call_reaches_another_clinic_but_what_is_shared(role: Role, calls: list[Call]) -> None:
    """Taken part by part, only the counters of shards are open to a clinic that is not the call's."""
    shared = set()
    for call in calls:
        for request in call.requests:
            tagged = replace(request, context={**request.context, "aws:PrincipalTag/clinic": (OTHER,)})
            if decide(role.statements, tagged) is Decision.ALLOWED:
                (leading,) = request.context["dynamodb:LeadingKeys"]
                shared.add((request.action, leading.partition("#")[0] + "#"))
    assert shared == SHARED_KEYS.keys()


def test_without_a_tag_nothing_is_allowed(role: Role, calls: list[Call]) -> None:
    """A session without the tag reaches no clinic: its pattern has no value and matches nothing."""
    assert [call for call in calls if _decisions(role, call, None) == {Decision.ALLOWED}] == []


@pytest.mark.parametrize("action", ["Scan", "PartiQLSelect", "PartiQLInsert", "PartiQLUpdate", "PartiQLDelete"])
@pytest.mark.parametrize("place", ["", "/index/by_clinic"])
def test_what_names_no_partition_is_denied_outright(role: Role, api: Function, action: str, place: str) -> None:
    """Also a later, wider permission would not open scans and statements to a request."""
    allowing = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
    for setting in ("CORE", "MESSAGES", "RUNTIME", "ANALYTICS", "AUDIT", "KEYS"):
        table = api.environment[f"RECADO_{setting}_TABLE"]
        request = Request(f"dynamodb:{action}", f"arn:aws:dynamodb:sa-east-1:123456789012:table/{table}{place}")
        assert decide([allowing, *role.statements], request) is Decision.DENIED


@pytest.mark.parametrize(
    "partition",
    [f"clinic#{CLINIC}0", f"clinic#{CLINIC[:-1]}", f"clinic#{OTHER}", "platform", "number#5511977770001", "shard#s"],
    ids=["longer", "shorter", "other", "platform", "number", "shard"],
)
@pytest.mark.parametrize("action", ["GetItem", "PutItem"])
def test_only_the_clinics_own_partitions_are_open(role: Role, api: Function, action: str, partition: str) -> None:
    """An id that begins like the clinic's opens nothing, and no item of the platform can be read or replaced."""

    def asking(table: str, leading: str) -> Decision:
        arn = f"arn:aws:dynamodb:sa-east-1:123456789012:table/{api.environment[f'RECADO_{table}_TABLE']}"
        context = {"dynamodb:LeadingKeys": (leading,), "aws:PrincipalTag/clinic": (CLINIC,)}
        return decide(role.statements, Request(f"dynamodb:{action}", arn, context))

    assert asking("CORE", f"clinic#{CLINIC}") is Decision.ALLOWED
    assert asking("MESSAGES", f"clinic#{CLINIC}#channel#chn_1#202611") is Decision.ALLOWED
    for table in ("CORE", "MESSAGES", "RUNTIME", "ANALYTICS", "AUDIT", "KEYS"):
        assert asking(table, partition) is Decision.NOT_ALLOWED


def test_one_foreign_partition_spoils_a_batch(role: Role, api: Function) -> None:
    """A batch that asks for one item of another clinic is refused whole."""
    table = f"arn:aws:dynamodb:sa-east-1:123456789012:table/{api.environment['RECADO_RUNTIME_TABLE']}"
    context: dict[str, tuple[str, ...]] = {
        "dynamodb:LeadingKeys": (f"clinic#{CLINIC}#channel#a", f"clinic#{OTHER}#channel#b"),
        "aws:PrincipalTag/clinic": (CLINIC,),
    }
    assert decide(role.statements, Request("dynamodb:BatchGetItem", table, context)) is Decision.NOT_ALLOWED


def test_a_lease_cannot_be_touched_by_way_of_its_shard(role: Role, api: Function) -> None:
    """The lease lies in the partition of the counter; attributes that are its own are not open."""
    table = f"arn:aws:dynamodb:sa-east-1:123456789012:table/{api.environment['RECADO_RUNTIME_TABLE']}"

    def writing(*attributes: str) -> Request:
        context: dict[str, tuple[str, ...]] = {
            "dynamodb:LeadingKeys": ("shard#shard-001",),
            "dynamodb:Attributes": ("pk", "sk", *attributes),
            "aws:PrincipalTag/clinic": (CLINIC,),
        }
        return Request("dynamodb:UpdateItem", table, context)

    assert decide(role.statements, writing("channels", "shard_id")) is Decision.ALLOWED
    for attribute in ("owner", "epoch", "counter", "released"):
        assert decide(role.statements, writing(attribute)) is Decision.NOT_ALLOWED


def test_only_the_api_may_take_the_role_on_and_only_for_a_clinic(
    resolved: ResolvedTemplates, role: Role, api: Function
) -> None:
    """Neither another function nor a session without the tag, nor one with further tags, becomes a clinic."""

    def asking(principal: str, **tags: str) -> set[Decision]:
        context: dict[str, tuple[str, ...]] = {f"aws:RequestTag/{name}": (value,) for name, value in tags.items()}
        if tags:
            context["aws:TagKeys"] = tuple(tags)
        return {
            decide(role.trust, Request(action, role.arn, context, principal))
            for action in ("sts:AssumeRole", "sts:TagSession")
        }

    assert asking(api.role.arn, clinic=CLINIC) == {Decision.ALLOWED}
    assert asking(api.role.arn) == {Decision.NOT_ALLOWED}
    assert asking(api.role.arn, clinic="platform") == {Decision.NOT_ALLOWED}
    assert asking(api.role.arn, clinic=CLINIC, admin="yes") == {Decision.NOT_ALLOWED}
    for name, function in resolved.functions().items():
        if name != "api":
            assert asking(function.role.arn, clinic=CLINIC) == {Decision.NOT_ALLOWED}


def test_the_apis_own_role_reads_keys_and_the_platforms_items_only(api: Function) -> None:
    """Outside a fence the API writes no item at all, and reads none of messages, counts or channels' codes."""
    for statement in api.role.statements:
        text = f"{statement['Action']} {statement['Resource']}"
        if "dynamodb:" in text:
            assert not [word for word in ("Put", "Update", "Delete", "Scan") if word in text], text
            assert not [word for word in ("messages", "analytics", "audit", "keys") if f"-{word}" in text], text
            assert "dynamodb:LeadingKeys" in str(statement["Condition"])


def test_the_suite_does_nothing_for_a_clinic_with_the_apis_own_role_but_find_out_who_asks(api: Function) -> None:
    """Of what was recorded outside fences, only single reads from core name a clinic's partition."""
    for call in recorded_calls():
        if call.process != "api" or call.clinic is not None:
            continue
        for request in call.requests:
            for leading in request.context.get("dynamodb:LeadingKeys", ()):
                if leading.startswith("clinic#"):
                    assert (request.action, request.resource.rpartition("-")[2]) == ("dynamodb:GetItem", "core")
