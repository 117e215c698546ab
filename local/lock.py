"""``python -m local.lock``: writes every lock file anew from its ``.in`` file.

The development lock comes first and constrains the others, so that tests run against the versions that are deployed.
The emulator's stands alone: it pins versions of its own.
"""

import subprocess
import sys

from local.stack.state import CHECKOUT

_CONSTRAINED = ("functions", "runner", "infra")
_ALONE = ("bootstrap", "emulator")


def main() -> None:
    """Lock everything."""
    _lock("development")
    for name in _CONSTRAINED:
        _lock(name, "--constraint", "requirements/development.txt")
    for name in _ALONE:
        _lock(name)


def _lock(name: str, *options: str) -> None:
    print(f"lock: requirements/{name}.txt", flush=True)
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--upgrade", "--generate-hashes", "--universal"]
    command += ["--python-version", "3.11", "--no-header", *options]
    command += ["--output-file", f"requirements/{name}.txt", f"requirements/{name}.in"]
    subprocess.run(command, cwd=CHECKOUT, check=True)


if __name__ == "__main__":
    main()
