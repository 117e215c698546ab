"""The folder that holds a stack's state."""

import stat
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
