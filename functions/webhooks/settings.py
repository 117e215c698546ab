"""What the webhooks consumer reads from its environment."""

from functools import lru_cache

from recado.aws.settings import DeliverySettings, StageSettings, TableSettings


class WebhooksSettings(TableSettings, DeliverySettings, StageSettings):
    """Endpoints and deliveries live in the tables; new deliveries go to their queue."""


@lru_cache(maxsize=1)
def settings() -> WebhooksSettings:
    """Return the settings, read once a process, so that a missing one stops the function at once."""
    return WebhooksSettings()
