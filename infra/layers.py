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
# A local stack runs from a layer's folder itself, so that of another lock file is left alone for a while.
_KEPT = 3


def build(platform: LayerPlatform, *, build_folder: Path = REPOSITORY / "build", python: Path | None = None) -> Path:
    """Build the layer unless it is there already for this very lock file; ``deps-<platform>`` then points to it.

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
    layers = build_folder / "layers"
    layers.mkdir(parents=True, exist_ok=True)
    with (layers / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = layers / f"deps-{platform}-{_fingerprint(platform, interpreter)[:16]}"
        if not folder.is_dir():
            _build(platform, folder, interpreter)
        folder.touch()
        _point(layers / f"deps-{platform}", folder)
        _forget_older(layers, platform)
    return folder


def _build(platform: LayerPlatform, folder: Path, interpreter: Path | None) -> None:
    print(f"layers: building deps-{platform} from {LOCK.name}", flush=True)
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
    fresh.rename(folder)


def _point(link: Path, folder: Path) -> None:
    """Let the layer's name stand for a folder; whoever uses the folder before goes on doing so."""
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)
    fresh = link.with_name(link.name + ".link")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder.name)
    fresh.replace(link)


def _forget_older(layers: Path, platform: LayerPlatform) -> None:
    kept = sorted(layers.glob(f"deps-{platform}-*"), key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in kept[_KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)


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
