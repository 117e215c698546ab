"""The health checks that look at the platform's parts: store, queues and the runners' leases."""

import threading
from typing import Final

from functions.api.health import Details, UnhealthyError
from recado.aws import clients, settings
from recado.clinics import service as clinics
from recado.kernel.clock import Clock, SystemClock
from recado.kernel.errors import ClinicNotFoundError
from recado.kernel.ids import Prefix, new_id
from recado.shards import lease_rules
from recado.shards import service as shards
from recado.shards.lease_table import LeaseTable

_CLOCK = SystemClock()
_DEPTH: Final = "ApproximateNumberOfMessages"


def check_database() -> Details:
    """Read one item by key; that there is none of this id is the expected answer."""
    try:
        clinics.get_clinic(new_id(Prefix.CLINIC))
    except ClinicNotFoundError:
        return {"table": "core"}
    raise UnhealthyError({"error": "unexpected_item"})


def check_queue() -> Details:
    """Ask each shard's command queue how many commands wait in it."""
    depths = {}
    for shard_id, url in settings.shard_queues().items():
        answer = clients.sqs().get_queue_attributes(QueueUrl=url, AttributeNames=[_DEPTH])
        depths[shard_id] = int(answer["Attributes"][_DEPTH])
    return {"waiting_commands": depths}


class SessionsCheck:
    """Whether every shard that holds channels has a runner: its lease is held, and its counter goes on moving.

    A lease carries no time of day, since machines' clocks differ. So the check remembers, for as long as this process
    lives, when it last saw each counter move, and judges as a runner that wants to take over would: 30 seconds
    without a move. The first look at a held lease therefore always passes.
    """

    def __init__(self, clock: Clock = _CLOCK) -> None:
        self._clock = clock
        self._watches: dict[str, lease_rules.Watch | None] = {}
        self._guard = threading.Lock()

    def __call__(self) -> Details:
        """Look at the leases.

        Raises:
            UnhealthyError: a shard with channels has no runner.
        """
        details: Details = {}
        orphaned = False
        for shard in shards.declared():
            epoch, alive = self._look(shard.shard_id)
            details[shard.shard_id] = {"channels": shard.channels, "epoch": epoch, "runner_alive": alive}
            orphaned = orphaned or (shard.channels > 0 and not alive)
        if orphaned:
            raise UnhealthyError({"shards": details})
        return {"shards": details}

    def _look(self, shard_id: str) -> tuple[int | None, bool]:
        lease = LeaseTable().read(shard_id)
        now = self._clock.monotonic()
        with self._guard:
            seen = lease_rules.watch(self._watches.get(shard_id), lease, now) if lease else None
            self._watches[shard_id] = seen
        return (lease.epoch if lease else None), not lease_rules.may_take(seen, now)


check_sessions = SessionsCheck()
