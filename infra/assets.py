"""What is uploaded: each function's own folder, the shared domain package, the third-party packages, the image."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from infra.bytecode import compile_folder
from infra.config import LayerPlatform

REPOSITORY = Path(__file__).resolve().parent.parent
DOCKERFILE = "session_runner/Dockerfile"
# What that Dockerfile copies. Nothing else is staged, so that no other change makes a new image and stops sessions.
_IN_THE_IMAGE = ("layers/core/python/recado", "session_runner")
_LOCKED_FOR_THE_IMAGE = "requirements/runner.txt"
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


class MissingAssetError(Exception):
    """A folder that should be uploaded has not been built or written."""


class FunctionAssets(Protocol):
    """Where the folders of functions and their layers come from."""

    def function(self, name: str) -> Path:
        """Return the folder that is the code of ``functions/<name>``."""
        ...

    def core_layer(self) -> Path:
        """Return the folder of the domain package's layer."""
        ...

    def dependencies_layer(self, platform: LayerPlatform) -> Path:
        """Return the folder of the third-party layer for a platform."""
        ...


class Assets(FunctionAssets, Protocol):
    """Where all folders to upload come from."""

    def runner_image(self) -> Path:
        """Return the folder from which the runner's image is built, with ``session_runner/Dockerfile`` in it."""
        ...


@dataclass(frozen=True, slots=True)
class StagedAssets:
    """The real ones, staged from the checkout.

    Attributes:
        sources: the checkout.
        build: where the third-party layers have been built.
        staging: where folders are put together; nobody else may use it at the same time.
        interpreter: whose bytecode is put beside our own sources; none without one. The third-party layer is built
            with its own, the image compiles for itself.
    """

    sources: Path = REPOSITORY
    build: Path = REPOSITORY / "build"
    staging: Path = REPOSITORY / "build" / "staged"
    interpreter: Path | None = None

    def function(self, name: str) -> Path:
        """Stage ``functions/<name>`` at that very path, so that handlers are named and import as in the checkout.

        Raises:
            MissingAssetError: there is no such function.
        """
        source = self.sources / "functions" / name
        if not (source / "handler.py").is_file():
            raise MissingAssetError(f"functions/{name}/handler.py does not exist")
        staged = self.staging / "functions" / name
        shutil.rmtree(staged, ignore_errors=True)
        shutil.copytree(source, staged / "functions" / name, ignore=_LEFT_OUT)
        self._compile(staged, "/var/task")
        return staged

    def core_layer(self) -> Path:
        """Stage the domain package: a layer is a folder with ``python/`` in it, which ``layers/core`` is.

        Raises:
            MissingAssetError: the domain package is not there.
        """
        staged = self.staging / "layers" / "core"
        source = self.sources / "layers" / "core"
        if not source.is_dir():
            raise MissingAssetError("layers/core does not exist")
        shutil.rmtree(staged, ignore_errors=True)
        shutil.copytree(source, staged, ignore=_LEFT_OUT)
        self._compile(staged, "/opt")
        return staged

    def dependencies_layer(self, platform: LayerPlatform) -> Path:
        """Return the folder of the third-party layer.

        Raises:
            MissingAssetError: it has not been built for that platform.
        """
        built = self.build / "layers" / f"deps-{platform}"
        if not (built / "python").is_dir():
            raise MissingAssetError(f"{built} has not been built; run: make layers")
        # The name stands for another folder as soon as the lock file changes.
        return built.resolve()

    def runner_image(self) -> Path:
        """Stage what the runner's image is made from, at the same paths as in the checkout.

        Raises:
            MissingAssetError: there is no Dockerfile.
        """
        if not (self.sources / DOCKERFILE).is_file():
            raise MissingAssetError(f"{DOCKERFILE} does not exist")
        staged = self.staging / "runner"
        shutil.rmtree(staged, ignore_errors=True)
        for folder in _IN_THE_IMAGE:
            shutil.copytree(self.sources / folder, staged / folder, ignore=_LEFT_OUT)
        (staged / _LOCKED_FOR_THE_IMAGE).parent.mkdir(parents=True)
        shutil.copyfile(self.sources / _LOCKED_FOR_THE_IMAGE, staged / _LOCKED_FOR_THE_IMAGE)
        return staged

    def _compile(self, folder: Path, installed_at: str) -> None:
        if self.interpreter is not None:
            compile_folder(self.interpreter, folder, installed_at)


@dataclass(frozen=True, slots=True)
class PlaceholderAssets:
    """Folders with nothing in them: for templates whose code is put in when they are deployed, and for their tests."""

    folder: Path

    def function(self, name: str) -> Path:
        """Return an empty folder, whatever the function."""
        return self._own(name)

    def core_layer(self) -> Path:
        """Return an empty folder."""
        return self._own("core")

    def dependencies_layer(self, platform: LayerPlatform) -> Path:
        """Return an empty folder, whatever the platform."""
        return self._own(platform)

    def runner_image(self) -> Path:
        """Return a folder with a Dockerfile of an empty image."""
        folder = self._own("runner")
        dockerfile = folder / DOCKERFILE
        dockerfile.parent.mkdir(exist_ok=True)
        dockerfile.write_text("FROM scratch\n", encoding="utf-8")
        return folder

    def _own(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "placeholder").write_text(name, encoding="utf-8")
        return folder
