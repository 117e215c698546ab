"""``make verify-aws``: each check passes on an account that is as it should be, and fails on one that is not."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.tables import TABLES
from infra.verification import __main__ as command
from infra.verification.checks import CHECKS, Outcome, make
from tests.infra.verification.stubs import NUMBER, REGION, StubbedSession, account

DENIED = "AccessDeniedException"


@pytest.fixture
def session() -> StubbedSession:
    """An account that answers nothing but who it is and what its stacks say."""
    return StubbedSession()


def table(**changes: Any) -> dict[str, Any]:
    plain = {"TableStatus": "ACTIVE", "SSEDescription": {"SSEType": "KMS"}, "DeletionProtectionEnabled": True}
    return {"Table": {**plain, **changes}}


def expiring(status: str = "ENABLED") -> dict[str, Any]:
    return {"TimeToLiveDescription": {"TimeToLiveStatus": status, "AttributeName": "expires_at"}}


def recovering(status: str) -> dict[str, Any]:
    recovery = {"PointInTimeRecoveryStatus": status}
    return {
        "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED",
            "PointInTimeRecoveryDescription": recovery,
        }
    }


def lease(counter: int, owner: str = "one") -> dict[str, Any]:
    return {"Item": {"counter": {"N": str(counter)}, "owner": {"S": owner}}}


def decided(decision: str, scan: str = "explicitDeny") -> dict[str, Any]:
    actions = ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query")
    decisions = {f"dynamodb:{action}": decision for action in actions}
    decisions |= {"dynamodb:Scan": scan, "dynamodb:PartiQLSelect": "explicitDeny"}
    return {"EvaluationResults": [{"EvalActionName": name, "EvalDecision": one} for name, one in decisions.items()]}


@pytest.mark.parametrize(
    ("change", "status", "evidence"),
    [
        ({}, "pass", "6 tables"),
        ({"TableStatus": "UPDATING"}, "fail", "recado-dev-core is UPDATING"),
        ({"DeletionProtectionEnabled": False}, "fail", "deletion protection is not True"),
        ({"SSEDescription": {}}, "fail", "not encrypted"),
    ],
)
def test_tables_have_to_be_protected(session: StubbedSession, change: Any, status: str, evidence: str) -> None:
    """One table that is not as declared is enough to fail."""
    for place, _ in enumerate(TABLES):
        session.answers("dynamodb", "describe_table", table(**(change if place == 0 else {})))
        session.answers("dynamodb", "describe_time_to_live", expiring())
    outcome = make("tables_are_protected", account(session))
    assert (outcome.status, evidence in outcome.evidence) == (status, True), outcome


def test_a_table_that_does_not_expire_its_items_fails(session: StubbedSession) -> None:
    """Patients' data would stay for ever."""
    for _ in TABLES:
        session.answers("dynamodb", "describe_table", table())
        session.answers("dynamodb", "describe_time_to_live", expiring("DISABLED"))
    assert make("tables_are_protected", account(session)).status == "fail"


@pytest.mark.parametrize("wrong", [None, *range(len(TABLES))])
def test_recovery_has_to_be_on_where_it_should_and_off_where_it_must(
    session: StubbedSession, wrong: int | None
) -> None:
    """Also a table that could be restored although it must not be is a fail."""
    for place, keys in enumerate(TABLES):
        on = keys.restorable != (place == wrong)
        session.answers("dynamodb", "describe_continuous_backups", recovering("ENABLED" if on else "DISABLED"))
    outcome = make("tables_can_be_restored", account(session))
    assert outcome.status == ("pass" if wrong is None else "fail"), outcome


@pytest.mark.parametrize(
    ("versions", "head", "status", "evidence"),
    [
        ("Enabled", timedelta(minutes=20), "pass", "20 minutes ago"),
        ("Enabled", timedelta(hours=5), "fail", "5.0 hours ago"),
        ("Enabled", None, "fail", "no backup has ever run"),
        ("Suspended", timedelta(minutes=20), "fail", "keeps no versions"),
    ],
)
def test_backups_have_to_run(
    session: StubbedSession, versions: str, head: timedelta | None, status: str, evidence: str
) -> None:
    """Lately, and into a bucket that keeps versions."""
    session.answers("s3", "get_bucket_versioning", {"Status": versions})
    session.answers("s3", "head_object", "404" if head is None else {"LastModified": datetime.now(UTC) - head})
    outcome = make("backups_are_made", account(session))
    assert (outcome.status, evidence in outcome.evidence) == (status, True), outcome


