"""The third-party layer, unpacked once for all functions of the local stack instead of once in every process.

The emulator unpacks a function's layers anew for each process that it starts: thousands of files, most of a cold
start. So what it is given as the third-party layer is one line that puts the built layer's own folder in front of the
path. That the built layer is complete is shown where functions run from it alone (``tests/infra``).
"""

from dataclasses import dataclass
from pathlib import Path

from infra.assets import FunctionAssets
from infra.config import LayerPlatform

_SITE = "python/lib/python/site-packages"
"""A folder of this kind in a layer is a site directory, whose ``.pth`` files Python obeys: the emulator does, too."""


@dataclass(frozen=True, slots=True)
class SharedPackages:
    """Assets whose third-party layer is a pointer to the built one.

    Attributes:
        assets: the ones meant.
        staging: where the pointer is written.
    """

    assets: FunctionAssets
    staging: Path

    def function(self, name: str) -> Path:
        """Return the folder of a function."""
        return self.assets.function(name)

    def core_layer(self) -> Path:
        """Return the folder of the domain package's layer."""
        return self.assets.core_layer()

    def dependencies_layer(self, platform: LayerPlatform) -> Path:
        """Return the folder of a layer that holds nothing but the place of the third-party layer."""
        packages = self.assets.dependencies_layer(platform) / "python"
        folder = self.staging / "layers" / f"shared-{platform}"
        site = folder / _SITE
        site.mkdir(parents=True, exist_ok=True)
        # Inserted, since a plain path would be appended: the emulator's own packages would come first.
        line = f"import sys; sys.path.insert(0, {str(packages)!r})\n"
        (site / "shared.pth").write_text(line, encoding="utf-8")
        return folder
