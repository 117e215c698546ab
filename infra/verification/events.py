"""Whether events arrive in encrypted queues, now and again from the archive."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from infra.verification.account import Account, CheckFailedError, CheckSkippedError

_SOURCE = "recado.verification"
_ARRIVAL_SECONDS = 60.0
_REPLAY_SECONDS = 900.0
_REPLAYED = timedelta(days=1)
# What has just come in is not in the archive yet (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-archive.html).
_ARCHIVING_DELAY = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Tap:
    """A queue of the check's own, fed by a rule of its own."""

    account: Account
    url: str
    rule_arn: str

    def arrived(self) -> int:
        """Take messages off and return how many there were."""
        received = self.account.client("sqs").receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=2
        )
        return len(received.get("Messages", ()))


def encrypted_queues_are_fed(account: Account) -> str:
    """EventBridge delivers into a queue that is encrypted with the stage's key, by that key's own policy."""
    bus = account.output("messaging", "EventBus")
    with _tapped(account, bus, {"source": [_SOURCE]}) as tap:
        put = account.client("events").put_events(
            Entries=[{"Source": _SOURCE, "DetailType": "ping", "Detail": "{}", "EventBusName": bus}]
        )
        if put["FailedEntryCount"]:
            raise CheckFailedError("the bus did not take an event")
        arrived, seconds = account.until(tap.arrived, _ARRIVAL_SECONDS)
    if not arrived:
        raise CheckFailedError(f"an event did not arrive within {_ARRIVAL_SECONDS:.0f} s")
    return f"an event arrived after {seconds:.1f} s"


def archive_replays(account: Account) -> str:
    """The last day's events can be replayed, to a queue of the check's own and to no consumer."""
    bus = account.output("messaging", "EventBus")
    events = account.client("events")
    archive = events.describe_archive(ArchiveName=f"recado-{account.stage.name}")
    if archive["State"] != "ENABLED":
        raise CheckFailedError(f"the archive is {archive['State']}")
    if archive["RetentionDays"] != account.stage.event_archive_days:
        raise CheckFailedError(f"the archive keeps {archive['RetentionDays']} days")
    if not archive.get("EventCount"):
        raise CheckSkippedError("nothing is archived yet; send a message and try again a quarter of an hour later")
    with _tapped(account, bus, {"source": ["recado"], "replay-name": [{"exists": True}]}) as tap:
        status = _replay(account, archive["ArchiveArn"], tap.rule_arn)
        arrived, _ = account.until(tap.arrived, _ARRIVAL_SECONDS)
    if status != "COMPLETED" or not arrived:
        raise CheckFailedError(f"the replay is {status}, {'some' if arrived else 'no'} events arrived")
    return f"a day's events were replayed, {archive['EventCount']} are archived"


def _replay(account: Account, archive: str, rule: str) -> str:
    events, name = account.client("events"), account.new_name()
    until = datetime.now(UTC) - _ARCHIVING_DELAY
    bus = f"arn:aws:events:{account.region}:{account.number}:event-bus/{account.output('messaging', 'EventBus')}"
    events.start_replay(
        ReplayName=name,
        EventSourceArn=archive,
        EventStartTime=until - _REPLAYED,
        EventEndTime=until,
        Destination={"Arn": bus, "FilterArns": [rule]},
    )

    def ended() -> str | None:
        state = str(events.describe_replay(ReplayName=name)["State"])
        return state if state in {"COMPLETED", "FAILED", "CANCELLED"} else None

    ended_as, _ = account.until(ended, _REPLAY_SECONDS, pause=10.0)
    return ended_as or "not over"


@contextlib.contextmanager
def _tapped(account: Account, bus: str, pattern: object) -> Iterator[Tap]:
    events, sqs, name = account.client("events"), account.client("sqs"), account.new_name()
    rule = events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))["RuleArn"]
    arn = f"arn:aws:sqs:{account.region}:{account.number}:{name}"
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
    }
    attributes = {
        "KmsMasterKeyId": account.output("data", "KeyId"),
        "Policy": json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    }
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    try:
        events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "tap", "Arn": arn}])
        yield Tap(account, url, rule)
    finally:
        sqs.delete_queue(QueueUrl=url)
        with contextlib.suppress(events.exceptions.ResourceNotFoundException):
            events.remove_targets(Rule=name, EventBusName=bus, Ids=["tap"])
        events.delete_rule(Name=name, EventBusName=bus)