@pytest.mark.parametrize(
    ("own", "foreign", "status", "evidence"),
    [
        (decided("allowed"), decided("implicitDeny"), "pass", "7 actions"),
        (decided("allowed"), decided("allowed"), "fail", "dynamodb:PutItem"),
        (decided("allowed", scan="allowed"), decided("implicitDeny"), "fail", "dynamodb:Scan"),
        (decided("implicitDeny"), decided("implicitDeny"), "fail", "refused on the clinic's own items"),
    ],
)
def test_iams_simulator_has_to_tell_clinics_apart(
    session: StubbedSession, own: Any, foreign: Any, status: str, evidence: str
) -> None:
    """Nothing foreign may be allowed, and a role that may do nothing at all shows nothing."""
    session.answers("iam", "simulate_principal_policy", own, foreign)
    outcome = make("simulated_fence", account(session))
    assert (outcome.status, evidence in outcome.evidence) == (status, True), outcome


def _role_that_is_taken_on(session: StubbedSession) -> None:
    role = {
        "Path": "/",
        "RoleName": "recado-dev-clinic-access",
        "RoleId": "AROAEXAMPLEEXAMPLE1",
        "Arn": f"arn:aws:iam::{NUMBER}:role/recado-dev-clinic-access",
        "CreateDate": datetime.now(UTC),
        "AssumeRolePolicyDocument": json.dumps({"Version": "2012-10-17", "Statement": []}),
    }
    session.answers("iam", "get_role", {"Role": role})
    caller = {"Account": NUMBER, "Arn": f"arn:aws:iam::{NUMBER}:user/ops", "UserId": "x"}
    session.answers("sts", "get_caller_identity", caller)
    session.answers("iam", "update_assume_role_policy", {}, {})
    credentials = {
        "AccessKeyId": "ASIAEXAMPLEEXAMPLE",
        "SecretAccessKey": "secret",
        "SessionToken": "token",
        "Expiration": datetime.now(UTC),
    }
    session.answers("sts", "assume_role", "AccessDenied", {"Credentials": credentials})


@pytest.mark.parametrize("hole", [None, "GetItem", "PutItem", "Query", "Scan", "PartiQL", "GetObject", "ListObjects"])
def test_the_fence_has_to_hold_against_every_way_in(session: StubbedSession, hole: str | None) -> None:
    """Each single hole fails the check, and the trust policy is put back in any case."""
    _role_that_is_taken_on(session)
    through: dict[str, Any] = {"PutItem": "ConditionalCheckFailedException", "GetObject": "NoSuchKey"}
    ways = {
        "GetItem": ("dynamodb", "get_item"),
        "PutItem": ("dynamodb", "put_item"),
        "Query": ("dynamodb", "query"),
        "Scan": ("dynamodb", "scan"),
        "PartiQL": ("dynamodb", "execute_statement"),
        "GetObject": ("s3", "get_object"),
        "ListObjects": ("s3", "list_objects_v2"),
    }
    for name, (service, operation) in ways.items():
        denied = DENIED if service == "dynamodb" else "AccessDenied"
        session.answers(f"clinic's {service}", operation, through.get(name, {}) if name == hole else denied)
    session.answers("clinic's dynamodb", "get_item", {})
    outcome = make("fence", account(session, disturb=True))
    session.all_was_asked("iam")
    assert outcome.status == ("fail" if hole else "pass"), outcome
    assert (hole or "7 ways") in outcome.evidence


def test_a_fence_that_keeps_the_clinic_itself_out_shows_nothing(session: StubbedSession) -> None:
    """Everything denied is not a proof of isolation."""
    _role_that_is_taken_on(session)
    for operation in ("get_item", "put_item", "query", "scan", "execute_statement", "get_item"):
        session.answers("clinic's dynamodb", operation, DENIED)
    for operation in ("get_object", "list_objects_v2"):
        session.answers("clinic's s3", operation, "AccessDenied")
    assert make("fence", account(session, disturb=True)).status == "fail"


