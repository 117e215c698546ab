"""What a ready stack tells."""

import os
import pty
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from local.stack.announcement import Addresses, banner, write_shell_file
from local.stack.demo import Demo, DemoClinic
from local.stack.report import Report
from local.stack.state import StateFolder
from local.stack.terminal import on_hangup

_ADDRESSES = Addresses(api="http://127.0.0.1:8080", phones="http://127.0.0.1:8090", emulator="http://127.0.0.1:4570")
_DEMO = Demo("rk_admin", {"aurora": DemoClinic("Clínica Aurora", "cli_1", "rk_local_$HOME'x")})


def test_a_shell_that_sources_the_file_knows_addresses_and_keys(tmp_path: Path) -> None:
    """Values reach the shell as they are, whatever characters they hold; nobody else can read the file."""
    state = StateFolder(tmp_path)
    write_shell_file(state, _ADDRESSES, _DEMO)
    shell = shutil.which("sh")
    assert shell is not None
    command = f'. "{state.shell_file}"; printf "%s|" "$RECADO_URL" "$RECADO_ADMIN_KEY" "$PHONES_URL" "$AURORA_CLINIC"'
    read = subprocess.run([shell, "-c", command + ' "$AURORA_KEY"'], capture_output=True, text=True, check=True)
    expected = "http://127.0.0.1:8080|rk_admin|http://127.0.0.1:8090|cli_1|rk_local_$HOME'x|"
    assert read.stdout == expected
    assert stat.S_IMODE(state.shell_file.stat().st_mode) == 0o600


def test_the_real_whatsapp_comes_with_a_warning_and_without_phones() -> None:
    """Whoever switches to the real network reads of the risk of bans at the end of the start."""
    addresses = Addresses(api="http://127.0.0.1:8080", phones=None, emulator="http://127.0.0.1:4570")
    text = banner(addresses, _DEMO, "real", ".local/env")
    assert "bans numbers" in text
    assert "phones" not in text.splitlines()[0]
    assert "bans numbers" not in banner(_ADDRESSES, _DEMO, "simulated", ".local/env")


def test_a_closed_terminal_does_not_keep_the_stack_from_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the terminal is gone, reports go to the log alone."""

    def closed(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("builtins.print", closed)
    Report(tmp_path / "stack.log")("stopping")
    assert "stopping" in (tmp_path / "stack.log").read_text()


def test_a_terminal_that_goes_without_a_signal_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where make is the terminal's first program, the kernel tells only make."""
    terminal, ours = pty.openpty()
    told = threading.Event()
    with os.fdopen(ours) as standard_input:
        monkeypatch.setattr(sys, "stdin", standard_input)
        on_hangup(told.set)
        assert not told.wait(0.1)
        os.close(terminal)
        assert told.wait(10)
