"""What the runner is told by its environment (task definition in the cloud, process supervisor locally)."""

from pathlib import Path

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from recado.messages.limits import SendLimits
from session_runner.health.vitals import HostLimits, MonitorLimits, SessionLimits


class RunnerSettings(BaseSettings):
    """The runner's settings, each from the environment variable ``RECADO_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="RECADO_", extra="ignore")

    stage: str = Field(default="local", description="The installation's name, as the API's.")
    shard_id: str = Field(description="The one shard that this task runs.")
    shard_queue_url: str = Field(
        pattern=r"^[^{}]*\{shard_id\}[^{}]*$",
        description="The address of each shard's command queue, with `{shard_id}` where the id belongs.",
    )
    ingest_queue_url: str = Field(description="The queue on which facts are handed to the recorder.")
    vault_bucket: str = Field(description="The bucket of the sessions' credentials and of what is spilled.")
    kms_key_id: str = Field(description="The KMS key that wraps the data keys.")
    runner_directory: Path = Field(
        description="The task's writable folder: sessions, journals, sockets. May be empty at the start."
    )
    sessions_per_host: int = Field(
        default=50, ge=1, le=200, description="How many sessions share a host process, and its fate."
    )
    spare_hosts: int = Field(default=1, ge=0, le=4, description="How many hosts are kept ready for the next sessions.")
    host_most_descriptors: int = Field(
        default=2000, ge=10, description="From so many open files on a host is replaced."
    )
    host_most_threads: int = Field(default=600, ge=2, description="From so many threads on a host is replaced.")
    host_most_memory_mb: int = Field(
        default=750, ge=80, description="From so much memory on, in MiB, a host is replaced."
    )
    host_rest_seconds: float = Field(
        default=300.0, ge=0, description="Younger hosts are never replaced, whatever they measure."
    )
    session_starts_per_second: float = Field(
        default=20.0, gt=0, description="How fast sessions are started, so that a restart is no storm of log-ins."
    )
    health_host: str = Field(default="127.0.0.1", description="The address on which the health page listens.")
    health_port: int = Field(default=0, description="Its port; 0 for any.")
    send_gap_seconds: tuple[float, float] = Field(
        default=SendLimits().gap, description="Least and most seconds between two sends of a channel."
    )
    send_per_hour: int = Field(
        default=SendLimits().per_hour or 0, ge=0, description="Most sends of a channel in any hour; 0 for no limit."
    )
    cold_per_day: tuple[tuple[int, int], ...] = Field(
        default=SendLimits().cold_per_day,
        description="Pairs: days since pairing, strangers who may be written to a day from then on; [] for no limit.",
    )
    typing_seconds: tuple[float, float] = Field(
        default=SendLimits().typing, description="Least and most seconds for which typing is shown before a text."
    )
    connect_backoff_seconds: tuple[float, float] = Field(
        default=(2.0, 300.0), description="First and longest wait between attempts to connect."
    )
    connect_attempts: int = Field(
        default=30, ge=3, description="After so many failed attempts in a row a channel is `failed`."
    )
    connect_patience_seconds: float = Field(
        default=300.0, gt=0, description="For how long one attempt may take to connect."
    )
    silent_after_keepalives: int = Field(
        default=3,
        ge=1,
        description="So many unanswered keep-alives in a row, and the next setting, mean a dead connection.",
    )
    silent_after_seconds: float = Field(
        default=120.0, gt=0, description="So long without a frame, and the setting before, mean a dead connection."
    )
    status_seconds: float = Field(
        default=10.0,
        gt=0,
        description="How long a host may take to say how it is.",
    )
    reread_seconds: float = Field(
        default=60.0, gt=0, description="How often channels and outboxes are read without being asked to."
    )
    liveness_seconds: float = Field(
        default=30.0, gt=0, description="How often it is written down that a channel is alive."
    )
    spill_after_seconds: float = Field(
        default=5.0, ge=0, description="What the queue has not taken for so long is spilled to S3."
    )
    shutdown_seconds: float = Field(
        default=100.0, gt=0, le=115, description="How long putting sessions away may take; Fargate gives 120 s in all."
    )
    command_wait_seconds: int = Field(
        default=20, ge=0, le=20, description="How long one poll of the command queue waits."
    )
    blocking_calls: int = Field(default=16, ge=2, le=64, description="How many calls to AWS run at the same time.")
    whatsapp_environment: dict[str, str] = Field(
        default_factory=dict,
        description="Variables for the host processes only: proxy, certificates and the like; {} is the real WhatsApp.",
    )
    task_metadata_uri: str = Field(
        default="",
        validation_alias="ECS_CONTAINER_METADATA_URI_V4",
        description="Where ECS tells a task about itself; set by ECS, empty where there is none.",
    )

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
