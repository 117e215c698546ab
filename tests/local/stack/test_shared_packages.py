"""The third-party layer of the local stack: one unpacked folder for all functions."""

import subprocess
import sys
from pathlib import Path

from local.stack.code import zip_folder
from local.stack.shared_packages import SharedPackages


class _Folders:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def function(self, name: str) -> Path:
        return self._folder / "functions" / name

    def core_layer(self) -> Path:
        return self._folder / "core"

    def dependencies_layer(self, platform: str) -> Path:
        return self._folder / f"deps-{platform}"


def test_a_site_directory_of_the_pointer_puts_the_built_layer_first(tmp_path: Path) -> None:
    """What is imported comes from the built folder, also when the interpreter has a module of that name itself."""
    packages = tmp_path / "it's built" / "deps-native" / "python"
    packages.mkdir(parents=True)
    (packages / "botocore.py").write_text("", encoding="utf-8")
    layer = SharedPackages(_Folders(packages.parents[1]), tmp_path / "staging").dependencies_layer("native")
    (site,) = (layer / "python" / "lib").glob("*/site-packages")
    program = "import site, sys; site.addsitedir(sys.argv[1]); import botocore; print(botocore.__file__)"
    printed = subprocess.run([sys.executable, "-c", program, site], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str(packages / "botocore.py")


def test_there_is_next_to_nothing_to_unpack(tmp_path: Path) -> None:
    """Whatever the built layer weighs."""
    packages = tmp_path / "deps-native" / "python"
    packages.mkdir(parents=True)
    (packages / "heavy.py").write_bytes(b"#" * 1_000_000)
    layer = SharedPackages(_Folders(tmp_path), tmp_path / "staging").dependencies_layer("native")
    assert len(zip_folder(layer)) < 1_000


def test_all_else_is_left_as_it_is(tmp_path: Path) -> None:
    """Functions and the domain package are unpacked as on AWS."""
    folders = _Folders(tmp_path)
    shared = SharedPackages(folders, tmp_path / "staging")
    assert shared.function("api") == folders.function("api")
    assert shared.core_layer() == folders.core_layer()
