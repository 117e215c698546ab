"""Dashboards and alarms: they look at what there is, and say what to do."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from infra.alarm_thresholds import AlarmThresholds
from infra.config import Stage, StageSettingError
from infra.constructs.clinic_dashboard import NO_CLINIC
from local.stack.state import CHECKOUT
from recado.channels.model import ChannelState
from tests.infra.conftest import CLINICS
from tests.infra.template import Templates

_RUNBOOK = re.compile(r"Runbook: docs/runbooks/([a-z-]+)\.md$")
_STACK = "recado-{}-observability"

# What AWS documents, by namespace: the metrics and the dimensions they can be asked for with.
_OF_AWS: dict[str, tuple[set[str], set[tuple[str, ...]]]] = {
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
    "AWS/ApiGateway": ({"Count", "4XXError", "5XXError", "Latency", "IntegrationLatency"}, {("ApiName", "Stage")}),
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    "AWS/SQS": ({"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"}, {("QueueName",)}),
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    "AWS/Lambda": ({"Errors", "Throttles", "Duration", "ConcurrentExecutions", "Invocations"}, {("FunctionName",)}),
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
    "AWS/DynamoDB": ({"ReadThrottleEvents", "WriteThrottleEvents"}, {("TableName",)}),
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/available-metrics.html
    "AWS/ECS": ({"CPUUtilization", "MemoryUtilization"}, {("ClusterName", "ServiceName")}),
}

Named = tuple[str, str, Mapping[str, str]]
"""Namespace, metric, dimensions; an empty value stands for every one."""


def bodies(templates: Templates) -> dict[str, dict[str, Any]]:
    """The dashboards by their names, with the region put in."""
    found = {}
    for dashboard in templates.properties("AWS::CloudWatch::Dashboard"):
        parts = dashboard["DashboardBody"]["Fn::Join"][1]
        text = "".join(part if isinstance(part, str) else "sa-east-1" for part in parts)
        found[dashboard["DashboardName"]] = json.loads(text)
    return found


def _named(templates: Templates) -> Iterator[Named]:
    """Yield every metric that a dashboard or an alarm of the templates looks at."""
    for body in bodies(templates).values():
        for widget in body["widgets"]:
            if widget["type"] == "metric":
                for row in widget["properties"]["metrics"]:
                    yield from _in_row(row)
    for alarm in templates.properties("AWS::CloudWatch::Alarm"):
        for metric in [
            alarm,
            *(each["MetricStat"]["Metric"] for each in alarm.get("Metrics", ()) if "MetricStat" in each),
        ]:
            if "MetricName" in metric:
                dimensions = {
                    one["Name"]: one["Value"] if isinstance(one["Value"], str) else "" for one in metric["Dimensions"]
                }
                yield metric["Namespace"], metric["MetricName"], dimensions


def _in_row(row: list[Any]) -> Iterator[Named]:
    if isinstance(row[0], str):
        namespace, name, *rest = [each for each in row if isinstance(each, str)]
        yield namespace, name, dict(zip(rest[::2], rest[1::2], strict=True))
        return
    searched = re.search(r"SEARCH\('\{([^}]*)\} ([^']*)'", row[0]["expression"])
    assert searched, row
    namespace, *names = searched[1].split(",")
    wanted = dict(re.findall(r'(\w+)="([^"]*)"', searched[2]))
    yield namespace, wanted["MetricName"], {name: wanted.get(name, "") for name in names}


def _emitted() -> dict[str, set[frozenset[str]]]:
    """The dimensions that our own metrics are written with, by name, read from the code that writes them."""
    found: dict[str, set[frozenset[str]]] = {}
    for folder, dimensions in (
        ("session_runner", {"stage", "component", "shard"}),
        ("functions", {"stage", "component"}),
    ):
        for path in (CHECKOUT / folder).rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute | ast.Name):
                    for name in _names_in(call):
                        typed = any(keyword.arg == "event_type" for keyword in call.keywords)
                        found.setdefault(name, set()).add(frozenset(dimensions | ({"event_type"} if typed else set())))
    # Their names follow from the kind of fact.
    traffic = (CHECKOUT / "session_runner" / "journal" / "traffic.py").read_text(encoding="utf-8")
    for name in re.findall(r'yield "(\w+)", ', traffic):
        found.setdefault(name, set()).add(frozenset({"stage", "component", "shard", "event_type"}))
    return found


def _names_in(call: ast.Call) -> Iterator[str]:
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if called not in {"gauge", "count", "observe", "add_metric", "_count"}:
        return
    named = [keyword.value for keyword in call.keywords if keyword.arg == "name"]
    for argument in (*named, *call.args[:2]):
        for constant in ast.walk(argument):
            if isinstance(constant, ast.Constant) and isinstance(constant.value, str) and constant.value[:1].isupper():
                yield constant.value


def _function_names(templates: Templates) -> set[str]:
    return {function.get("FunctionName", "") for function in templates.properties("AWS::Lambda::Function")}


def test_every_metric_that_is_looked_at_is_published_by_somebody(crowded: Templates) -> None:
    """Ours by the code that writes them, with the very dimensions; AWS's by its documentation."""
    emitted = _emitted()
    seen: set[str] = set()
    for namespace, name, dimensions in _named(crowded):
        seen.add(namespace)
        if namespace == "Recado":
            assert frozenset(dimensions) in emitted.get(name, ()), (name, dimensions)
        else:
            names, known = _OF_AWS[namespace]
            assert name in names, name
            assert tuple(sorted(dimensions)) in known, dimensions
    assert seen == {"Recado", *_OF_AWS}


