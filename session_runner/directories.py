"""Where a task keeps its files."""

import shutil
from pathlib import Path


class Directories:
    """Where this task keeps files. Session files of a former run are removed: the vault knows whether they are stale.

    Args:
        root: the runner's directory.
    """

    def __init__(self, root: Path) -> None:
        self.sessions = root / "sessions"
        self.journals = root / "journals"
        self.deadline = root / "lease-deadline"
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(self.sessions, ignore_errors=True)
        for directory in (self.sessions, self.journals):
            directory.mkdir(mode=0o700, exist_ok=True)

    def left_journals(self) -> list[Path]:
        """Return the journals that former runs left on this disk."""
        return sorted(self.journals.glob("*.journal"))
