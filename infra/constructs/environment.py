"""The environment variables that settings read: one place for their names on this side."""

from collections.abc import Sequence

from infra.config import Stage
from infra.shard_names import command_queue_url, listed
from infra.stacks.data import DataStack
from infra.stacks.messaging import MessagingStack


class Environment:
    """Writes the variables for a function or a runner, each group only where it is used."""

    def __init__(self, stage: Stage, data: DataStack, messaging: MessagingStack) -> None:
        self._stage = stage
        self._data = data
        self._messaging = messaging

    def tables(self) -> dict[str, str]:
        """The names of all tables."""
        return {f"RECADO_{name.upper()}_TABLE": table.table_name for name, table in self._data.tables.items()}

    def bus(self) -> dict[str, str]:
        """The event bus."""
        return {"RECADO_EVENT_BUS": self._messaging.bus.event_bus_name}

    def ingest(self) -> dict[str, str]:
        """The queue on which runners hand over what they saw."""
        return {"RECADO_INGEST_QUEUE_URL": self._messaging.ingest.queue.queue_url}

    def shards(self) -> dict[str, str]:
        """The declared shards and their command queues."""
        closed = self._stage.closed_shards
        return {
            "RECADO_SHARDS": listed(self._stage.shard_ids),
            **({"RECADO_CLOSED_SHARDS": listed(sorted(closed))} if closed else {}),
            **self._command_queues(),
        }

    def key(self) -> dict[str, str]:
        """The key that seals secrets."""
        return {"RECADO_KMS_KEY_ID": self._data.key.key_id}

    def deliveries(self) -> dict[str, str]:
        """The queue of deliveries that are due."""
        return {"RECADO_DELIVERIES_QUEUE_URL": self._messaging.deliveries.queue.queue_url}

    def webhooks(self) -> dict[str, str]:
        """The rules of trying."""
        return {
            "RECADO_WEBHOOK_RETRY_GAPS": _json_list(self._stage.webhook_retry_gaps),
            "RECADO_WEBHOOK_ALLOWED_NETWORKS": _json_list(self._stage.webhook_allowed_networks),
            # Some consumers always stay free of any one endpoint, however slowly it answers.
            "RECADO_WEBHOOK_ATTEMPTS_AT_ONCE": str(max(1, self._stage.function_concurrency * 2 // 3)),
        }

    def proxies(self) -> dict[str, str]:
        """Where channels' proxies may be; nothing where they have to be public, which is the default."""
        networks = self._stage.proxy_allowed_networks
        return {"RECADO_PROXY_ALLOWED_NETWORKS": _json_list(networks)} if networks else {}

    def buckets(self) -> dict[str, str]:
        """The vault and the backups."""
        return {
            "RECADO_VAULT_BUCKET": self._data.vault.bucket_name,
            "RECADO_BACKUP_BUCKET": self._data.backups.bucket_name,
        }

    def runner(self, shard_id: str) -> dict[str, str]:
        """What the runner of one shard is told; nothing of other shards, so that a new one stops no other.

        Args:
            shard_id: a declared shard.
        """
        return {
            "RECADO_STAGE": self._stage.name,
            **self.tables(),
            "RECADO_SHARD_ID": shard_id,
            **self._command_queues(),
            **self.ingest(),
            "RECADO_VAULT_BUCKET": self._data.vault.bucket_name,
            **self.key(),
            **self.proxies(),
        }

    def _command_queues(self) -> dict[str, str]:
        return {"RECADO_SHARD_QUEUE_URL": command_queue_url(self._stage.name)}


def _json_list(values: Sequence[object]) -> str:
    return "[" + ",".join(f'"{value}"' if isinstance(value, str) else str(value) for value in values) + "]"
