"""Python's compiled form of what is uploaded: without it every cold start compiles what it imports, and keeps nothing.

Lambda's folders are read-only for the function, so what is not compiled beforehand is compiled each time. Bytecode
belongs to one version of Python and to no processor; a machine without that version uploads sources alone, which
work too, only slower.
"""

import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

FUNCTION_PYTHON = "3.13"
"""The version that the functions run on."""

_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


@lru_cache(maxsize=1)
def target_interpreter() -> Path | None:
    """Return an interpreter of the version that Lambda runs, None if this machine has none."""
    name = f"python{FUNCTION_PYTHON}"
    found = shutil.which(name)
    candidates = [Path(sys.executable), *([Path(found)] if found else [])]
    candidates += sorted(Path.home().glob(f".pyenv/versions/{FUNCTION_PYTHON}.*/bin/{name}"))
    return next((candidate for candidate in candidates if _version(candidate) == FUNCTION_PYTHON), None)


def compile_folder(interpreter: Path, folder: Path, installed_at: str) -> None:
    """Write bytecode beside every source of a folder, the same bytes for the same sources.

    It is never checked against the sources, because unpacking gives them new times. A source that does not compile is
    left to whoever imports it.

    Args:
        interpreter: whose version of bytecode is written.
        folder: with the sources.
        installed_at: where the folder will be, for tracebacks.
    """
    options = ["-qq", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", installed_at]
    subprocess.run([interpreter, "-I", "-m", "compileall", *options, folder], check=False)


def _version(interpreter: Path) -> str:
    # A shim of that name may stand for nothing; then it fails, and the next candidate is asked.
    asked = subprocess.run([interpreter, "-I", "-c", _VERSION], capture_output=True, text=True, check=False)
    return asked.stdout.strip()
