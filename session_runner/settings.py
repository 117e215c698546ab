"""What the runner is told by its environment (task definition in the cloud, process supervisor locally)."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from recado.messages.limits import SendLimits
from session_runner.vitals import HostLimits, MonitorLimits, SessionLimits


class RunnerSettings(BaseSettings):
    """The runner's settings, each from the environment variable ``RECADO_<NAME>``.

    ``whatsapp_environment`` is added to the environment of the host processes only: proxy, trusted certificates
    and the like. Empty means the real WhatsApp.
    """

    model_config = SettingsConfigDict(env_prefix="RECADO_", extra="ignore")

    stage: str = "local"
    shard_id: str
    shard_queue_url: Annotated[str, Field(pattern=r"^[^{}]*\{shard_id\}[^{}]*$")]
    ingest_queue_url: str
    vault_bucket: str
    kms_key_id: str
    runner_directory: Path
    sessions_per_host: Annotated[int, Field(ge=1, le=200)] = 50
    spare_hosts: Annotated[int, Field(ge=0, le=4)] = 1
    host_most_descriptors: Annotated[int, Field(ge=10)] = 2000
    host_most_threads: Annotated[int, Field(ge=2)] = 600
    host_most_memory_mb: Annotated[int, Field(ge=80)] = 750
    host_rest_seconds: Annotated[float, Field(ge=0)] = 300.0
    session_starts_per_second: Annotated[float, Field(gt=0)] = 20.0
    health_host: str = "127.0.0.1"
    health_port: int = 0
    send_gap_seconds: tuple[float, float] = SendLimits().gap
    send_per_hour: Annotated[int, Field(ge=0, description="0 for no limit")] = SendLimits().per_hour or 0
    cold_per_day: tuple[tuple[int, int], ...] = SendLimits().cold_per_day
    typing_seconds: tuple[float, float] = SendLimits().typing
    connect_backoff_seconds: tuple[float, float] = (2.0, 300.0)
    connect_attempts: Annotated[int, Field(ge=3)] = 30
    connect_patience_seconds: Annotated[float, Field(gt=0)] = 300.0
    silent_after_keepalives: Annotated[int, Field(ge=1)] = 3
    silent_after_seconds: Annotated[float, Field(gt=0)] = 120.0
    status_seconds: Annotated[float, Field(gt=0)] = 10.0
    reread_seconds: Annotated[float, Field(gt=0)] = 60.0
    liveness_seconds: Annotated[float, Field(gt=0)] = 30.0
    spill_after_seconds: Annotated[float, Field(ge=0)] = 5.0
    shutdown_seconds: Annotated[float, Field(gt=0, le=115)] = 100.0
    command_wait_seconds: Annotated[int, Field(ge=0, le=20)] = 20
    blocking_calls: Annotated[int, Field(ge=2, le=64)] = 16
    whatsapp_environment: dict[str, str] = Field(default_factory=dict)
    # Set by ECS itself, hence its name; empty where there is no ECS.
    task_metadata_uri: str = Field(default="", validation_alias="ECS_CONTAINER_METADATA_URI_V4")

    @property
    def monitor_limits(self) -> MonitorLimits:
        """From where on the health monitor acts."""
        return MonitorLimits(
            session=SessionLimits(keepalive_failures=self.silent_after_keepalives, silence=self.silent_after_seconds),
            host=self.host_limits,
            answer_seconds=self.status_seconds,
        )

    @property
    def host_limits(self) -> HostLimits:
        """From where on a host is replaced."""
        return HostLimits(
            threads=self.host_most_threads,
            descriptors=self.host_most_descriptors,
            memory_bytes=self.host_most_memory_mb * 1024 * 1024,
            rest=self.host_rest_seconds,
        )

    @property
    def send_limits(self) -> SendLimits:
        """How fast, how many and to whom each channel may send."""
        return SendLimits(
            gap=self.send_gap_seconds,
            per_hour=self.send_per_hour or None,
            cold_per_day=self.cold_per_day,
            typing=self.typing_seconds,
        )

    @property
    def command_queue_url(self) -> str:
        """The address of this shard's command queue."""
        return self.shard_queue_url.replace("{shard_id}", self.shard_id)

    @model_validator(mode="after")
    def _has_ranges(self) -> "RunnerSettings":
        for name in ("send_gap_seconds", "typing_seconds", "connect_backoff_seconds"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise ValueError(f"{name} is [least, most] with 0 <= least <= most")
        days = [day for day, _ in self.cold_per_day]
        if days != sorted(set(days)) or any(number < 0 for pair in self.cold_per_day for number in pair):
            raise ValueError("cold_per_day is [[days since pairing, most strangers a day], …] with rising days")
        return self
