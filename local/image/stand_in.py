"""A stand-in for the official Python image, for machines that reach Debian's packages but no image registry.

Debian's minimal system of the same release, and a CPython of the same version that is installed here, under the name
by which the Dockerfile asks for it. What it shows about the Dockerfile holds for the real base; its size does not.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NAME = "docker.io/library/python:3.13-slim-bookworm"
_PYTHON = "python3.13"
_RELEASE = "bookworm"
_MIRROR = "http://deb.debian.org/debian"
_LIBRARIES = (
    *("ca-certificates", "libbz2-1.0", "libexpat1", "libffi8", "liblzma5", "libreadline8", "libsqlite3-0"),
    *("libssl3", "libuuid1", "netbase", "tzdata", "zlib1g"),
)
_UNNEEDED = shutil.ignore_patterns("__pycache__", "test", "idlelib", "tkinter", "config-3.*", "site-packages")


class NoStandInError(Exception):
    """Something needed for the stand-in is missing here; says what."""


def make_stand_in(python: str) -> None:
    """Put the stand-in into buildah's store; takes about a minute.

    Args:
        python: a CPython 3.13 of this machine, which is copied.

    Raises:
        NoStandInError: debootstrap or a Python 3.13 is missing.
        subprocess.CalledProcessError: one of the tools failed.
    """
    if shutil.which("debootstrap") is None:
        raise NoStandInError("debootstrap is missing (apt install debootstrap)")
    prefix = _prefix_of(python)
    with tempfile.TemporaryDirectory(prefix="recado-base-") as temporary:
        root = Path(temporary) / "root"
        subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={','.join(_LIBRARIES)}", _RELEASE, root, _MIRROR],
            check=True,
            stdout=sys.stderr,
        )
        _install_python(prefix, root)
        _commit(root)


def _prefix_of(python: str) -> Path:
    look = "import sys; assert sys.version_info[:2] == (3, 13); print(sys.base_prefix)"
    try:
        found = subprocess.run([python, "-c", look], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoStandInError(f"{python} is no Python 3.13, and the base image has to have one") from error
    return Path(found.stdout.strip())


def _install_python(prefix: Path, root: Path) -> None:
    local = root / "usr" / "local"
    for part in ("bin", "lib"):
        shutil.copytree(prefix / part, local / part, symlinks=True, ignore=_UNNEEDED, dirs_exist_ok=True)
    (local / "lib" / _PYTHON / "site-packages").mkdir()
    subprocess.run(["chroot", root, "ldconfig"], check=True)
    subprocess.run(["chroot", root, f"/usr/local/bin/{_PYTHON}", "-m", "ensurepip", "--default-pip"], check=True)
    for name in ("python", "python3"):
        (local / "bin" / name).unlink(missing_ok=True)
        (local / "bin" / name).symlink_to(_PYTHON)


def _commit(root: Path) -> None:
    container = _buildah("from", "scratch")
    try:
        _buildah("copy", "--quiet", container, str(root), "/")
        path = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
        _buildah("config", "--env", f"PATH={path}", "--env", "LANG=C.UTF-8", "--cmd", "python3", container)
        _buildah("commit", "--quiet", container, NAME)
    finally:
        _buildah("rm", container)


def _buildah(*arguments: str) -> str:
    finished = subprocess.run(["buildah", *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return finished.stdout.strip()
