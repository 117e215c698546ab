"""The layers as they are deployed: complete without anything else that happens to be installed here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra import layers
from infra.assets import StagedAssets
from tests.infra.test_functions import FUNCTIONS

# -S leaves out site-packages, so that only the layers and the function's own folder can be imported.
_IMPORT = "import sys; sys.path[:0] = sys.argv[2:]; import importlib; importlib.import_module(sys.argv[1])"
_ENVIRONMENT = {
    "PATH": os.defpath,
    "AWS_REGION": "sa-east-1",
    "POWERTOOLS_TRACE_DISABLED": "true",
    "AWS_LAMBDA_FUNCTION_NAME": "recado-test",
}


@pytest.fixture(scope="module")
def third_party() -> Path:
    """The third-party layer, built for this interpreter."""
    return layers.build("native") / "python"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_imports_from_its_layers_alone(third_party: Path, tmp_path: Path, name: str) -> None:
    """A dependency that is missing from the lock would fail on Lambda only; here it fails in this test."""
    staged = StagedAssets(staging=tmp_path)
    folders = [third_party, staged.core_layer() / "python", staged.function(name)]
    command = [sys.executable, "-I", "-S", "-c", _IMPORT, f"functions.{name}.handler", *map(str, folders)]
    imported = subprocess.run(command, env=_ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert imported.returncode == 0, imported.stderr


def test_the_third_party_layer_leaves_room_below_lambdas_limit(third_party: Path) -> None:
    """250 MB unpacked for code and layers together; the bytecode beside it is made for local use only."""
    size = sum(path.stat().st_size for path in third_party.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert size < 60_000_000


def test_a_built_layer_is_not_built_again(third_party: Path) -> None:
    """The stamp names lock file and interpreter; with both unchanged the folder stays as it is."""
    before = third_party.stat().st_mtime_ns
    layers.build("native")
    assert third_party.stat().st_mtime_ns == before