def _a_tap(session: StubbedSession) -> None:
    session.answers("events", "put_rule", {"RuleArn": f"arn:aws:events:{REGION}:{NUMBER}:rule/recado-dev/x"})
    session.answers("sqs", "create_queue", {"QueueUrl": "https://sqs.example/x"})
    session.answers("events", "put_targets", {"FailedEntryCount": 0, "FailedEntries": []})


def _a_tap_that_goes(session: StubbedSession) -> None:
    session.answers("sqs", "delete_queue", {})
    session.answers("events", "remove_targets", {"FailedEntryCount": 0, "FailedEntries": []})
    session.answers("events", "delete_rule", {})


ARRIVED = {"Messages": [{"MessageId": "1", "Body": "{}"}]}


@pytest.mark.parametrize("arrives", [True, False])
def test_an_event_has_to_arrive_in_an_encrypted_queue(session: StubbedSession, arrives: bool) -> None:
    """What was made for the check is removed in any case."""
    _a_tap(session)
    session.answers("events", "put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]})
    session.answers("sqs", "receive_message", {}, *([ARRIVED] if arrives else [{}] * 30))
    _a_tap_that_goes(session)
    outcome = make("encrypted_queues_are_fed", account(session))
    assert outcome.status == ("pass" if arrives else "fail"), outcome
    session.all_was_asked("events")


def _archive(**changes: Any) -> dict[str, Any]:
    arn = f"arn:aws:events:{REGION}:{NUMBER}:archive/recado-dev"
    return {"ArchiveArn": arn, "State": "ENABLED", "RetentionDays": 7, "EventCount": 12, **changes}


@pytest.mark.parametrize(
    ("ended", "arrives", "status"),
    [("COMPLETED", True, "pass"), ("FAILED", True, "fail"), ("COMPLETED", False, "fail"), ("RUNNING", True, "fail")],
)
def test_the_archive_has_to_replay(session: StubbedSession, ended: str, arrives: bool, status: str) -> None:
    """To a queue of the check's own; the replay has to come to its end and to bring something."""
    session.answers("events", "describe_archive", _archive())
    _a_tap(session)
    session.answers("events", "start_replay", {"ReplayArn": "arn", "State": "STARTING"})
    session.answers("events", "describe_replay", *([{"State": ended}] * (91 if ended == "RUNNING" else 1)))
    session.answers("sqs", "receive_message", *([ARRIVED] if arrives else [{}] * 31))
    _a_tap_that_goes(session)
    outcome = make("archive_replays", account(session))
    assert outcome.status == status, outcome


@pytest.mark.parametrize(
    ("archive", "status"),
    [(_archive(State="DISABLED"), "fail"), (_archive(RetentionDays=1), "fail"), (_archive(EventCount=0), "skipped")],
)
def test_the_archive_has_to_be_as_declared(session: StubbedSession, archive: Any, status: str) -> None:
    """An archive in which nothing is yet can show nothing."""
    session.answers("events", "describe_archive", archive)
    assert make("archive_replays", account(session)).status == status


CONFIRMED = {"SubscriptionArn": f"arn:aws:sns:{REGION}:{NUMBER}:recado-dev-alarms:1", "Protocol": "email"}
PENDING = {"SubscriptionArn": "PendingConfirmation", "Protocol": "email"}
ARMED = {"AlarmName": "recado-dev-x", "ActionsEnabled": True, "StateValue": "OK"}
SILENT = {**ARMED, "ActionsEnabled": False}


@pytest.mark.parametrize(
    ("subscriptions", "alarms", "status"),
    [
        ([CONFIRMED], [ARMED], "pass"),
        ([PENDING], [ARMED], "fail"),
        ([], [ARMED], "fail"),
        ([CONFIRMED], [], "fail"),
        ([CONFIRMED], [ARMED, SILENT], "fail"),
    ],
)
def test_somebody_has_to_hear_of_alarms(session: StubbedSession, subscriptions: Any, alarms: Any, status: str) -> None:
    """Confirmed, and none of the alarms silenced."""
    session.answers("sns", "list_subscriptions_by_topic", {"Subscriptions": subscriptions})
    session.answers("cloudwatch", "describe_alarms", {"MetricAlarms": alarms})
    outcome = make("alarms_are_heard", account(session, alarm_email="ops@clinic.example"))
    assert outcome.status == status, outcome
    assert "@" not in outcome.evidence


def test_a_stage_without_an_address_for_alarms_skips_that_check(session: StubbedSession) -> None:
    """It says why."""
    assert make("alarms_are_heard", account(session)).status == "skipped"


@pytest.mark.parametrize("inactive", [None, "recado:shard"])
def test_cost_tags_have_to_count(session: StubbedSession, inactive: str | None) -> None:
    """The clinic's tag is asked for only where a shard carries it."""
    tags = [
        {"TagKey": tag, "Type": "UserDefined", "Status": "Inactive" if tag == inactive else "Active"}
        for tag in ("recado:stage", "recado:component", "recado:shard")
    ]
    session.answers("ce", "list_cost_allocation_tags", {"CostAllocationTags": tags})
    outcome = make("cost_tags_are_active", account(session))
    assert outcome.status == ("fail" if inactive else "pass"), outcome
    assert (inactive or "recado:stage") in outcome.evidence


@pytest.mark.parametrize(("later", "status"), [(8, "pass"), (7, "fail")])
def test_shards_have_to_renew_their_leases(session: StubbedSession, later: int, status: str) -> None:
    """A counter that stands still is a shard without a runner."""
    session.answers("dynamodb", "get_item", lease(7), lease(7), *([lease(later)] * 20))
    assert make("leases_are_renewed", account(session)).status == status


@pytest.mark.parametrize(
    ("tasks", "owner", "status"), [(1, "another", "pass"), (1, "one", "fail"), (0, "one", "fail"), (2, "one", "fail")]
)
def test_a_lost_task_has_to_be_replaced(session: StubbedSession, tasks: int, owner: str, status: str) -> None:
    """By a task that takes the lease; where not exactly one runs, nothing is stopped."""
    arns = [f"arn:aws:ecs:{REGION}:{NUMBER}:task/recado-dev/{place}" for place in range(tasks)]
    session.answers("ecs", "list_tasks", {"taskArns": arns})
    session.answers("ecs", "stop_task", {})
    session.answers("dynamodb", "get_item", lease(7), lease(7), *([lease(1, owner)] * 320))
    assert make("lost_tasks_are_replaced", account(session, disturb=True)).status == status


@pytest.mark.parametrize("name", ["fence", "floods_are_throttled", "lost_tasks_are_replaced"])
def test_nothing_is_disturbed_unless_that_is_asked_for(session: StubbedSession, name: str) -> None:
    """The check is skipped and says what it would do."""
    outcome = make(name, account(session))
    assert outcome.status == "skipped"
    assert "DISTURB=1" in outcome.evidence


def test_an_output_that_is_missing_fails_with_what_to_do() -> None:
    """As where a stage was deployed from an older version."""
    outcome = make("backups_are_made", account(StubbedSession(outputs={})))
    assert outcome == Outcome(
        "backups_are_made", "fail", "the stack recado-dev-data has no output BackupBucket: deploy it anew"
    )


def test_a_refusal_of_aws_is_told_without_what_it_says_of_the_caller(session: StubbedSession) -> None:
    """The operation and the code are enough."""
    session.answers("dynamodb", "describe_table", DENIED)
    outcome = make("tables_are_protected", account(session))
    assert outcome == Outcome("tables_are_protected", "fail", f"DescribeTable answered {DENIED}")


def test_the_command_ends_with_one_object_and_says_whether_all_is_well(
    capsys: pytest.CaptureFixture[str], session: StubbedSession
) -> None:
    """A skipped check is no failure; a failed one is."""
    assert command.verify(account(session), ["alarms_are_heard"])
    assert not command.verify(account(StubbedSession(outputs={})), ["backups_are_made", "fence"])
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last == {
        "stage": "dev",
        "pass": 0,
        "fail": 1,
        "skipped": 1,
        "checks": {"backups_are_made": "fail", "fence": "skipped"},
    }


def test_every_check_is_tested_here_or_beside() -> None:
    """A new check without a test shows."""
    beside = {"refusals_are_problems", "texts_pass_the_firewall", "floods_are_throttled"}
    source = Path(__file__).read_text(encoding="utf-8")
    tested = {name for name in CHECKS if f'make("{name}"' in source}
    assert tested | beside == set(CHECKS)
