"""Building the runner's image with buildah, from the very folder that the CDK would hand to Docker."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from infra.assets import DOCKERFILE, StagedAssets
from local.image.stand_in import NAME, make_stand_in

TAG = "localhost/recado-runner:local"


def missing() -> str | None:
    """Return what keeps this machine from building and starting images, None if nothing does."""
    if shutil.which("buildah") is None:
        return "buildah is missing (apt install buildah)"
    if os.geteuid() != 0:
        return "only root can make containers without an engine"
    return None


def build(options: Sequence[str], base_python: str) -> int:
    """Build the image and return its size in bytes.

    The base image is made here if it is not there yet: pull it beforehand where a registry can be reached.

    Args:
        options: more options for ``buildah bud``, such as volumes with this machine's settings of pip.
        base_python: the Python 3.13 for the base image, if that has to be made.

    Raises:
        NoStandInError: the base image cannot be made.
        subprocess.CalledProcessError: a step of the Dockerfile failed; what it printed stands above.
    """
    if not exists(NAME):
        make_stand_in(base_python)
    with tempfile.TemporaryDirectory(prefix="recado-image-") as temporary:
        folder = StagedAssets(staging=Path(temporary)).runner_image()
        command = ["buildah", "bud", "--isolation", "chroot", "--pull-never", "--layers=false", *options]
        command += ["--file", str(folder / DOCKERFILE), "--tag", TAG, str(folder)]
        subprocess.run(command, check=True, stdout=sys.stderr)
    return size(TAG)


def exists(name: str) -> bool:
    """Whether buildah's store holds an image of this name."""
    command = ["buildah", "inspect", "--type", "image", name]
    return subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def size(name: str) -> int:
    """Return an image's size in bytes, unpacked."""
    listed = subprocess.run(["buildah", "images", "--json", name], check=True, stdout=subprocess.PIPE)
    text = str(json.loads(listed.stdout)[0]["size"])
    number, unit = text.split()
    return int(float(number) * {"KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}[unit])
