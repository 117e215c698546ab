"""Placing channels on shards, and telling a shard something."""

from collections.abc import Iterable

from botocore.exceptions import BotoCoreError, ClientError

from recado.aws.clients import sqs
from recado.aws.failures import is_passing
from recado.aws.fencing import acting_for_platform
from recado.aws.settings import closed_shards, shard_queues
from recado.aws.transactions import Transaction
from recado.kernel.envelopes import Command
from recado.kernel.errors import NoShardAvailableError, ServiceUnavailableError
from recado.shards.model import MOST_CHANNELS, Shard, ShardFullError, by_load, open_to
from recado.shards.table import ShardRecord, shard_key


def declared() -> list[Shard]:
    """Return the declared shards with the number of channels placed on each, in the order of their ids."""
    return _counted(shard_queues())


def place(clinic_id: str) -> list[str]:
    """Return the shards that have room for another channel of a clinic, the one to try first in front.

    Args:
        clinic_id: whose channel it is; one with a shard of its own is placed there only, others never. A closed shard
            is as if it were not there.

    Raises:
        NoShardAvailableError: none has.
    """
    open_shards = [shard_id for shard_id in shard_queues() if shard_id not in closed_shards()]
    candidates = [shard.shard_id for shard in by_load(_counted(open_to(clinic_id, open_shards)))]
    if not candidates:
        raise NoShardAvailableError
    return candidates


def _counted(shard_ids: Iterable[str]) -> list[Shard]:
    ordered = sorted(shard_ids)
    with acting_for_platform():
        records = ShardRecord.many([shard_key(shard_id) for shard_id in ordered])
    stored = {record.pk: record.shard() for record in records}
    return [stored.get(shard_key(shard_id)[0], Shard(shard_id, 0)) for shard_id in ordered]


def hold(transaction: Transaction, shard_id: str) -> None:
    """Count one more channel on the shard, as part of the transaction that places it.

    The transaction raises ShardFullError if the shard has no room any more.
    """
    transaction.update(
        ShardRecord.keyed(shard_id),
        [ShardRecord.channels.add(1), ShardRecord.shard_id.set(shard_id)],
        ShardRecord.channels.does_not_exist() | (ShardRecord.channels < MOST_CHANNELS),
        otherwise=ShardFullError(shard_id),
    )


def release(transaction: Transaction, shard_id: str) -> None:
    """Count one channel less on the shard, as part of the transaction that takes it away."""
    # No condition: the table is in no backup, and a count lost with it must not make channels undeletable.
    transaction.update(ShardRecord.keyed(shard_id), [ShardRecord.channels.add(-1)])


def send_command(shard_id: str, command: Command) -> None:
    """Put a command into the shard's queue.

    Args:
        shard_id: a declared shard.
        command: what to do; commands may arrive twice, late and in any order.

    Raises:
        ServiceUnavailableError: the queue does not answer.
        KeyError: the shard is not declared.
    """
    try:
        sqs().send_message(QueueUrl=shard_queues()[shard_id], MessageBody=command.to_json())
    except (ClientError, BotoCoreError) as error:
        if is_passing(error):
            raise ServiceUnavailableError("The command queue does not answer.") from error
        raise
