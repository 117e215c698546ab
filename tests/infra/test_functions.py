"""The functions: that all are deployed, told what they need, and fed in a way that loses nothing."""

import ast
import json
from collections.abc import Iterator

import pytest

from infra.function_memory import FUNCTION_MEMORY
from infra.layers import CALLED_SERVICES
from infra.timeouts import FUNCTION_TIMEOUTS
from local.stack.state import CHECKOUT
from tests.infra.template import Templates

FUNCTIONS = sorted(path.parent.name for path in CHECKOUT.glob("functions/*/handler.py"))

# In the shared packages, but only a runner asks: ECS, for evidence that another's task has stopped.
_CALLED_BY_RUNNERS_ONLY = {"ecs"}


def test_every_function_of_the_checkout_is_deployed(prod: Templates) -> None:
    """A new folder in functions/ without infrastructure shows here, and the other way round."""
    deployed = {function["Handler"].split(".")[1] for function in prod.properties("AWS::Lambda::Function")}
    assert deployed == set(FUNCTIONS) == set(FUNCTION_TIMEOUTS) == set(FUNCTION_MEMORY)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_runs_on_arm_with_both_layers_and_a_log_group_that_forgets(prod: Templates, name: str) -> None:
    """Python 3.13 on arm64, core and third-party layer, logs kept as long as the stage says."""
    function = prod.function(name)
    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == ["arm64"]
    assert len(function["Layers"]) == 2
    assert prod.log_group(f"/aws/lambda/{function['FunctionName']}")["RetentionInDays"] == 90
    assert function["LoggingConfig"]["LogGroup"]


def test_queues_feed_functions_with_partial_failures_and_a_bound(prod: Templates) -> None:
    """One bad message fails alone, and no queue can take all of the account's concurrency."""
    mappings = prod.properties("AWS::Lambda::EventSourceMapping")
    assert len(mappings) == 4
    for mapping in mappings:
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert mapping["ScalingConfig"]["MaximumConcurrency"] == 20


@pytest.mark.parametrize("name", ["webhook_schedule", "backup"])
def test_a_run_that_fails_ends_in_a_queue_that_rings(prod: Templates, name: str) -> None:
    """Whether it failed on its way or in the function: two more tries within its period, then the same dead letters."""
    function = prod.function(name)["FunctionName"]
    logical = next(
        key for key, one in prod.resources("AWS::Lambda::Function") if one["Properties"] == prod.function(name)
    )
    (invocation,) = [
        one for one in prod.properties("AWS::Lambda::EventInvokeConfig") if one["FunctionName"] == {"Ref": logical}
    ]
    (target,) = [
        target
        for rule in prod.properties("AWS::Events::Rule")
        for target in rule["Targets"]
        if target["Arn"] == {"Fn::GetAtt": [logical, "Arn"]}
    ]
    failed = invocation["DestinationConfig"]["OnFailure"]["Destination"]
    assert target["DeadLetterConfig"]["Arn"] == failed
    queues = dict(prod.resources("AWS::SQS::Queue"))
    assert queues[failed["Fn::GetAtt"][0]]["Properties"]["QueueName"] == f"{function}-dead-letters"
    assert invocation["MaximumRetryAttempts"] == target["RetryPolicy"]["MaximumRetryAttempts"] == 2
    assert invocation["MaximumEventAgeInSeconds"] == target["RetryPolicy"]["MaximumEventAgeInSeconds"]


def test_every_function_without_a_queue_of_its_own_has_a_destination_for_failures(prod: Templates) -> None:
    """Mappings give failures back to their queue, the API answers its caller; all others are started asynchronously."""
    fed = {json.dumps(one["FunctionName"]) for one in prod.properties("AWS::Lambda::EventSourceMapping")}
    caught = {json.dumps(one["FunctionName"]) for one in prod.properties("AWS::Lambda::EventInvokeConfig")}
    all_of_ours = {
        json.dumps({"Ref": key}): one["Properties"]["Handler"].split(".")[1]
        for key, one in prod.resources("AWS::Lambda::Function")
        if one["Properties"]["Handler"].startswith("functions.")
    }
    assert {name for key, name in all_of_ours.items() if key not in fed | caught} == {"api"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_the_same_size_in_every_stage(prod: Templates, local: Templates, name: str) -> None:
    """Memory and time-out are written down with their reasons, and no stage changes them."""
    for function in (prod.function(name), local.function(name)):
        assert function["MemorySize"] == FUNCTION_MEMORY[name]
        assert function["Timeout"] == FUNCTION_TIMEOUTS[name]


def test_webhook_attempts_are_made_one_by_one(prod: Templates) -> None:
    """A batch of tries would make one slow endpoint hold up the others in it."""
    sizes = {
        json.dumps(mapping["FunctionName"]): mapping["BatchSize"]
        for mapping in prod.properties("AWS::Lambda::EventSourceMapping")
    }
    assert [size for name, size in sizes.items() if "WebhookAttempts" in name] == [1]


def test_the_clock_starts_the_schedule_and_the_backup(prod: Templates) -> None:
    """Deliveries that are due are looked for every minute, backups made every hour."""
    rules = [rule for rule in prod.properties("AWS::Events::Rule") if "ScheduleExpression" in rule]
    assert sorted(rule["ScheduleExpression"] for rule in rules) == ["rate(1 hour)", "rate(1 minute)"]
    assert {rule["State"] for rule in rules} == {"ENABLED"}


def test_the_third_party_layer_knows_every_service_that_is_called() -> None:
    """The layer leaves out boto3's models of other services, so a newly called one must be named."""
    assert set(_called_services()) - _CALLED_BY_RUNNERS_ONLY <= CALLED_SERVICES


def _called_services() -> Iterator[str]:
    for pattern in ("layers/core/python/**/*.py", "functions/**/*.py"):
        for path in CHECKOUT.glob(pattern):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    first = node.args[0] if node.args else None
                    if node.func.attr in {"client", "resource", "create_client"} and isinstance(first, ast.Constant):
                        yield str(first.value)
