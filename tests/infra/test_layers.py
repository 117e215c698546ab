"""The third-party layers as they are built: for this machine and for Lambda's arm64."""

from pathlib import Path

import pytest

from infra import layers
from infra.bytecode import FUNCTION_PYTHON, target_interpreter

UNREACHED = ("carrierdata", "geodata", "tzdata")
_ELF = b"\x7fELF"
_AARCH64 = 0xB7
"""The machine in an ELF header: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html"""


@pytest.fixture(scope="module")
def third_party() -> Path:
    """The third-party layer, built for this interpreter."""
    return layers.build("native") / "python"


@pytest.fixture(scope="module")
def for_lambda() -> Path:
    """The third-party layer, built for Lambda."""
    return layers.build("aws") / "python"


def distributions(packages: Path) -> set[str]:
    return {folder.name for folder in packages.glob("*.dist-info")}


def extensions(packages: Path) -> dict[str, Path]:
    """Return the compiled modules by their names without the interpreter's and the platform's part."""
    found = (path for path in packages.rglob("*.so*") if path.is_file())
    return {str(path.relative_to(packages).with_name(path.name.partition(".")[0])): path for path in found}


def test_the_layer_for_lambda_holds_what_the_tested_one_holds(third_party: Path, for_lambda: Path) -> None:
    """The same distributions in the same versions, and every compiled module of one is in the other."""
    assert distributions(for_lambda) == distributions(third_party)
    assert distributions(for_lambda)
    assert set(extensions(for_lambda)) == set(extensions(third_party))


def test_whatever_is_compiled_in_the_layer_for_lambda_is_for_its_processor(for_lambda: Path) -> None:
    """One shared object for another machine would fail on Lambda only."""
    objects = extensions(for_lambda)
    assert objects
    for name, path in objects.items():
        with path.open("rb") as file:
            header = file.read(20)
        assert header[:4] == _ELF, name
        assert int.from_bytes(header[18:20], "little") == _AARCH64, name


def test_the_layer_for_lambda_holds_bytecode_of_lambdas_python(for_lambda: Path) -> None:
    """Every source has it, unless this machine has no Python of that version."""
    if target_interpreter() is None:
        pytest.skip(f"no Python {FUNCTION_PYTHON} on this machine")
    tag = f"cpython-{FUNCTION_PYTHON.replace('.', '')}"
    compiled = {path.name.partition(".")[0] for path in for_lambda.rglob(f"*.{tag}.pyc")}
    assert {path.stem for path in for_lambda.rglob("*.py")} == compiled


def test_the_third_party_layer_leaves_room_below_lambdas_limit(for_lambda: Path) -> None:
    """250 MB unpacked for code and layers together."""
    assert sum(path.stat().st_size for path in for_lambda.rglob("*") if path.is_file()) < 90_000_000


def test_a_built_layer_is_not_built_again(third_party: Path) -> None:
    """With lock file and interpreter unchanged the packages stay as they are."""
    before = third_party.stat().st_mtime_ns
    assert layers.build("native") / "python" == third_party
    assert third_party.stat().st_mtime_ns == before


def test_a_layer_of_another_lock_file_leaves_the_one_in_use_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running stack keeps its folder; the layer's name points to the newest; of the old ones only a few stay."""

    def install(_target: object, packages: Path) -> None:
        for name in ("botocore/data/dynamodb", "botocore/data/ec2", *(f"phonenumbers/{part}" for part in UNREACHED)):
            (packages / name).mkdir(parents=True)

    monkeypatch.setattr(layers, "_install", install)
    monkeypatch.setattr(layers, "LOCK", tmp_path / "functions.txt")
    built = []
    for number in range(4):
        layers.LOCK.write_text(f"package=={number}", encoding="utf-8")
        built.append(layers.build("native", build_folder=tmp_path))
        assert (tmp_path / "layers" / "deps-native").resolve() == built[-1]
        assert not (built[-1] / "python/botocore/data/ec2").exists()
    assert [folder.is_dir() for folder in built] == [False, True, True, True]
