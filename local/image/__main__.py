"""``python -m local.image``: builds the runner's image without a container engine and says how large it is."""

import argparse
import shlex
import subprocess
import sys
import time

from local.image.building import TAG, build, missing, size
from local.image.stand_in import NAME, NoStandInError


def main() -> int:
    """Build the image; return 1 with the reason where that is not possible."""
    parser = argparse.ArgumentParser(prog="python -m local.image", description=__doc__)
    parser.add_argument("--options", default="", help="more options of buildah bud, in one word for the shell")
    parser.add_argument("--base-python", default="python3.13", help="copied into the base image if that is missing")
    arguments = parser.parse_args()
    reason = missing()
    if reason:
        print(f"image: not built: {reason}", file=sys.stderr)
        return 1
    started = time.monotonic()
    try:
        total = build(shlex.split(arguments.options), arguments.base_python)
    except (NoStandInError, subprocess.CalledProcessError) as error:
        print(f"image: not built: {error}", file=sys.stderr)
        return 1
    own = total - size(NAME)
    print(f"image: {TAG}, {total / 1e6:.0f} MB, {own / 1e6:.0f} of them on top of the base", end=" ")
    print(f"({time.monotonic() - started:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
