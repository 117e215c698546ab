"""The folder that holds a stack's state."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from local.stack.state import StackRunningError, StateFolder, read_json, write_private


def test_only_its_owner_can_look_into_the_folder(tmp_path: Path) -> None:
    """It holds keys and sessions."""
    state = StateFolder(tmp_path / "state")
    state.make()
    assert stat.S_IMODE(state.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(state.whatsapp.stat().st_mode) == 0o700


def test_a_folder_serves_one_stack_at_a_time(tmp_path: Path) -> None:
    """A second stack in the same folder is refused, and let in when the first is gone."""
    state = StateFolder(tmp_path)
    with state.held(), pytest.raises(StackRunningError, match="already running"), state.held():
        pass
    with state.held():
        assert state.logs.is_dir()


def test_what_a_killed_run_left_behind_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A part that is still saving holds the folder after its supervisor is gone; then the next run gets it."""
    state = StateFolder(tmp_path)
    with state.held() as holding:
        left_behind = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.5)"], pass_fds=[holding])
        (state.root / "lock").write_text("999999999")  # the id of a supervisor that is no more
    with state.held():
        assert left_behind.poll() is not None or left_behind.wait(1) == 0
    assert "left behind" in capsys.readouterr().out


def test_private_files_are_private_and_whole(tmp_path: Path) -> None:
    """Written aside and moved into place, readable by the owner only, also when they were there before."""
    file = tmp_path / "keys.json"
    write_private(file, '{"a": 1}')
    write_private(file, '{"a": 2}')
    assert read_json(file) == {"a": 2}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    """A new folder is no error."""
    assert read_json(tmp_path / "none.json") is None
