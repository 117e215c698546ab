"""When alarms ring: what a stage may set under ``alarms`` in ``cdk.json``."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmThresholds:
    """From where on something is wrong.

    Attributes:
        api_error_percent: share of requests that the API answers with 5xx.
        api_latency_ms: the 99th percentile of the API's own time, requests that were asked to wait left out.
        queue_age_seconds: how long the oldest message of a queue may wait for its consumer.
        delivery_age_seconds: the same for webhook deliveries, which SQS itself holds back for up to 15 minutes.
        heartbeat_minutes: for how long a shard may be silent; a deployment of the runner takes two to four.
        sessions_down_percent: share of a shard's linked and wanted sessions that are not connected.
        journal_age_seconds: how long a runner may hold a fact that it has not handed on.
    """

    api_error_percent: float = 1.0
    api_latency_ms: int = 3_000
    queue_age_seconds: int = 300
    delivery_age_seconds: int = 1_800
    heartbeat_minutes: int = 6
    sessions_down_percent: float = 20.0
    journal_age_seconds: int = 120

    def wrong(self) -> str | None:
        """Return the name of a threshold that cannot be, None if all can."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
                return field.name
            if field.name.endswith("_percent") and value > 100:
                return field.name
        # The longest time over which CloudWatch evaluates an alarm of one-minute periods, with room to spare.
        return "heartbeat_minutes" if self.heartbeat_minutes > 60 else None
