"""All checks by name, and how one is made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from infra.verification import bills, edge, events, fencing, shards, storage
from infra.verification.account import Account, CheckFailedError, CheckSkippedError

Status = Literal["pass", "fail", "skipped"]
Check = Callable[[Account], str]

CHECKS: Mapping[str, Check] = {
    "tables_are_protected": storage.tables_are_protected,
    "tables_can_be_restored": storage.tables_can_be_restored,
    "backups_are_made": storage.backups_are_made,
    "simulated_fence": fencing.simulated_fence,
    "fence": fencing.fence,
    "refusals_are_problems": edge.refusals_are_problems,
    "texts_pass_the_firewall": edge.texts_pass_the_firewall,
    "floods_are_throttled": edge.floods_are_throttled,
    "encrypted_queues_are_fed": events.encrypted_queues_are_fed,
    "archive_replays": events.archive_replays,
    "alarms_are_heard": bills.alarms_are_heard,
    "cost_tags_are_active": bills.cost_tags_are_active,
    "leases_are_renewed": shards.leases_are_renewed,
    "lost_tasks_are_replaced": shards.lost_tasks_are_replaced,
}
"""In the order in which they are made: those that disturb least come first of each kind."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a check, with one line of evidence."""

    name: str
    status: Status
    evidence: str


def make(name: str, account: Account) -> Outcome:
    """Make a check. An AWS that does not answer, or refuses the caller, is a fail: nothing was shown."""
    try:
        return Outcome(name, "pass", CHECKS[name](account))
    except CheckSkippedError as reason:
        return Outcome(name, "skipped", str(reason))
    except CheckFailedError as reason:
        return Outcome(name, "fail", str(reason))
    except ClientError as error:
        told = error.response["Error"]
        # Messages of AWS name ARNs and callers; the operation and the code say enough.
        return Outcome(name, "fail", f"{error.operation_name} answered {told['Code']}")
    except (BotoCoreError, HTTPError) as error:
        return Outcome(name, "fail", f"AWS could not be asked: {type(error).__name__}")
