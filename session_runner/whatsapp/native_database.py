"""Session files read through the SQLite that is inside the neonize library.

Python's ``sqlite3`` must never open a session file in a process that runs sessions: two SQLite libraries in one process
drop each other's POSIX locks when either closes the file (https://www.sqlite.org/howtocorrupt.html, 2.2.1). The library
exports its own SQLite's functions; using those is using the same instance. They touch none of Go's maps: no gate.
"""

import ctypes
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from session_runner.whatsapp.native import library

_READ_WRITE = 0x00000002
_FULL_MUTEX = 0x00010000
_TRANSIENT = ctypes.c_void_p(-1)
_ROW, _DONE = 100, 101
_INTEGER, _FLOAT, _TEXT, _BLOB = 1, 2, 3, 4
_BUSY_MILLISECONDS = 10_000

_open = library.sqlite3_open_v2
_open.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.c_char_p]
_close = library.sqlite3_close_v2
_close.argtypes = [ctypes.c_void_p]
_busy_timeout = library.sqlite3_busy_timeout
_busy_timeout.argtypes = [ctypes.c_void_p, ctypes.c_int]
_error_message = library.sqlite3_errmsg
_error_message.argtypes = [ctypes.c_void_p]
_error_message.restype = ctypes.c_char_p
_prepare = library.sqlite3_prepare_v2
_prepare.argtypes = [
    ctypes.c_void_p,
    ctypes.c_char_p,
    ctypes.c_int,
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.POINTER(ctypes.c_void_p),
]
_bind_text = library.sqlite3_bind_text
_bind_text.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
_step = library.sqlite3_step
_step.argtypes = [ctypes.c_void_p]
_finalize = library.sqlite3_finalize
_finalize.argtypes = [ctypes.c_void_p]
_column_count = library.sqlite3_column_count
_column_count.argtypes = [ctypes.c_void_p]
_column_type = library.sqlite3_column_type
_column_type.argtypes = [ctypes.c_void_p, ctypes.c_int]
_column_int64 = library.sqlite3_column_int64
_column_int64.argtypes = [ctypes.c_void_p, ctypes.c_int]
_column_int64.restype = ctypes.c_int64
_column_double = library.sqlite3_column_double
_column_double.argtypes = [ctypes.c_void_p, ctypes.c_int]
_column_double.restype = ctypes.c_double
_column_blob = library.sqlite3_column_blob
_column_blob.argtypes = [ctypes.c_void_p, ctypes.c_int]
_column_blob.restype = ctypes.c_void_p
_column_bytes = library.sqlite3_column_bytes
_column_bytes.argtypes = [ctypes.c_void_p, ctypes.c_int]


class NativeDatabaseError(Exception):
    """SQLite refused; the message is SQLite's own."""


class NativeDatabase:
    """One connection to a session file that exists. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self._handle = ctypes.c_void_p()
        # Not read-only: the file of a killed process has a write-ahead log that the first to open it recovers.
        code = _open(str(path).encode(), ctypes.byref(self._handle), _READ_WRITE | _FULL_MUTEX, None)
        if code != 0:
            error = self._error()
            self.close()
            raise error
        _busy_timeout(self._handle, _BUSY_MILLISECONDS)

    def query(self, statement: str, *parameters: str) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows: integers, floats, texts, bytes and None.

        Raises:
            NativeDatabaseError: SQLite refused.
        """
        prepared = ctypes.c_void_p()
        if _prepare(self._handle, statement.encode(), -1, ctypes.byref(prepared), None) != 0:
            raise self._error()
        try:
            for index, parameter in enumerate(parameters, start=1):
                encoded = parameter.encode()
                if _bind_text(prepared, index, encoded, len(encoded), _TRANSIENT) != 0:
                    raise self._error()
            rows = []
            while (code := _step(prepared)) == _ROW:
                rows.append(tuple(_value(prepared, column) for column in range(_column_count(prepared))))
            if code != _DONE:
                raise self._error()
            return rows
        finally:
            _finalize(prepared)

    def close(self) -> None:
        """Close the connection."""
        _close(self._handle)
        self._handle = ctypes.c_void_p()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _error(self) -> NativeDatabaseError:
        return NativeDatabaseError(_error_message(self._handle).decode())


def _value(prepared: ctypes.c_void_p, column: int) -> Any:
    kind = _column_type(prepared, column)
    if kind == _INTEGER:
        return _column_int64(prepared, column)
    if kind == _FLOAT:
        return _column_double(prepared, column)
    if kind not in {_TEXT, _BLOB}:
        return None
    pointer = _column_blob(prepared, column)
    content = ctypes.string_at(pointer, _column_bytes(prepared, column)) if pointer else b""
    return content.decode() if kind == _TEXT else content
