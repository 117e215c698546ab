"""Temporary: stands in for functions that are not written yet."""

from dataclasses import dataclass
from pathlib import Path

from infra.assets import MissingAssetError, StagedAssets
from infra.config import LayerPlatform

_EMPTY = "def handler(event, context):\n    return {'batchItemFailures': []}\n"


@dataclass(frozen=True)
class AvailableAssets:
    """The staged ones, and an empty function where there is none."""

    staged: StagedAssets
    folder: Path

    def function(self, name: str) -> Path:
        """Return the function's folder, or that of an empty one."""
        try:
            return self.staged.function(name)
        except MissingAssetError:
            print(f"functions/{name} is not written yet", flush=True)
            handler = self.folder / "empty" / name / "functions" / name / "handler.py"
            handler.parent.mkdir(parents=True, exist_ok=True)
            handler.write_text(_EMPTY, encoding="utf-8")
            return self.folder / "empty" / name

    def core_layer(self) -> Path:
        """Return the domain package's folder."""
        return self.staged.core_layer()

    def dependencies_layer(self, platform: LayerPlatform) -> Path:
        """Return the third-party packages' folder."""
        return self.staged.dependencies_layer(platform)
