"""The stages that can be deployed, read from ``cdk.json`` and checked before anything is synthesised."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from ipaddress import ip_network
from typing import Any, Literal, Self, cast

from infra.alarm_thresholds import AlarmThresholds
from infra.task_sizes import is_offered

# The schedule of the design, 10.: a little over three days, as Standard Webhooks recommends.
_RETRY_GAPS_SECONDS = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
_LOG_RETENTIONS_DAYS = frozenset({1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731})
_LARGEST_SHARD_NUMBER = 999
_MOST_SHARDS = 90  # a stack holds 500 resources, and five of them are each shard's
_MOST_CLOSED = 10  # nobody gives up more at once, and they too have to fit
_MOST_DEDICATED = 80  # what fits into the environment of a function beside everything else
_NOT_SETTINGS = frozenset({"name", "shared_shards", "closed_shards", "retired_shards", "dedicated_clinics"})
# What Cognito takes as the address to return to.
_SIGN_IN_URL = re.compile(r"(https://[^/#\s]+|http://localhost(:\d+)?)(/[^#\s]*)?")
_CLINIC_ID = re.compile(r"cli_([0-9a-hjkmnp-tv-z]{26})")

LayerPlatform = Literal["aws", "native"]
Architecture = Literal["arm64", "x86_64"]
Egress = Literal["public", "nat"]
IdentityPlan = Literal["lite", "essentials", "plus"]
IdentityMfa = Literal["optional", "required"]


class UnknownStageError(Exception):
    """The stage is not declared in ``cdk.json``."""


class StageSettingError(Exception):
    """A stage's setting is unknown, missing or out of its limits."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A declared shard.

    Attributes:
        shard_id: permanent, never used for another shard.
        clinic_id: whose it is alone; None for a shared one.
    """

    shard_id: str
    clinic_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One deployment of the whole platform.

    Attributes:
        name: what every physical name carries, as in ``recado-<name>-core``.
        shared_shards: how many shared shards there are; only ever raised, since shard ids are permanent.
        closed_shards: the ids of shards that get no new channels, as a rule because they are to be given up.
        retired_shards: the numbers of shared shards that were given up; their ids are never used again.
        dedicated_clinics: the clinics that have a shard of their own.
        session_tasks: whether shards run as ECS tasks; off where a process supervisor stands in for ECS.
        task_cpu: CPU units of a shard's task, 1,024 to a vCPU.
        task_memory: its memory in MiB; Fargate offers certain sizes to each CPU.
        task_architecture: the processor its image is built for.
        egress: how tasks reach WhatsApp and AWS: each by a public address of its own, or all by one fixed address
            behind a NAT gateway.
        container_insights: whether CloudWatch's per-container metrics are bought.
        layer_platform: whom the third-party layer is built for: AWS's arm64, or the machine that builds it.
        keep_data: whether tables, buckets, key and shard queues outlive their stack.
        public_url: the address that integrators use, without a trailing slash.
        dashboard_urls: where the dashboard may be when people come back from signing in or out; https, or
            http://localhost. With none there are no hosted sign-in pages.
        identity_mfa: whether people must sign in with a second factor (an authenticator app), or may.
        identity_plan: Cognito's plan; ``plus`` refuses risky sign-ins and is paid for each person, docs/deploy.md.
        webhook_retry_gaps: seconds before each attempt of a delivery.
        webhook_allowed_networks: networks that webhooks may reach although they are not public.
        proxy_allowed_networks: networks that channels' proxies may be in although they are not public.
        log_retention_days: how long CloudWatch keeps the logs; one of the values AWS accepts.
        api_requests_per_second: how many requests API Gateway lets through in the long run, all callers together.
        api_burst: how many at once.
        requests_per_minute_and_address: above it the firewall refuses an IP address; 10 or more, as WAF demands.
        requests_per_minute_and_key: above it the firewall refuses an API key.
        trace_aws_calls: whether the API's traces also show its calls to AWS; a cold start then takes longer.
        event_archive_days: how long the bus keeps events for a replay.
        function_concurrency: how many batches of one queue are handled at once, 2 or more (a limit of SQS mappings).
        observed: whether there are dashboards and alarms; off where nothing makes metrics of what processes write.
        alarms: from where on an alarm rings.
        alarm_email: who hears of alarms.
        monthly_budget: US dollars a month; ``alarm_email`` hears of 80 % spent and of more than all foreseen.
    """

    name: str
    shared_shards: int
    closed_shards: tuple[str, ...] = ()
    retired_shards: tuple[int, ...] = ()
    dedicated_clinics: tuple[str, ...] = ()
    session_tasks: bool = True
    task_cpu: int = 1_024
    task_memory: int = 2_048
    task_architecture: Architecture = "arm64"
    egress: Egress = "public"
    container_insights: bool = False
    layer_platform: LayerPlatform = "aws"
    keep_data: bool = True
    public_url: str = ""
    dashboard_urls: tuple[str, ...] = ()
    identity_mfa: IdentityMfa = "required"
    identity_plan: IdentityPlan = "lite"
    webhook_retry_gaps: tuple[int, ...] = _RETRY_GAPS_SECONDS
    webhook_allowed_networks: tuple[str, ...] = field(default=())
    proxy_allowed_networks: tuple[str, ...] = field(default=())
    log_retention_days: int = 30
    api_requests_per_second: int = 500
    api_burst: int = 1_000
    requests_per_minute_and_address: int = 12_000
    requests_per_minute_and_key: int = 3_000
    trace_aws_calls: bool = False
    event_archive_days: int = 7
    function_concurrency: int = 20
    observed: bool = True
    alarms: AlarmThresholds = field(default_factory=AlarmThresholds)
    alarm_email: str | None = None
    monthly_budget: int | None = None

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
        # Whoever counts remembers an event for 7 days: one replayed later would be counted twice.
        _require(1 <= self.event_archive_days <= 7, "event_archive_days", "between 1 and 7")
        self._check_api()
        self._check_shards()
        self._check_tasks()
        self._check_identity()
        self._check_budget()
        _check_networks("webhook_allowed_networks", self.webhook_allowed_networks)
        _check_networks("proxy_allowed_networks", self.proxy_allowed_networks)

    def _check_api(self) -> None:
        _require(isinstance(self.trace_aws_calls, bool), "trace_aws_calls", "true or false")
        # More than an account has is refused when the stage is deployed: 10,000 a second and 5,000 at once.
        _require(1 <= self.api_requests_per_second <= 10_000, "api_requests_per_second", "between 1 and 10000")
        _require(1 <= self.api_burst <= 5_000, "api_burst", "between 1 and 5000")
        for name in ("requests_per_minute_and_address", "requests_per_minute_and_key"):
            _require(10 <= getattr(self, name) <= 2_000_000_000, name, "between 10 and 2000000000")

    def _check_shards(self) -> None:
        retired = self.retired_shards
        known = all(type(number) is int and 1 <= number <= self.shared_shards for number in retired)
        demand = "numbers of shared shards, each once, and not all of them"
        _require(known and len(set(retired)) == len(retired) < self.shared_shards, "shards.retired", demand)
        closed = set(self.closed_shards)
        _require(
            len(closed) == len(self.closed_shards) <= _MOST_CLOSED and closed < set(self.shard_ids),
            "shards.closed",
            f"ids of shards of this stage, each once, {_MOST_CLOSED} at most and not all of them",
        )
        deployed = self.shared_shards - len(retired) + len(self.dedicated_clinics)
        _require(
            deployed <= _MOST_SHARDS, "shards", f"{_MOST_SHARDS} at most at the same time, which {deployed} are not"
        )
        for clinic_id in self.dedicated_clinics:
            _require(bool(_CLINIC_ID.fullmatch(clinic_id)), "shards.dedicated", f"clinic ids; {clinic_id!r} is none")
        repeated = len(set(self.dedicated_clinics)) < len(self.dedicated_clinics)
        _require(not repeated, "shards.dedicated", "without a clinic named twice")
        few = len(self.dedicated_clinics) <= _MOST_DEDICATED
        _require(few, "shards.dedicated", f"{_MOST_DEDICATED} clinics at most")

    def _check_tasks(self) -> None:
        for name in ("session_tasks", "container_insights", "keep_data", "observed"):
            _require(isinstance(getattr(self, name), bool), name, "true or false")
        _require(
            is_offered(self.task_cpu, self.task_memory),
            "task_cpu, task_memory",
            f"a size that Fargate offers; {self.task_cpu} CPU units with {self.task_memory} MiB is none",
        )
        _require(self.task_architecture in {"arm64", "x86_64"}, "task_architecture", "arm64 or x86_64")
        _require(self.egress in {"public", "nat"}, "egress", "public or nat")

    def _check_identity(self) -> None:
        _require(self.identity_mfa in {"optional", "required"}, "identity_mfa", "optional or required")
        _require(self.identity_plan in {"lite", "essentials", "plus"}, "identity_plan", "lite, essentials or plus")
        for url in self.dashboard_urls:
            _require(bool(_SIGN_IN_URL.fullmatch(url)), "dashboard_urls", "https, or http://localhost; no fragment")

    def _check_budget(self) -> None:
        wrong = self.alarms.wrong()
        _require(wrong is None, f"alarms.{wrong}", "more than 0, and a share at most 100")
        if self.monthly_budget is not None:
            amount = self.monthly_budget
            _require(isinstance(amount, int) and amount >= 1, "monthly_budget", "whole US dollars, at least 1")
            _require(bool(self.alarm_email), "alarm_email", "given, since monthly_budget has to be told to somebody")

    @property
    def shards(self) -> tuple[Shard, ...]:
        """The stage's shards: the shared ones by their numbers but for retired ones, then the dedicated ones.

        A dedicated shard's id is made from its clinic's, so that neither another clinic nor one more shared shard
        ever changes or inherits it.
        """
        shared = (
            Shard(f"shard-{number:03d}")
            for number in range(1, self.shared_shards + 1)
            if number not in self.retired_shards
        )
        dedicated = (
            Shard(f"shard-{clinic_id.removeprefix('cli_')}", clinic_id) for clinic_id in self.dedicated_clinics
        )
        return (*shared, *dedicated)

    @property
    def shard_ids(self) -> tuple[str, ...]:
        """The ids of the stage's shards."""
        return tuple(shard.shard_id for shard in self.shards)

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
        shared, *rest = (shards.pop(key, None) for key in ("shared", "dedicated", "closed", "retired"))
        wanted = (
            '{"shared": <number>, "dedicated": [<clinic id>, …], "closed": [<shard id>, …], "retired": [<number>, …]}'
        )
        lists = all(each is None or isinstance(each, list) for each in rest)
        _require(isinstance(shared, int) and lists and not shards, "shards", wanted)
        unknown = settings.keys() - {declared.name for declared in fields(cls)} | settings.keys() & _NOT_SETTINGS
        _require(not unknown, ", ".join(sorted(unknown)), "left out: there is no such setting")
        for key in ("webhook_retry_gaps", "webhook_allowed_networks", "proxy_allowed_networks", "dashboard_urls"):
            if key in settings:
                settings[key] = tuple(settings[key])
        alarms = settings.pop("alarms", {})
        known = {declared.name for declared in fields(AlarmThresholds)}
        _require(isinstance(alarms, dict) and alarms.keys() <= known, "alarms", f"some of {', '.join(sorted(known))}")
        dedicated, closed, retired = (tuple(each or ()) for each in rest)
        return cls(
            name=name,
            alarms=AlarmThresholds(**alarms),
            shared_shards=cast("int", shared),
            closed_shards=closed,
            retired_shards=retired,
            dedicated_clinics=dedicated,
            **settings,
        )


def _check_networks(name: str, networks: Sequence[str]) -> None:
    for network in networks:
        try:
            ip_network(network)
        except ValueError as error:
            raise StageSettingError(f"{name}: {error}") from error


def _require(condition: bool, setting: str, demand: str) -> None:
    if not condition:
        raise StageSettingError(f"{setting}: must be {demand}")
