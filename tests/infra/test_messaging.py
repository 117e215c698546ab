"""Queues, rules and alarms: nothing is dropped without somebody hearing of it."""

import json
from typing import Any

from tests.infra.template import Templates
from tests.support.policies.templates import ResolvedTemplates

_DEAD = "-dead-letters"


def _queues(templates: Templates) -> dict[str, dict[str, Any]]:
    return {queue["QueueName"]: queue for queue in templates.properties("AWS::SQS::Queue")}


def test_every_queue_gives_up_into_a_dead_letter_queue_of_its_own(prod: Templates) -> None:
    """Each working queue has one, which keeps its messages for 14 days, the longest SQS can."""
    queues = _queues(prod)
    working = {name for name in queues if not name.endswith(_DEAD)}
    assert {name + _DEAD for name in working} <= set(queues)
    for name in working:
        assert queues[name]["RedrivePolicy"]["maxReceiveCount"] >= 5
        assert queues[name + _DEAD]["MessageRetentionPeriod"] == 14 * 24 * 3600


def test_every_queue_is_encrypted_with_our_key(prod: Templates) -> None:
    """Ingest messages hold patients' texts; the others hold at least ids."""
    for name, queue in _queues(prod).items():
        assert "KmsMasterKeyId" in queue, name


def test_every_queue_refuses_plain_http(prod: Templates) -> None:
    """Each queue has a policy that denies requests without TLS."""
    protected = json.dumps(
        [
            policy["Queues"]
            for policy in prod.properties("AWS::SQS::QueuePolicy")
            if "aws:SecureTransport" in json.dumps(policy["PolicyDocument"])
        ]
    )
    for logical_name, _ in prod.resources("AWS::SQS::Queue"):
        assert logical_name in protected


def test_a_message_stays_invisible_for_six_times_its_consumers_timeout(prod: Templates) -> None:
    """Lambda's rule for SQS sources, for every mapping there is."""
    resolved = ResolvedTemplates(prod.stacks)
    fed = {name: function.sources for name, function in resolved.functions().items() if function.sources}
    assert sorted(fed) == ["analytics", "recorder", "webhook_attempts", "webhooks"]
    for name, sources in fed.items():
        for source in sources:
            assert _queues(prod)[source.rpartition(":")[2]]["VisibilityTimeout"] >= 6 * prod.function(name)["Timeout"]


def test_an_alarm_rings_at_the_first_dead_letter_of_any_queue(prod: Templates) -> None:
    """One alarm per dead-letter queue, with somebody to tell."""
    alarms = {alarm["AlarmName"]: alarm for alarm in prod.properties("AWS::CloudWatch::Alarm")}
    for name in _queues(prod):
        if name.endswith(_DEAD):
            alarm = alarms[name]
            assert alarm["Threshold"] == 1
            assert alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
            assert alarm["AlarmActions"]


def test_shard_queues_outlive_their_declaration(prod: Templates) -> None:
    """A shard that is no longer declared may still have channels on the move: its queue stays."""
    shards = [
        resource
        for _, resource in prod.resources("AWS::SQS::Queue")
        if "-shard-" in resource["Properties"]["QueueName"]
    ]
    assert len(shards) == 4
    assert {resource["DeletionPolicy"] for resource in shards} == {"Retain"}
    assert {"Key": "recado:shard", "Value": "shard-001"} in shards[0]["Properties"]["Tags"]


def test_events_are_routed_to_one_queue_per_consumer(prod: Templates) -> None:
    """Webhooks take every event of ours, analytics those of messages; what cannot be routed is a dead letter."""
    routes = []
    for rule in prod.properties("AWS::Events::Rule"):
        if "EventPattern" in rule:
            assert rule["EventPattern"]["source"] == ["recado"]
            (target,) = rule["Targets"]
            assert "DeadLetterConfig" in target
            routes.append(rule["EventPattern"].get("detail-type"))
    assert sorted(routes, key=str) == [None, [{"prefix": "message."}]]


def test_events_are_archived_for_a_week(prod: Templates) -> None:
    """All of ours, so that they can be replayed to a consumer that was broken."""
    (archive,) = prod.properties("AWS::Events::Archive")
    assert archive["RetentionDays"] == 7
    assert archive["EventPattern"] == {"source": ["recado"]}


def test_the_bus_may_write_to_encrypted_queues(prod: Templates) -> None:
    """Without this right in the key's policy EventBridge drops events for encrypted queues silently."""
    (key,) = prod.properties("AWS::KMS::Key")
    helped = [
        statement
        for statement in key["KeyPolicy"]["Statement"]
        if "events.amazonaws.com" in json.dumps(statement["Principal"])
    ]
    assert {"kms:Decrypt", "kms:GenerateDataKey*"} <= set(helped[0]["Action"])
