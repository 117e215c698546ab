"""What is uploaded as a function's code."""

import hashlib
import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

from infra.assets import DOCKERFILE, REPOSITORY, MissingAssetError, StagedAssets
from tests.infra.test_functions import FUNCTIONS


def _checkout(folder: Path) -> Path:
    for name in ("functions/hello/handler.py", "functions/hello/__pycache__/x.pyc", "functions/other/handler.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("", encoding="utf-8")
    (folder / "layers/core/python/recado").mkdir(parents=True)
    (folder / "layers/core/python/recado/__init__.py").touch()
    return folder


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_function_is_uploaded_alone_at_its_own_path(tmp_path: Path) -> None:
    """The handler's name is the checkout's, no other function comes along, and no compiled leftovers do."""
    assets = StagedAssets(sources=_checkout(tmp_path / "checkout"), staging=tmp_path / "staging")
    assert _files(assets.function("hello")) == {"functions/hello/handler.py"}


def test_a_file_that_is_gone_from_the_checkout_is_gone_from_the_upload(tmp_path: Path) -> None:
    """Staging starts from nothing each time."""
    checkout = _checkout(tmp_path / "checkout")
    assets = StagedAssets(sources=checkout, staging=tmp_path / "staging")
    (checkout / "functions/hello/old.py").touch()
    assets.function("hello")
    (checkout / "functions/hello/old.py").unlink()
    assert _files(assets.function("hello")) == {"functions/hello/handler.py"}


def test_the_core_layer_holds_python_on_top(tmp_path: Path) -> None:
    """Lambda puts a layer's python/ folder on the path."""
    assets = StagedAssets(sources=_checkout(tmp_path / "checkout"), staging=tmp_path / "staging")
    assert _files(assets.core_layer()) == {"python/recado/__init__.py"}


_OF_THE_IMAGE = {
    "session_runner/Dockerfile",
    "session_runner/__main__.py",
    "layers/core/python/recado/__init__.py",
    "requirements/runner.txt",
}


def _checkout_with_runner(folder: Path) -> Path:
    _checkout(folder)
    outside = ("README.md", "infra/app.py", "requirements/development.txt", "session_runner/__pycache__/x.pyc")
    for name in (*_OF_THE_IMAGE, *outside):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name, encoding="utf-8")
    return folder


def _contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in _files(folder)}


def test_the_image_is_made_from_the_runner_and_the_domain_package_alone(tmp_path: Path) -> None:
    """No test, function, tool or compiled leftover gets into it."""
    assets = StagedAssets(sources=_checkout_with_runner(tmp_path / "checkout"), staging=tmp_path / "staging")
    assert _files(assets.runner_image()) == _OF_THE_IMAGE


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_functions_asset_is_its_folders_sources_and_nothing_else(tmp_path: Path, name: str) -> None:
    """Of the real checkout: every module of the function's folder, and no other file of any kind."""
    staged = _files(StagedAssets(staging=tmp_path).function(name))
    folder = REPOSITORY / "functions" / name
    assert staged == {path.relative_to(REPOSITORY).as_posix() for path in folder.rglob("*.py")}


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the checkout uploads, to be changed."""
    folder = tmp_path_factory.mktemp("checkout")
    ignored = shutil.ignore_patterns("__pycache__")
    for part in ("functions", "layers/core", "session_runner", "requirements"):
        shutil.copytree(REPOSITORY / part, folder / part, ignore=ignored)
    return folder


def _hashes(checkout: Path, staging: Path) -> dict[str, str]:
    """Return a hash of each asset's names and contents, which is what the CDK's own hash of an asset is made of."""
    assets = StagedAssets(sources=checkout, staging=staging)
    folders = {
        "core": assets.core_layer(),
        "runner": assets.runner_image(),
        **{name: assets.function(name) for name in FUNCTIONS},
    }
    return {
        name: hashlib.sha256(repr(sorted(_contents(folder).items())).encode()).hexdigest()
        for name, folder in folders.items()
    }


EDITS = {
    **{f"functions/{name}/handler.py": {name} for name in FUNCTIONS},
    "functions/api/routes/new.py": {"api"},
    "layers/core/python/recado/kernel/ids.py": {"core", "runner"},
    "session_runner/supervisor.py": {"runner"},
    "session_runner/Dockerfile": {"runner"},
    "requirements/runner.txt": {"runner"},
    "requirements/functions.txt": set(),
    "requirements/development.txt": set(),
    "docs/deploy.md": set(),
    "tests/conftest.py": set(),
    "infra/app.py": set(),
    "local/stack/part.py": set(),
    "functions/dashboard/web/index.html": set(),
    "README.md": set(),
}
"""What is edited, and whose assets are then others. The third-party layer is built from its lock: ``test_layers``."""


@pytest.mark.parametrize("file", EDITS)
def test_an_edit_changes_the_assets_of_those_it_concerns_and_no_others(copied: Path, tmp_path: Path, file: str) -> None:
    """One function's edit uploads one function; what is outside the runner's image leaves every session alone."""
    before = _hashes(copied, tmp_path)
    edited = copied / file
    edited.parent.mkdir(parents=True, exist_ok=True)
    with edited.open("a", encoding="utf-8") as out:
        out.write("# edited\n")
    after = _hashes(copied, tmp_path)
    assert {name for name in before if before[name] != after[name]} == EDITS[file]


def test_bytecode_is_the_same_for_the_same_sources_and_believed_whatever_their_time(tmp_path: Path) -> None:
    """Two deployments of the same code are one; Lambda's unpacked files have times of their own."""
    checkout = _checkout(tmp_path / "checkout")
    source = checkout / "functions/hello/handler.py"
    source.write_text("def handler(event, context): return event\n", encoding="utf-8")
    first, second = (
        _contents(
            StagedAssets(sources=checkout, staging=tmp_path / staging, interpreter=Path(sys.executable)).function(
                "hello"
            )
        )
        for staging in ("one", "another")
    )
    assert first == second
    cached = importlib.util.cache_from_source("functions/hello/handler.py")
    assert set(first) == {"functions/hello/handler.py", cached}
    # PEP 552: the flags say that it is found by hash (1) and never checked (no 2).
    assert int.from_bytes(first[cached][4:8], "little") == 1
    assert b"/var/task/functions/hello/handler.py" in first[cached]


def test_the_dockerfile_copies_nothing_that_is_not_staged(tmp_path: Path) -> None:
    """Every COPY from the build's folder finds its source there."""
    staged = StagedAssets(staging=tmp_path).runner_image()
    lines = (staged / DOCKERFILE).read_text(encoding="utf-8").splitlines()
    sources = [line.split()[1] for line in lines if line.startswith("COPY ") and "--from=" not in line]
    assert sources
    for source in sources:
        assert (staged / source).exists(), source


def test_the_checkouts_ignore_file_lets_the_same_files_through() -> None:
    """Whoever builds the image by hand, from the checkout's root, builds it from the same files."""
    lines = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line for line in lines if line.startswith("!")} == {
        "!requirements/runner.txt",
        "!layers/core/python/recado",
        "!session_runner",
    }
    assert "*" in lines


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """A function that is not written and a layer that is not built are said before anything is uploaded."""
    assets = StagedAssets(sources=_checkout(tmp_path / "checkout"), build=tmp_path, staging=tmp_path / "staging")
    with pytest.raises(MissingAssetError, match=r"functions/missing/handler\.py"):
        assets.function("missing")
    with pytest.raises(MissingAssetError, match="Dockerfile"):
        assets.runner_image()
    with pytest.raises(MissingAssetError, match="make layers"):
        assets.dependencies_layer("aws")
