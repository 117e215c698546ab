"""What the attempts function reads from its environment."""

from functools import lru_cache

from recado.aws.settings import DeliverySettings, SealingSettings, StageSettings, TableSettings, WebhookSettings


class WebhookAttemptsSettings(TableSettings, DeliverySettings, SealingSettings, WebhookSettings, StageSettings):
    """Deliveries and messages live in the tables, secrets are sealed, later attempts go back to the queue."""


@lru_cache(maxsize=1)
def settings() -> WebhookAttemptsSettings:
    """Return the settings, read once a process, so that a missing one stops the function at once."""
    return WebhookAttemptsSettings()
