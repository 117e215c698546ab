"""A fresh local stack for one measurement, in a temporary folder and on free ports."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.platform import Addresses
from tests.support.running_stack import RunningStack


@contextmanager
def running_stack() -> Iterator[Addresses]:
    """Start a stack without demo data, and stop it and remove its folder afterwards."""
    with tempfile.TemporaryDirectory(prefix="recado-bench-") as folder:
        stack = RunningStack(Path(folder))
        print(f"starting a stack in {folder}", flush=True)
        stack.start("--no-demo")
        try:
            yield addresses_of(stack)
        finally:
            stack.stop()


def addresses_of(stack: RunningStack) -> Addresses:
    """Return where a running stack listens."""
    return Addresses(
        api=stack.url, phones=str(stack.described["phones_url"]), admin_key=stack.admin_key, state=stack.folder
    )
