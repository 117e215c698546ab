"""The token dictionaries of WhatsApp's binary XML, read from the installed client library.

Both sides must use the same dictionaries, and they change with the protocol. Instead of copying them, the
simulator reads them out of the Go shared library that neonize ships: a Go string is a (pointer, length)
pair, the pointers of a position-independent library are listed as ELF relocations, and the arrays start
with strings that are known and unusual.
"""

from __future__ import annotations

import importlib.util
import struct
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

SINGLE_COUNT = 236
DOUBLE_DICTIONARIES = 4
DOUBLE_COUNT = 256

_SINGLE_MARK = (b"xmlstreamstart", b"xmlstreamend")
_DOUBLE_MARK = (b"read-self", b"active")
_HEADER_SIZE = 16
_RELATIVE_RELOCATIONS = {62: 8, 183: 1027}  # machine -> R_X86_64_RELATIVE, R_AARCH64_RELATIVE
_SECTION_RELA = 4
_SEGMENT_LOAD = 1


class TokensNotFoundError(RuntimeError):
    """The client library is missing or does not hold the dictionaries where they are expected."""


@dataclass(frozen=True)
class Dictionaries:
    """236 single-byte tokens (the first is empty) and four times 256 double-byte tokens."""

    single: tuple[str, ...]
    double: tuple[tuple[str, ...], ...]
    single_index: dict[str, int] = field(init=False, repr=False)
    double_index: dict[str, tuple[int, int]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "single_index", {t: i for i, t in enumerate(self.single) if t})
        index = {t: (d, i) for d, tokens in enumerate(self.double) for i, t in enumerate(tokens) if t}
        object.__setattr__(self, "double_index", index)


EMPTY = Dictionaries(single=("",), double=())
"""No tokens at all: what is stored on disk must not depend on a dictionary version."""


class _Library:
    """A 64-bit little-endian ELF library: relocated pointers and the bytes they point at."""

    def __init__(self, data: bytes) -> None:
        if data[:6] != b"\x7fELF\x02\x01":
            raise TokensNotFoundError("the client library is not a 64-bit little-endian ELF file")
        self._data = data
        machine = struct.unpack_from("<H", data, 18)[0]
        if machine not in _RELATIVE_RELOCATIONS:
            raise TokensNotFoundError(f"client library for an unknown machine type {machine}")
        self._segments = self._read_segments()
        self.pointers = self._read_pointers(_RELATIVE_RELOCATIONS[machine])

    def _read_segments(self) -> list[tuple[int, int, int]]:
        offset, size, count = *struct.unpack_from("<Q", self._data, 32), *struct.unpack_from("<HH", self._data, 54)
        segments = []
        for index in range(count):
            kind, _flags, at, address, _physical, length = struct.unpack_from(
                "<IIQQQQ", self._data, offset + index * size
            )
            if kind == _SEGMENT_LOAD:
                segments.append((address, length, at))
        return segments

    def _read_pointers(self, relative: int) -> dict[int, int]:
        offset = struct.unpack_from("<Q", self._data, 40)[0]
        size, count = struct.unpack_from("<HH", self._data, 58)
        pointers: dict[int, int] = {}
        for index in range(count):
            _name, kind, _flags, _address, at, length = struct.unpack_from("<IIQQQQ", self._data, offset + index * size)
            if kind != _SECTION_RELA:
                continue
            entries = struct.iter_unpack("<QQq", self._data[at : at + length])
            pointers |= {where: addend for where, info, addend in entries if info & 0xFFFFFFFF == relative}
        return pointers

    def read(self, address: int, length: int) -> bytes:
        for start, size, at in self._segments:
            if start <= address and address + length <= start + size:
                begin = at + address - start
                return self._data[begin : begin + length]
        raise TokensNotFoundError(f"address {address:#x} is not in the file")

    def string_at(self, header: int) -> str:
        """The Go string whose header stands at ``header``; a null pointer is the empty string."""
        length = struct.unpack("<Q", self.read(header + 8, 8))[0]
        if header not in self.pointers or length == 0:
            return ""
        if length > 1024:
            raise TokensNotFoundError("a token is implausibly long")
        return self.read(self.pointers[header], length).decode("utf-8")

    def headers_of(self, mark: tuple[bytes, bytes]) -> list[int]:
        """Addresses at which the two strings of ``mark`` stand one after the other in an array."""
        found = []
        for where, target in self.pointers.items():
            if self._is(where, target, mark[0]):
                following = self.pointers.get(where + _HEADER_SIZE)
                if following is not None and self._is(where + _HEADER_SIZE, following, mark[1]):
                    found.append(where)
        return found

    def _is(self, header: int, target: int, text: bytes) -> bool:
        try:
            length = struct.unpack("<Q", self.read(header + 8, 8))[0]
            return bool(length == len(text) and self.read(target, len(text)) == text)
        except TokensNotFoundError:
            return False


def _double_arrays(library: _Library, first: int) -> list[int]:
    """Start addresses of the four double-byte arrays, through the slice headers that list them."""
    holders = [where for where, target in library.pointers.items() if target == first]
    for where in holders:
        starts = []
        for index in range(DOUBLE_DICTIONARIES):
            header = where + index * 24
            if header not in library.pointers or library.read(header + 8, 16) != struct.pack(
                "<QQ", DOUBLE_COUNT, DOUBLE_COUNT
            ):
                break
            starts.append(library.pointers[header])
        if len(starts) == DOUBLE_DICTIONARIES:
            return starts
    raise TokensNotFoundError("the double-byte dictionaries are not listed as four slices of 256 strings")


def read_dictionaries(library_path: Path) -> Dictionaries:
    """Read the dictionaries out of a client library.

    Raises:
        TokensNotFoundError: the file has another shape than the one known.
    """
    library = _Library(library_path.read_bytes())
    singles = {library_start - _HEADER_SIZE for library_start in library.headers_of(_SINGLE_MARK)}
    doubles = library.headers_of(_DOUBLE_MARK)
    if not singles or not doubles:
        raise TokensNotFoundError("the token dictionaries were not found in the client library")
    start = min(singles)
    single = tuple(library.string_at(start + index * _HEADER_SIZE) for index in range(SINGLE_COUNT))
    double = tuple(
        tuple(library.string_at(array + index * _HEADER_SIZE) for index in range(DOUBLE_COUNT))
        for array in _double_arrays(library, min(doubles))
    )
    return Dictionaries(single=single, double=double)


def client_library() -> Path:
    """Path of the shared library of the installed neonize, without importing it.

    Raises:
        TokensNotFoundError: neonize is not installed, or has no library for this machine.
    """
    spec = importlib.util.find_spec("neonize")
    if spec is None or spec.origin is None:
        raise TokensNotFoundError("neonize is not installed in this environment")
    libraries = sorted(Path(spec.origin).parent.glob("neonize-linux-*.so"))
    if len(libraries) != 1:
        raise TokensNotFoundError(f"expected one neonize-linux-*.so, found {len(libraries)}")
    return libraries[0]


@lru_cache(maxsize=1)
def installed_dictionaries() -> Dictionaries:
    """The dictionaries of the installed client (read once)."""
    return read_dictionaries(client_library())
