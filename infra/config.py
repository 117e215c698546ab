"""The stages that can be deployed, read from ``cdk.json`` and checked before anything is synthesised."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_network
from typing import Any, Literal, Self, cast

# The schedule of the design, 10.: a little over three days, as Standard Webhooks recommends.
_RETRY_GAPS_SECONDS = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
_LOG_RETENTIONS_DAYS = frozenset({1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731})
_LARGEST_SHARD_NUMBER = 999

LayerPlatform = Literal["aws", "native"]


class UnknownStageError(Exception):
    """The stage is not declared in ``cdk.json``."""


class StageSettingError(Exception):
    """A stage's setting is unknown, missing or out of its limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One deployment of the whole platform.

    Attributes:
        name: what every physical name carries, as in ``recado-<name>-core``.
        shared_shards: how many shared shards there are; only ever raised, since shard ids are permanent.
        layer_platform: whom the third-party layer is built for: AWS's arm64, or the machine that builds it.
        keep_data: whether tables, buckets, key and shard queues outlive their stack.
        public_url: the address that integrators use, without a trailing slash.
        webhook_retry_gaps: seconds before each attempt of a delivery.
        webhook_allowed_networks: networks that webhooks may reach although they are not public.
        log_retention_days: how long CloudWatch keeps the functions' logs; one of the values AWS accepts.
        function_concurrency: how many batches of one queue are handled at once, 2 or more (a limit of SQS mappings).
        alarm_email: who hears of alarms.
    """

    name: str
    shared_shards: int
    layer_platform: LayerPlatform = "aws"
    keep_data: bool = True
    public_url: str = ""
    webhook_retry_gaps: tuple[int, ...] = _RETRY_GAPS_SECONDS
    webhook_allowed_networks: tuple[str, ...] = field(default=())
    log_retention_days: int = 30
    function_concurrency: int = 20
    alarm_email: str | None = None

    def __post_init__(self) -> None:
        """Refuse settings that CloudFormation or the platform would refuse later, and less clearly."""
        _require(self.name.isalnum() and self.name.islower(), "name", "lower-case letters and digits")
        _require(1 <= self.shared_shards <= _LARGEST_SHARD_NUMBER, "shards.shared", "between 1 and 999")
        _require(self.layer_platform in {"aws", "native"}, "layer_platform", "aws or native")
        _require(not self.public_url.endswith("/"), "public_url", "without a trailing slash")
        _require(
            bool(self.webhook_retry_gaps) and all(gap >= 0 for gap in self.webhook_retry_gaps),
            "webhook_retry_gaps",
            "at least one number of seconds, none below 0",
        )
        _require(self.log_retention_days in _LOG_RETENTIONS_DAYS, "log_retention_days", "a retention that AWS offers")
        _require(2 <= self.function_concurrency <= 1_000, "function_concurrency", "between 2 and 1000")
        for network in self.webhook_allowed_networks:
            try:
                ip_network(network)
            except ValueError as error:
                raise StageSettingError(f"webhook_allowed_networks: {error}") from error

    @property
    def shard_ids(self) -> tuple[str, ...]:
        """The ids of the stage's shards, in the order of their numbers."""
        return tuple(f"shard-{number:03d}" for number in range(1, self.shared_shards + 1))

    @classmethod
    def from_context(cls, name: str, stages: Mapping[str, Any]) -> Self:
        """Read a stage from the ``stages`` context of ``cdk.json``.

        Raises:
            UnknownStageError: no such stage is declared.
            StageSettingError: one of its settings is wrong.
        """
        if name not in stages:
            raise UnknownStageError(f"no stage {name!r} in cdk.json; declared are {', '.join(sorted(stages))}")
        settings = dict(cast("Mapping[str, Any]", stages[name]))
        shards = dict(settings.pop("shards", {}))
        shared = shards.pop("shared", None)
        _require(isinstance(shared, int) and not shards, "shards", '{"shared": <number of shards>} and nothing else')
        unknown = settings.keys() - {declared.name for declared in fields(cls)} | settings.keys() & {"name"}
        _require(not unknown, ", ".join(sorted(unknown)), "left out: there is no such setting")
        for key in ("webhook_retry_gaps", "webhook_allowed_networks"):
            if key in settings:
                settings[key] = tuple(settings[key])
        return cls(name=name, shared_shards=cast("int", shared), **settings)


def _require(condition: bool, setting: str, demand: str) -> None:
    if not condition:
        raise StageSettingError(f"{setting}: must be {demand}")
