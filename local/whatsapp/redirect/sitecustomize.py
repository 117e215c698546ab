"""Makes the client in this process trust the simulator's Noise root instead of WhatsApp's.

Python imports a module of this name at start-up if it finds one on its path. This one imports nothing of
the client: it waits until ``neonize._binder`` has loaded the Go library, then finds the 32 bytes of
WhatsApp's root key in the library's writable memory and writes the simulator's over them. A process so
changed can no longer complete a handshake with the real WhatsApp.

Linux only: it reads ``/proc/self/maps``.
"""

from __future__ import annotations

import ctypes
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

MODULE = "neonize._binder"
WHATSAPP_ROOT = bytes.fromhex("142375574d0a587166aae71ebe516437c4a28b73e3695c6ce1f7f9545da8ee6b")
SIMULATOR_ROOT = bytes.fromhex("4982f99e342690649dfd86bd324ba5c5a2f6bdbf8e26d99c118345626b0ea378")


class RootKeyError(ImportError):
    """The client's library does not hold WhatsApp's root key exactly once: it is another version."""


def _writable_mappings(library: str) -> list[tuple[int, int]]:
    mappings = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        parts = line.split(maxsplit=5)
        if len(parts) == 6 and Path(parts[5]).name == library and parts[1].startswith("rw"):
            start, end = (int(part, 16) for part in parts[0].split("-"))
            mappings.append((start, end))
    return mappings


def exchange_root(library: str) -> None:
    """Write the simulator's root key over WhatsApp's in a loaded library.

    Args:
        library: file name of the loaded library.

    Raises:
        RootKeyError: the key is not there exactly once.
    """
    found = []
    for start, end in _writable_mappings(library):
        memory = ctypes.string_at(start, end - start)
        position = memory.find(WHATSAPP_ROOT)
        while position >= 0:
            found.append(start + position)
            position = memory.find(WHATSAPP_ROOT, position + 1)
    if len(found) != 1:
        raise RootKeyError(
            f"{library} holds WhatsApp's Noise root key {len(found)} times in writable memory, expected once; "
            "this client cannot be turned towards the simulator"
        )
    ctypes.memmove(found[0], SIMULATOR_ROOT, len(SIMULATOR_ROOT))


class _PatchingLoader(Loader):
    """Loads the module as usual and exchanges the root key right after."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        exchange_root(Path(module.gocode._name).name)  # noqa: SLF001 - ctypes keeps the path there


class _PatchingFinder(MetaPathFinder):
    """Finds one module and wraps its loader."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != MODULE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _PatchingLoader(spec.loader)
        return spec


sys.meta_path.insert(0, _PatchingFinder())
