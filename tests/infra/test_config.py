"""Stages: what ``cdk.json`` may say, and what is refused before synthesis."""

import json
from dataclasses import replace

import pytest

from infra.config import Shard, Stage, StageSettingError, UnknownStageError
from infra.task_sizes import is_offered
from local.stack.state import CHECKOUT

_CLINIC = "cli_01k0000000000000000000000a"
_STAGES = json.loads((CHECKOUT / "cdk.json").read_text(encoding="utf-8"))["context"]["stages"]


@pytest.mark.parametrize("name", ["local", "dev", "staging", "prod"])
def test_every_declared_stage_is_valid(name: str) -> None:
    """The four stages of cdk.json can be read."""
    assert Stage.from_context(name, _STAGES).name == name


def test_production_keeps_its_data() -> None:
    """Nothing in cdk.json makes production's tables disposable, nor lets webhooks into private networks."""
    prod = Stage.from_context("prod", _STAGES)
    assert prod.keep_data
    assert prod.webhook_allowed_networks == ()
    assert prod.layer_platform == "aws"


def test_shard_ids_are_numbered_from_one() -> None:
    """Shard ids are those that the rest of the platform knows, and raising the number only adds to them."""
    assert Stage(name="dev", shared_shards=2).shard_ids == ("shard-001", "shard-002")
    assert Stage(name="dev", shared_shards=3).shard_ids[:2] == Stage(name="dev", shared_shards=2).shard_ids


def test_a_retired_shard_takes_its_number_with_it() -> None:
    """The others keep theirs, and a shard that is added gets a new one."""
    assert Stage(name="dev", shared_shards=3, retired_shards=(2,)).shard_ids == ("shard-001", "shard-003")
    settings = {"dev": {"shards": {"shared": 4, "retired": [1, 3]}}}
    assert Stage.from_context("dev", settings).shard_ids == ("shard-002", "shard-004")


def test_a_dedicated_shard_keeps_its_id_whatever_else_is_declared() -> None:
    """It is made from the clinic's id: more shared shards or other clinics change nothing, and nobody inherits it."""
    other = _CLINIC[:-1] + "b"
    few = Stage(name="dev", shared_shards=1, dedicated_clinics=(_CLINIC,))
    many = Stage(name="dev", shared_shards=9, dedicated_clinics=(other, _CLINIC))
    assert few.shards[-1] == many.shards[-1] == Shard("shard-01k0000000000000000000000a", _CLINIC)
    assert [shard.clinic_id for shard in many.shards[:9]] == [None] * 9


@pytest.mark.parametrize(
    ("cpu", "memory", "offered"),
    [(256, 512, True), (256, 4_096, False), (1_024, 2_048, True), (8_192, 20_480, True), (8_192, 18_432, False)],
)
def test_only_fargates_sizes_are_taken(cpu: int, memory: int, offered: bool) -> None:
    """ECS would refuse the others when the stack is deployed."""
    assert is_offered(cpu, memory) is offered