def test_what_is_named_by_a_dimension_is_there(crowded: Templates) -> None:
    """Functions, queues, tables, the API and the cluster have these very names; components write under theirs."""
    there = {
        "FunctionName": _function_names(crowded),
        "QueueName": {queue["QueueName"] for queue in crowded.properties("AWS::SQS::Queue")},
        "TableName": {table["TableName"] for table in crowded.properties("AWS::DynamoDB::Table")},
        "ApiName": {api["Name"] for api in crowded.properties("AWS::ApiGateway::RestApi")},
        "Stage": {stage["StageName"] for stage in crowded.properties("AWS::ApiGateway::Stage")},
        "ClusterName": {cluster["ClusterName"] for cluster in crowded.properties("AWS::ECS::Cluster")},
        "ServiceName": {service["ServiceName"] for service in crowded.properties("AWS::ECS::Service")},
        "stage": {"crowded"},
        "component": {"runner", *(path.parent.name for path in CHECKOUT.glob("functions/*/handler.py"))},
        "shard": {
            service["ServiceName"].partition("crowded-")[2] for service in crowded.properties("AWS::ECS::Service")
        },
        "event_type": {state.value for state in ChannelState},
    }
    for namespace, name, dimensions in _named(crowded):
        if (namespace, name) == ("AWS/SQS", "ApproximateNumberOfMessagesVisible") and not dimensions["QueueName"]:
            continue  # an alarm beside its queue refers to it
        for dimension, value in dimensions.items():
            assert not value or value in there[dimension], (name, dimension, value)


