"""What is uploaded as a function's code."""

from pathlib import Path

import pytest

from infra.assets import MissingAssetError, StagedAssets


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


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """A function that is not written and a layer that is not built are said before anything is uploaded."""
    assets = StagedAssets(sources=_checkout(tmp_path / "checkout"), build=tmp_path, staging=tmp_path / "staging")
    with pytest.raises(MissingAssetError, match=r"functions/missing/handler\.py"):
        assets.function("missing")
    with pytest.raises(MissingAssetError, match="make layers"):
        assets.dependencies_layer("aws")
