"""What the backup function reads from its environment."""

from functools import lru_cache

from recado.aws.settings import BackupSettings, SealingSettings, StageSettings, TableSettings, VaultSettings


class BackupFunctionSettings(TableSettings, VaultSettings, BackupSettings, SealingSettings, StageSettings):
    """Configuration comes from the tables, sessions from the vault, and both go encrypted to the backup bucket."""


@lru_cache(maxsize=1)
def settings() -> BackupFunctionSettings:
    """Return the settings, read once a process, so that a missing one stops the function at once."""
    return BackupFunctionSettings()