def test_every_alarm_says_what_to_do_and_every_page_is_somebodys(crowded: Templates) -> None:
    """Each description ends in a runbook that exists; no runbook is left over, and all are in the list of them."""
    pages = {path.stem for path in (CHECKOUT / "docs" / "runbooks").glob("*.md")} - {"README"}
    named = set()
    for alarm in crowded.properties("AWS::CloudWatch::Alarm"):
        found = _RUNBOOK.search(alarm["AlarmDescription"])
        assert found, alarm["AlarmName"]
        named.add(found[1])
    assert named == pages
    listed = (CHECKOUT / "docs" / "runbooks" / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\(([a-z-]+)\.md\)", listed)) == pages


def test_every_runbook_says_what_it_means_how_to_look_and_what_to_do() -> None:
    """In this order, so that whoever is woken finds it."""
    for path in (CHECKOUT / "docs" / "runbooks").glob("*-*.md"):
        text = path.read_text(encoding="utf-8")
        places = [text.index(part) for part in ("**What it means.**", "**How to look.**", "**What to do.**")]
        assert places == sorted(places), path


def test_every_alarm_tells_the_stages_topic(crowded: Templates) -> None:
    """And no alarm has a name that another has."""
    alarms = crowded.properties("AWS::CloudWatch::Alarm")
    assert all(len(alarm["AlarmActions"]) == 1 for alarm in alarms)
    assert len({alarm["AlarmName"] for alarm in alarms}) == len(alarms)
    own = [
        resource["Properties"]
        for resource in crowded.stacks[_STACK.format("crowded")]["Resources"].values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    ]
    assert all(alarm["OKActions"] == alarm["AlarmActions"] for alarm in own)
    assert "Alarms" in json.dumps(own[0]["AlarmActions"])


def _alarm(templates: Templates, name: str) -> dict[str, Any]:
    return next(alarm for alarm in templates.properties("AWS::CloudWatch::Alarm") if alarm["AlarmName"] == name)


def test_each_shard_has_its_alarms_and_carries_its_tags(crowded: Templates) -> None:
    """Four a shard: 40 shards stay far below what a stack holds. A dedicated one's are its clinic's."""
    names = [alarm["AlarmName"] for alarm in crowded.properties("AWS::CloudWatch::Alarm")]
    for ending in ("silent", "sessions-down", "facts-waiting", "spill-broken"):
        assert len([name for name in names if re.fullmatch(rf"recado-crowded-shard-\w+-{ending}", name)]) == 40
    assert len(crowded.stacks[_STACK.format("crowded")]["Resources"]) < 250
    shard = f"shard-{CLINICS[0].removeprefix('cli_')}"
    tags = {tag["Key"]: tag["Value"] for tag in _alarm(crowded, f"recado-crowded-{shard}-silent")["Tags"]}
    assert tags["recado:shard"] == shard
    assert tags["recado:clinic"] == CLINICS[0]


def test_silence_is_breaching_where_something_should_be_heard(prod: Templates) -> None:
    """Of a shard and of the backup; everywhere else no data is no news."""
    silent = {
        alarm["AlarmName"]
        for alarm in prod.properties("AWS::CloudWatch::Alarm")
        if alarm["TreatMissingData"] == "breaching"
    }
    assert silent == {f"recado-prod-{what}" for what in ("shard-001-silent", "shard-002-silent", "backup-missing")}


@pytest.mark.parametrize(
    ("age", "wanted", "down", "rings"),
    [
        (3_600, 100, 19, False),
        (3_600, 100, 20, True),
        (3_600, 1, 1, True),
        (3_600, 0, 0, False),
        (599, 100, 100, False),
        (600, 100, 100, True),
    ],
)
def test_sessions_that_come_back_after_a_deployment_ring_nothing(
    prod: Templates, age: int, wanted: int, down: int, rings: bool
) -> None:
    """The alarm's own expression, worked out: a share of those that should be connected, of a task ten minutes old."""
    alarm = _alarm(prod, "recado-prod-shard-001-sessions-down")
    assert _worked_out(alarm, age=age, wanted=wanted, down=down) is rings


@pytest.mark.parametrize(
    ("requests", "errors", "rings"),
    [(0, 0, False), (19, 19, False), (20, 1, True), (1_000, 9, False), (1_000, 10, True)],
)
def test_a_few_failures_at_night_are_no_error_rate(prod: Templates, requests: int, errors: int, rings: bool) -> None:
    """Below twenty requests in five minutes nothing rings; from there on one in a hundred does."""
    assert _worked_out(_alarm(prod, "recado-prod-api-errors"), requests=requests, errors=errors) is rings


def _worked_out(alarm: dict[str, Any], **values: int) -> bool:
    (expression,) = [metric["Expression"] for metric in alarm["Metrics"] if "Expression" in metric]
    assert {metric["Id"] for metric in alarm["Metrics"] if "Expression" not in metric} == values.keys()
    condition, then, otherwise = re.fullmatch(r"IF\((.*), (.*), (.*)\)", expression).groups()  # type: ignore[union-attr]
    python = f"({then}) if ({condition.replace('AND', 'and')}) else ({otherwise})"
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    return bool(eval(python, {}, values) >= alarm["Threshold"])  # noqa: S307 - our own template's expression


def test_one_dashboard_serves_every_clinic(crowded: Templates) -> None:
    """Its variable replaces the placeholder in every query, and each query is about one clinic and existing logs."""
    body = bodies(crowded)["recado-crowded-clinic"]
    (variable,) = body["variables"]
    assert (variable["type"], variable["inputType"], variable["pattern"]) == ("pattern", "input", NO_CLINIC)
    groups = {
        group["LogGroupName"]
        for group in crowded.properties("AWS::Logs::LogGroup")
        if isinstance(group["LogGroupName"], str)
    }
    assert len(body["widgets"]) >= 9
    for widget in body["widgets"]:
        query = widget["properties"]["query"]
        assert f'| filter clinic_id = "{NO_CLINIC}"' in query
        sources = re.findall(r"SOURCE '([^']+)'", query)
        assert sources
        assert len(sources) <= 50
        assert set(sources) <= groups


def test_there_are_two_dashboards_and_the_operators_covers_everything(prod: Templates) -> None:
    """All functions, all tables and all queues that feed functions are on it."""
    found = bodies(prod)
    assert set(found) == {"recado-prod-operations", "recado-prod-clinic"}
    text = json.dumps(found["recado-prod-operations"])
    for function in prod.properties("AWS::Lambda::Function"):
        if str(function["Handler"]).startswith("functions."):
            assert function["FunctionName"] in text
    for table in prod.properties("AWS::DynamoDB::Table"):
        assert f'"{table["TableName"]}"' in text
    for queue in ("ingest", "webhook-events", "webhook-deliveries", "analytics-events"):
        assert f'"recado-prod-{queue}-dead-letters"' in text


def test_where_no_metrics_are_made_nothing_looks_at_them(local: Templates) -> None:
    """The emulator makes no metrics of what processes write: every heartbeat would be missing."""
    assert _STACK.format("local") not in local.stacks


@pytest.mark.parametrize(
    ("alarms", "named"),
    [
        ({"api_error_percent": 0}, "alarms.api_error_percent"),
        ({"sessions_down_percent": 101}, "alarms.sessions_down_percent"),
        ({"heartbeat_minutes": 61}, "alarms.heartbeat_minutes"),
        ({"queue_age_seconds": "300"}, "alarms.queue_age_seconds"),
        ({"queue_age": 300}, "alarms"),
        ([], "alarms"),
    ],
)
def test_a_threshold_that_cannot_be_is_refused_by_its_name(alarms: Any, named: str) -> None:
    """Before anything is synthesised."""
    with pytest.raises(StageSettingError, match=named):
        Stage.from_context("dev", {"dev": {"shards": {"shared": 1}, "alarms": alarms}})


def test_a_stage_sets_only_the_thresholds_that_differ() -> None:
    """The others are the usual ones."""
    stage = Stage.from_context("dev", {"dev": {"shards": {"shared": 1}, "alarms": {"api_latency_ms": 9_000}}})
    assert stage.alarms == AlarmThresholds(api_latency_ms=9_000)
