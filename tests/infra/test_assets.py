"""What is uploaded as a function's code."""

from pathlib import Path

import pytest

from infra.assets import DOCKERFILE, REPOSITORY, MissingAssetError, StagedAssets


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


def test_only_a_change_of_the_runner_makes_a_new_image(tmp_path: Path) -> None:
    """The asset's hash is that of the staged folder: a change elsewhere leaves every session alone."""
    checkout = _checkout_with_runner(tmp_path / "checkout")
    assets = StagedAssets(sources=checkout, staging=tmp_path / "staging")
    before = _contents(assets.runner_image())
    for name in ("README.md", "infra/app.py", "requirements/development.txt", "functions/hello/handler.py"):
        (checkout / name).write_text("changed", encoding="utf-8")
    assert _contents(assets.runner_image()) == before
    for name in sorted(_OF_THE_IMAGE):
        (checkout / name).write_text("changed", encoding="utf-8")
        after = _contents(assets.runner_image())
        assert after != before, name
        before = after


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