def test_an_undeclared_stage_is_refused_by_name() -> None:
    """The error names the stages that exist."""
    with pytest.raises(UnknownStageError, match="dev, local, prod, staging"):
        Stage.from_context("production", _STAGES)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"shards": {"shared": 0}}, "shards.shared"),
        ({"shards": {}}, "shards"),
        ({"shards": {"shared": 1, "private": 1}}, "shards"),
        ({"shards": {"shared": 91}}, "shards: must be 90 at most"),
        ({"shards": {"shared": 2, "closed": ["shard-003"]}}, "shards.closed"),
        ({"shards": {"shared": 2, "closed": ["shard-001", "shard-002"]}}, "shards.closed"),
        ({"shards": {"shared": 2, "closed": "shard-001"}}, "shards"),
        ({"shards": {"shared": 2, "retired": 2}}, "shards"),
        ({"shards": {"shared": 2, "retired": [3]}}, "shards.retired"),
        ({"shards": {"shared": 2, "retired": [1, 1]}}, "shards.retired"),
        ({"shards": {"shared": 2, "retired": ["1"]}}, "shards.retired"),
        ({"shards": {"shared": 2, "retired": [1, 2]}}, "shards.retired"),
        ({"shards": {"shared": 1, "dedicated": [f"cli_{number:026d}" for number in range(81)]}}, "80 clinics at most"),
        ({"shards": {"shared": 1}, "log_retention": 3}, "log_retention"),
        ({"shards": {"shared": 1}, "name": "other"}, "name"),
        ({"shards": {"shared": 1}, "log_retention_days": 8}, "log_retention_days"),
        ({"shards": {"shared": 1}, "function_concurrency": 1}, "function_concurrency"),
        ({"shards": {"shared": 1}, "api_requests_per_second": 0}, "api_requests_per_second"),
        ({"shards": {"shared": 1}, "api_burst": 5001}, "api_burst"),
        ({"shards": {"shared": 1}, "requests_per_minute_and_address": 9}, "requests_per_minute_and_address"),
        ({"shards": {"shared": 1}, "requests_per_minute_and_key": 9}, "requests_per_minute_and_key"),
        ({"shards": {"shared": 1}, "trace_aws_calls": "yes"}, "trace_aws_calls"),
        ({"shards": {"shared": 1}, "event_archive_days": 8}, "event_archive_days"),
        ({"shards": {"shared": 1}, "webhook_retry_gaps": []}, "webhook_retry_gaps"),
        ({"shards": {"shared": 1}, "webhook_retry_gaps": [0, -1]}, "webhook_retry_gaps"),
        ({"shards": {"shared": 1}, "webhook_allowed_networks": ["10.0.0.0/33"]}, "webhook_allowed_networks"),
        ({"shards": {"shared": 1}, "public_url": "https://api.example/"}, "public_url"),
        ({"shards": {"shared": 1}, "layer_platform": "windows"}, "layer_platform"),
        ({"shards": {"shared": 1, "dedicated": "cli_x"}}, "shards"),
        (
            {"shards": {"shared": 1, "dedicated": ["Clinica Sol"]}},
            "shards.dedicated: must be clinic ids; 'Clinica Sol'",
        ),
        ({"shards": {"shared": 1, "dedicated": [_CLINIC, _CLINIC]}}, "named twice"),
        ({"shards": {"shared": 1}, "dedicated_clinics": [_CLINIC]}, "dedicated_clinics"),
        ({"shards": {"shared": 1}, "session_tasks": "no"}, "session_tasks"),
        ({"shards": {"shared": 1}, "container_insights": 1}, "container_insights"),
        ({"shards": {"shared": 1}, "task_cpu": 512, "task_memory": 8192}, "task_cpu, task_memory"),
        ({"shards": {"shared": 1}, "task_cpu": 300}, "task_cpu"),
        ({"shards": {"shared": 1}, "task_architecture": "riscv"}, "task_architecture"),
        ({"shards": {"shared": 1}, "egress": "vpn"}, "egress"),
        ({"shards": {"shared": 1}, "monthly_budget": 100}, "alarm_email"),
        ({"shards": {"shared": 1}, "monthly_budget": 0, "alarm_email": "ops@clinic.example"}, "monthly_budget"),
        ({"shards": {"shared": 1}, "monthly_budget": "100", "alarm_email": "ops@clinic.example"}, "monthly_budget"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(settings: dict[str, object], named: str) -> None:
    """Each limit is checked, and the message says which setting to mend."""
    with pytest.raises(StageSettingError, match=named):
        Stage.from_context("dev", {"dev": settings})


def test_a_stage_name_fits_into_physical_names() -> None:
    """Names of buckets and stacks are made from it: lower-case letters and digits only."""
    with pytest.raises(StageSettingError, match="name"):
        replace(Stage(name="dev", shared_shards=1), name="Dev_1")
