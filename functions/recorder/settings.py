"""What the recorder reads from its environment."""

from functools import lru_cache

from recado.aws.settings import EventBusSettings, IngestSettings, SealingSettings, StageSettings, TableSettings


class RecorderSettings(TableSettings, EventBusSettings, IngestSettings, SealingSettings, StageSettings):
    """Facts go into tables and onto the bus, what breaks its contract is sealed, what fails goes back to its queue."""


@lru_cache(maxsize=1)
def settings() -> RecorderSettings:
    """Return the settings, read once a process, so that a missing one stops the function at once."""
    return RecorderSettings()
