"""Whether shards are alive, and how long one is without a runner when its task is lost."""

from typing import Any

from infra.verification.account import Account, CheckFailedError

_HEARTBEAT_SECONDS = 30.0
_REPLACEMENT_SECONDS = 600.0
_SHARD = "shard-001"


def leases_are_renewed(account: Account) -> str:
    """Every shard's runner renews its lease: the counter moves within half a minute."""
    shards = account.stage.shard_ids
    before = {shard_id: _lease(account, shard_id).get("counter") for shard_id in shards}

    def all_moved() -> bool:
        return all(_lease(account, shard_id).get("counter") not in {None, before[shard_id]} for shard_id in shards)

    moved, seconds = account.until(all_moved, _HEARTBEAT_SECONDS)
    if not moved:
        still = [one for one in shards if _lease(account, one).get("counter") in {None, before[one]}]
        raise CheckFailedError(f"no heartbeat within {_HEARTBEAT_SECONDS:.0f} s of: {', '.join(still)}")
    return f"{len(shards)} shards renewed their leases within {seconds:.0f} s"


def lost_tasks_are_replaced(account: Account) -> str:
    """A shard's task is stopped: how long until another one holds the lease."""
    account.require_leave_to_disturb(f"it takes {_SHARD} off the air for minutes")
    ecs, cluster = account.client("ecs"), account.output("sessions", "ClusterName")
    tasks = ecs.list_tasks(cluster=cluster, serviceName=account.name(_SHARD), desiredStatus="RUNNING")["taskArns"]
    if len(tasks) != 1:
        raise CheckFailedError(f"{_SHARD} has {len(tasks)} running tasks instead of one")
    before = _lease(account, _SHARD).get("owner")
    ecs.stop_task(cluster=cluster, task=tasks[0], reason="make verify-aws")
    taken, seconds = account.until(
        lambda: _lease(account, _SHARD).get("owner") not in {None, before}, _REPLACEMENT_SECONDS
    )
    if not taken:
        raise CheckFailedError(f"no other task took {_SHARD} over within {_REPLACEMENT_SECONDS:.0f} s")
    return f"another task held the lease of {_SHARD} after {seconds:.0f} s"


def _lease(account: Account, shard_id: str) -> dict[str, str]:
    found: dict[str, Any] = account.client("dynamodb").get_item(
        TableName=account.name("runtime"),
        Key={"pk": {"S": f"shard#{shard_id}"}, "sk": {"S": "lease"}},
        ConsistentRead=True,
    )
    return {name: str(next(iter(value.values()))) for name, value in found.get("Item", {}).items()}
