"""What the schedule function reads from its environment."""

from functools import lru_cache

from recado.aws.settings import DeliverySettings, StageSettings, TableSettings


class WebhookScheduleSettings(TableSettings, DeliverySettings, StageSettings):
    """Due rows live in the runtime table and move to the deliveries queue."""


@lru_cache(maxsize=1)
def settings() -> WebhookScheduleSettings:
    """Return the settings, read once a process, so that a missing one stops the function at once."""
    return WebhookScheduleSettings()
