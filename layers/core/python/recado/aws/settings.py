"""What a process is told by its environment: one small class per resource, composed by each function and the runner.

Every setting is the environment variable ``RECADO_<NAME>``; the region is AWS's own ``AWS_REGION``. The cached
functions below read only the part they name, so that a process need not be told of resources it never touches.
"""

from functools import lru_cache
from typing import Self

from pydantic import AliasChoices, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_LISTED = r"(\d{3}(-\d{3})?|[0-7][0-9a-hjkmnp-tv-z]{25})"
_SHARDS = rf"^{_LISTED}(,{_LISTED})*$"
_QUEUE_URL = r"^[^{}]*\{shard_id\}[^{}]*$"


class _Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="RECADO_", extra="ignore", frozen=True)


class StageSettings(_Settings):
    """Which installation this is, such as ``local`` or ``production``; part of every API key."""

    stage: str = Field(
        default="local",
        pattern=r"^[a-z][a-z0-9-]{0,20}$",
        description="The installation's name; a part of every API key, so that one's keys open no other.",
    )


class RegionSettings(BaseSettings):
    """The AWS region; named explicitly because botocore itself reads only ``AWS_DEFAULT_REGION``."""

    region: str | None = Field(
        default=None,
        validation_alias=AliasChoices("AWS_REGION", "AWS_DEFAULT_REGION"),
        description="The region of all that is called; set by Lambda and ECS themselves.",
    )


class TableSettings(_Settings):
    """The names of the six DynamoDB tables."""

    core_table: str = Field(description="The table of clinics, keys of the API, channels and webhook endpoints.")
    messages_table: str = Field(description="The table of messages, outboxes, contacts and deliveries.")
    analytics_table: str = Field(description="The table of counts.")
    audit_table: str = Field(description="The table of who read personal data.")
    runtime_table: str = Field(
        description="The table of what must not come back from the past: shards, leases, sequences, idempotency."
    )
    keys_table: str = Field(description="The table of the clinics' wrapped data keys.")

    def name_of(self, table: str) -> str:
        """Return the deployed name of a table of ``recado.aws.schema``, such as ``core``."""
        name: str = getattr(self, f"{table}_table")
        return name


class ShardSettings(_Settings):
    """The declared shards and their command queues."""

    shards: str = Field(
        pattern=_SHARDS,
        description="The shards' ids without the `shard-` in front, runs of numbers in short, as in "
        "`001-038,040,01k0000000000000000000000a`.",
    )
    shard_queue_url: str = Field(
        pattern=_QUEUE_URL,
        description="The address of each shard's command queue, with `{shard_id}` where the id belongs.",
    )
    closed_shards: str = Field(
        default="",
        pattern=rf"^$|{_SHARDS}",
        description="Those of the shards that get no new channels, as in `shards`.",
    )

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        if "" in self.shard_ids or len(set(self.shard_ids)) < len(self.shard_ids):
            raise ValueError("shards names a shard twice, or a run of none")
        return self

    @property
    def shard_ids(self) -> tuple[str, ...]:
        """The ids of the declared shards, in the order in which they are listed."""
        return _unlisted(self.shards)

    @property
    def closed_shard_ids(self) -> frozenset[str]:
        """The ids of the shards that get no new channels."""
        return frozenset(_unlisted(self.closed_shards) if self.closed_shards else ())

    def queue_url_of(self, shard_id: str) -> str:
        """Return the address of a shard's command queue."""
        return self.shard_queue_url.replace("{shard_id}", shard_id)


def _unlisted(text: str) -> tuple[str, ...]:
    found: list[str] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if last:
            found += [f"shard-{number:03d}" for number in range(int(first), int(last) + 1)] or [""]
        else:
            found.append(f"shard-{part}")
    return tuple(found)


class EventBusSettings(_Settings):
    """The EventBridge bus that facts leave on."""

    event_bus: str = Field(description="The name of the bus.")


class IngestSettings(_Settings):
    """The queue on which runners hand over what they saw."""

    ingest_queue_url: str = Field(description="The queue's address.")


class DeliverySettings(_Settings):
    """The queue of webhook deliveries that are due."""

    deliveries_queue_url: str = Field(description="The queue's address.")


class WebhookSettings(_Settings):
    """How webhooks are tried."""

    webhook_retry_gaps: tuple[float, ...] = Field(
        default=(0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400),
        description="Seconds before each try of a delivery.",
    )
    webhook_allowed_networks: tuple[str, ...] = Field(
        default=(), description="Networks (CIDRs) that webhooks may reach although they are not public."
    )
    webhook_attempts_at_once: int = Field(
        default=4,
        ge=1,
        description="How many tries of one endpoint run at the same time; below the number of consumers, or one slow "
        "endpoint takes them all.",
    )


class VaultSettings(_Settings):
    """The bucket of session credentials."""

    vault_bucket: str = Field(description="The name of the bucket.")


class BackupSettings(_Settings):
    """The bucket of backups."""

    backup_bucket: str = Field(description="The name of the bucket.")


class SealingSettings(_Settings):
    """The KMS key under which secrets are sealed."""

    kms_key_id: str = Field(description="The key's id, ARN or alias.")


class ClinicRoleSettings(_Settings):
    """The role whose session tag fences requests to their clinic; empty for processes that act for many clinics."""

    clinic_role_arn: str = Field(default="", description="The role's ARN; without it, requests are not fenced by IAM.")


@lru_cache(maxsize=1)
def table_names() -> TableSettings:
    """Return the table names, read from the environment on first use."""
    return TableSettings()


@lru_cache(maxsize=1)
def shard_queues() -> dict[str, str]:
    """Return the declared shards and their queues' addresses, read from the environment on first use."""
    declared = ShardSettings()
    return {shard_id: declared.queue_url_of(shard_id) for shard_id in declared.shard_ids}


@lru_cache(maxsize=1)
def closed_shards() -> frozenset[str]:
    """Return the declared shards that get no new channels."""
    return ShardSettings().closed_shard_ids


@lru_cache(maxsize=1)
def stage() -> str:
    """Return the name of this installation."""
    return StageSettings().stage


@lru_cache(maxsize=1)
def sealing_key() -> str:
    """Return the id of the KMS key under which secrets are sealed."""
    return SealingSettings().kms_key_id


@lru_cache(maxsize=1)
def clinic_role() -> str:
    """Return the ARN of the role that is assumed for a clinic, empty if this process has none."""
    return ClinicRoleSettings().clinic_role_arn


@lru_cache(maxsize=1)
def region() -> str | None:
    """Return the AWS region, or None to leave it to botocore's own search."""
    return RegionSettings().region
