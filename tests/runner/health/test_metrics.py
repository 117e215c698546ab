"""Metrics: lines CloudWatch understands, dimensions that cost little, and what counts as what."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from session_runner.health.metrics import VALUES_PER_LINE, Metrics
from session_runner.journal.journal import JournalRow
from session_runner.journal.traffic import count_published, traffic_of

NOW = datetime(2026, 11, 22, 13, tzinfo=UTC)
CLINIC, CHANNEL = "cli_01aurora", "chn_01recepcao"


def collected() -> tuple[Metrics, list[str]]:
    lines: list[str] = []
    return Metrics("test", "shard-001", lines.append), lines


def row(kind: str, **data: Any) -> JournalRow:
    return JournalRow(1, "evt", CLINIC, CHANNEL, kind, NOW, NOW, data, 1)


def test_counts_are_summed_and_written_once() -> None:
    metrics, lines = collected()
    metrics.count("Errors", event_type="host_lost")
    metrics.count("Errors", 2, event_type="host_lost")
    metrics.flush()
    metrics.flush()
    assert len(lines) == 1
    written = json.loads(lines[0])
    assert written["Errors"] == [3.0]
    directive = written["_aws"]["CloudWatchMetrics"][0]
    assert directive["Namespace"] == "Recado"
    assert directive["Dimensions"] == [["stage", "component", "shard", "event_type"]]
    assert directive["Metrics"] == [{"Name": "Errors", "Unit": "Count"}]
    assert [written[name] for name in directive["Dimensions"][0]] == ["test", "runner", "shard-001", "host_lost"]


def test_of_a_gauge_the_last_word_counts_and_of_a_distribution_every_value() -> None:
    metrics, lines = collected()
    for value in (5, 7):
        metrics.gauge("JournalPending", value)
        metrics.observe("RecoverySeconds", value / 10)
    metrics.flush()
    written = json.loads(lines[0])
    assert written["JournalPending"] == [7.0]
    assert written["RecoverySeconds"] == [0.5, 0.7]
    units = {each["Name"]: each["Unit"] for each in written["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert units == {"JournalPending": "Count", "RecoverySeconds": MetricUnit.Seconds.value}


def test_more_values_than_a_line_takes_are_spread_over_lines() -> None:
    metrics, lines = collected()
    for value in range(VALUES_PER_LINE * 2 + 1):
        metrics.observe("PublishSeconds", value)
    metrics.count("Errors")
    metrics.flush()
    found = [value for line in lines for value in json.loads(line).get("PublishSeconds", [])]
    assert found == [float(value) for value in range(VALUES_PER_LINE * 2 + 1)]
    assert all(len(json.loads(line)["PublishSeconds"]) <= 100 for line in lines)
    assert sum("Errors" in json.loads(line) for line in lines) == 1


def test_nothing_in_a_line_names_clinic_channel_or_text() -> None:
    metrics, lines = collected()
    facts = [
        row("message.received", type="text", text={"body": "segredo"}),
        row("message.result", status="sent"),
        row("channel.state", state="connected"),
    ]
    count_published(metrics, facts, NOW + timedelta(seconds=2))
    metrics.flush()
    everything = "".join(lines)
    assert not any(word in everything for word in (CLINIC, CHANNEL, "segredo"))
    assert '"PublishSeconds":[2.0]' in everything


def test_messages_are_counted_by_direction_and_type() -> None:
    assert [*traffic_of(row("message.received", type="text"))] == [("Messages", "inbound.text")]
    assert [*traffic_of(row("message.received", type="unsupported"))] == [("Messages", "inbound.unsupported")]
    assert [*traffic_of(row("message.phone_sent", type="text"))] == [("Messages", "outbound_by_phone.text")]
    assert [*traffic_of(row("message.undecryptable"))] == [("Messages", "inbound.undecryptable")]
    sent = [("Messages", "outbound.text"), ("MessageResults", "message.sent")]
    assert [*traffic_of(row("message.result", status="sent"))] == sent
    assert [*traffic_of(row("message.result", status="failed"))] == [("MessageResults", "message.failed")]
    assert [*traffic_of(row("message.receipt", receipt="read"))] == [("Receipts", "message.read")]
    assert [*traffic_of(row("channel.state", state="connected"))] == []
