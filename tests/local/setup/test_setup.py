"""``make setup`` on machines that lack something: it says what, and what to do."""

import shutil
import subprocess
from pathlib import Path

from local.stack.state import CHECKOUT

_TOOLS = ("awk", "cat", "cksum", "dirname", "grep", "rm", "sed", "sh")


def _set_up(folder: Path, *, python: str) -> subprocess.CompletedProcess[str]:
    """Run the script in a copy of the checkout's beginnings, with one Python on the path that answers as given."""
    (folder / "local").mkdir()
    shutil.copy(CHECKOUT / "local" / "setup.sh", folder / "local")
    shutil.copytree(CHECKOUT / "requirements", folder / "requirements")
    tools = folder / "tools"
    tools.mkdir()
    for tool in _TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (tools / tool).symlink_to(found)
    (tools / "python3").write_text(f"#!/bin/sh\n{python}\n", encoding="utf-8")
    (tools / "python3").chmod(0o755)
    script = str(folder / "local" / "setup.sh")
    return subprocess.run(["sh", script], env={"PATH": str(tools)}, capture_output=True, text=True, check=False)


def test_an_old_python_is_named_with_what_to_do(tmp_path: Path) -> None:
    """The version that is there, the version that is needed, and how to name another."""
    finished = _set_up(tmp_path, python='[ "$1" = -V ] && echo "Python 3.10.13" || exit 1')
    assert finished.returncode == 1
    assert "Python 3.11 or newer is needed; the python3 here is: Python 3.10.13" in finished.stderr
    assert "PYTHON=/path/to/python3.13" in finished.stderr


def test_a_python_without_venv_is_told_apart(tmp_path: Path) -> None:
    """Debian and Ubuntu ship the venv module apart from Python."""
    finished = _set_up(tmp_path, python='[ "$1" = -m ] && exit 1; echo "Python 3.12.3"')
    assert finished.returncode == 1
    assert "apt install python3-venv" in finished.stderr
    assert not (tmp_path / ".venv").exists()


def test_the_script_is_plain_shell() -> None:
    """It parses with sh, without bash's own words."""
    subprocess.run(["sh", "-n", str(CHECKOUT / "local" / "setup.sh")], check=True)
