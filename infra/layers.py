"""Builds the third-party layer from its lock file, without Docker: ``python -m infra.layers [aws|native]``.

Wheels are fetched for the platform the functions run on. What no function can reach is left out (the service models
of boto3 that we do not call, the place names of phone numbers), because a cold start unpacks and reads it all.
"""

import argparse
import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.assets import REPOSITORY
from infra.bytecode import FUNCTION_PYTHON, compile_folder, target_interpreter
from infra.config import LayerPlatform

LOCK = REPOSITORY / "requirements" / "functions.txt"
# The services that functions call. A missing one shows at once as botocore's UnknownServiceError.
CALLED_SERVICES = frozenset({"dynamodb", "events", "kms", "s3", "sqs", "sts"})
_UNREACHED_PHONE_DATA = ("carrierdata", "geodata", "tzdata")
_AWS_PLATFORM = ("--python-platform", "aarch64-manylinux2014", "--python-version", FUNCTION_PYTHON)
_INSTALLED_AT = "/opt/python"
_STAMP = "built-from"


def build(platform: LayerPlatform, *, build_folder: Path = REPOSITORY / "build", python: Path | None = None) -> Path:
    """Build the layer's folder unless it is there already for this very lock file.

    Args:
        platform: ``aws`` for Lambda's arm64, ``native`` for this machine.
        build_folder: where built things are kept.
        python: the interpreter that will run a native layer; this one if omitted.

    Returns:
        The folder, with ``python/`` in it.

    Raises:
        subprocess.CalledProcessError: a wheel cannot be had, or its hash is not the locked one.
    """
    interpreter = target_interpreter() if platform == "aws" else python or Path(sys.executable)
    folder = build_folder / "layers" / f"deps-{platform}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = _fingerprint(platform, interpreter)
        if not (folder / _STAMP).is_file() or (folder / _STAMP).read_text(encoding="utf-8") != stamp:
            _build(platform, folder, stamp, interpreter)
    return folder


def _build(platform: LayerPlatform, folder: Path, stamp: str, interpreter: Path | None) -> None:
    print(f"layers: building {folder.name} from {LOCK.name}", flush=True)
    fresh = folder.with_name(folder.name + ".fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    packages = fresh / "python"
    target = _AWS_PLATFORM if platform == "aws" else ("--python", str(interpreter))
    _install(target, packages)
    _prune(packages)
    if interpreter is None:
        print(f"layers: no Python {FUNCTION_PYTHON} here: without bytecode, cold starts compile what they import")
    else:
        compile_folder(interpreter, packages, _INSTALLED_AT)
    (fresh / _STAMP).write_text(stamp, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def _fingerprint(platform: LayerPlatform, interpreter: Path | None) -> str:
    digest = hashlib.sha256(LOCK.read_bytes() + Path(__file__).read_bytes())
    if platform == "aws":
        # All interpreters of one version write the same bytecode.
        digest.update(f"bytecode {interpreter is not None}".encode())
    elif interpreter is not None:
        digest.update(subprocess.run([interpreter, "-VV"], check=True, capture_output=True).stdout)
    return digest.hexdigest()


def _install(target: Sequence[str], packages: Path) -> None:
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-config", "--only-binary", ":all:"]
    command += [
        *target,
        "--link-mode",
        "copy",
        "--require-hashes",
        "--target",
        str(packages),
        "--requirement",
        str(LOCK),
    ]
    subprocess.run(command, check=True)


def _prune(packages: Path) -> None:
    for service in (packages / "botocore" / "data").iterdir():
        if service.is_dir() and service.name not in CALLED_SERVICES:
            shutil.rmtree(service)
    for name in _UNREACHED_PHONE_DATA:
        shutil.rmtree(packages / "phonenumbers" / name)
    shutil.rmtree(packages / "bin", ignore_errors=True)


def main() -> None:
    """Build the layers named on the command line, both if none is."""
    parser = argparse.ArgumentParser(prog="python -m infra.layers", description=__doc__)
    parser.add_argument("platforms", nargs="*", choices=["aws", "native", []], metavar="aws|native")
    parser.add_argument("--python", type=Path, help="the interpreter that will run a native layer")
    arguments = parser.parse_args()
    for platform in arguments.platforms or ["native", "aws"]:
        print(build(platform, python=arguments.python))


if __name__ == "__main__":
    main()
