"""Packing code for the emulator."""

import io
import zipfile
from pathlib import Path
from typing import Any

from local.stack.code import with_code, zip_folder


class _Folders:
    def function(self, name: str) -> Path:
        return Path("functions") / name

    def core_layer(self) -> Path:
        return Path("core")

    def dependencies_layer(self, platform: str) -> Path:
        return Path(f"deps-{platform}")


def test_the_same_files_give_the_same_archive(tmp_path: Path) -> None:
    """Times do not matter, so unchanged code is neither uploaded nor deployed again."""
    file = tmp_path / "package" / "module.py"
    file.parent.mkdir()
    file.write_text("x = 1", encoding="utf-8")
    first = zip_folder(tmp_path)
    file.write_text("x = 1", encoding="utf-8")
    (tmp_path / "package").touch()
    assert zip_folder(tmp_path) == first
    file.write_text("x = 2", encoding="utf-8")
    assert zip_folder(tmp_path) != first


def test_archived_paths_are_relative_to_the_folder(tmp_path: Path) -> None:
    """A layer's python/ folder is on top of its archive."""
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "module.py").touch()
    assert zipfile.ZipFile(io.BytesIO(zip_folder(tmp_path))).namelist() == ["python/module.py"]


def test_every_function_and_layer_gets_its_own_code() -> None:
    """Functions by the folder that their handler names, layers by the ends of their names."""
    template: dict[str, Any] = {
        "Resources": {
            "Api": {"Type": "AWS::Lambda::Function", "Properties": {"Handler": "functions.api.handler.handler"}},
            "Core": {"Type": "AWS::Lambda::LayerVersion", "Properties": {"LayerName": "recado-local-api-core"}},
            "Deps": {"Type": "AWS::Lambda::LayerVersion", "Properties": {"LayerName": "recado-local-api-deps"}},
            "Queue": {"Type": "AWS::SQS::Queue"},
        }
    }
    with_code(template, _Folders(), lambda folder: {"S3Key": str(folder)})
    resources = template["Resources"]
    assert resources["Api"]["Properties"]["Code"] == {"S3Key": "functions/api"}
    assert resources["Core"]["Properties"]["Content"] == {"S3Key": "core"}
    assert resources["Deps"]["Properties"]["Content"] == {"S3Key": "deps-native"}
