"""Our own code, compiled once when it is deployed instead of once in every process that starts a function."""

import compileall
import py_compile
from dataclasses import dataclass
from pathlib import Path

from infra.assets import FunctionAssets
from infra.config import LayerPlatform


@dataclass(frozen=True, slots=True)
class CompiledAssets:
    """Assets whose folders hold bytecode beside the sources.

    The third-party layer is built with it already. The bytecode is checked against nothing when it is loaded, since
    unpacking gives files new times; the emulator runs the Python that this process runs, or ignores it.
    """

    staged: FunctionAssets

    def function(self, name: str) -> Path:
        """Return the folder of a function."""
        return _compiled(self.staged.function(name))

    def core_layer(self) -> Path:
        """Return the folder of the domain package's layer."""
        return _compiled(self.staged.core_layer())

    def dependencies_layer(self, platform: LayerPlatform) -> Path:
        """Return the folder of the third-party layer."""
        return self.staged.dependencies_layer(platform)


def _compiled(folder: Path) -> Path:
    # A source that does not compile is left to the function, whose failure names it.
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(folder, quiet=2, invalidation_mode=mode, stripdir=str(folder), prependdir="/var/task")
    return folder
