"""What the analytics consumer reads from its environment."""

from functools import lru_cache

from recado.aws.settings import StageSettings, TableSettings


class AnalyticsSettings(TableSettings, StageSettings):
    """Counts live in the tables."""


@lru_cache(maxsize=1)
def settings() -> AnalyticsSettings:
    """Return the settings, read once a process, so that a missing one stops the function at once."""
    return AnalyticsSettings()
