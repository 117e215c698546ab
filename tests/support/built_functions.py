"""Functions started as Lambda starts them: from the built assets alone, under Lambda's own runtime.

The interpreter is isolated (``-I -S``): nothing that happens to be installed here can be imported, only what lies in
the function's asset (``/var/task``), the two layers (``/opt/python``) and the runtime itself (``/var/runtime``).
Lambda's own runtime also brings a boto3; here it does not, since the layer's own is the one that we tested with.
"""

import contextlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra import layers
from infra.assets import StagedAssets
from tests.support.runtime_api import RuntimeApi

_RUNTIME_MODULES = ("awslambdaric", "runtime_client", "snapshot_restore_py", "simplejson")
_START = """
import sys
sys.path[:0] = sys.argv[2:]
from awslambdaric.__main__ import main
main(sys.argv[:2])
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """What Lambda lays out for a function.

    Attributes:
        name: the function's folder.
        task: its asset, ``/var/task``.
        layers: both layers in one, ``/opt/python``.
        runtime: Lambda's runtime, ``/var/runtime``.
    """

    name: str
    task: Path
    layers: Path
    runtime: Path


def install(name: str, folder: Path, *, without: Collection[str] = (), interpreter: Path | None = None) -> Installation:
    """Lay a function out below a folder.

    Args:
        name: the function's folder in ``functions/``.
        folder: an empty one.
        without: names at the top of the layers that are left out.
        interpreter: whose bytecode is put beside our own sources, as when it is deployed.
    """
    staged = StagedAssets(staging=folder / "staged", interpreter=interpreter)
    opt, runtime = folder / "opt" / "python", folder / "var" / "runtime"
    opt.mkdir(parents=True)
    runtime.mkdir(parents=True)
    for layer in (staged.core_layer(), layers.build("native")):
        for entry in (layer / "python").iterdir():
            if entry.name not in without:
                (opt / entry.name).symlink_to(entry)
    for module in _RUNTIME_MODULES:
        spec = importlib.util.find_spec(module)
        assert spec is not None, module
        assert spec.origin is not None, module
        place = Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)
        (runtime / place.name).symlink_to(place)
    return Installation(name, staged.function(name), opt, runtime)


@contextlib.contextmanager
def running(
    installation: Installation, environment: Mapping[str, str], log: Path, timeout_seconds: float
) -> Iterator[RuntimeApi]:
    """Start the function and end it in the end.

    Args:
        installation: as laid out.
        environment: what the function is told beside what Lambda itself tells it.
        log: where its output goes.
        timeout_seconds: how long it is told that it may take for an event.
    """
    function_name = f"recado-test-{installation.name.replace('_', '-')}"
    api = RuntimeApi(function_name, timeout_seconds)
    with api.serving(), log.open("wb") as output:
        handler = f"functions.{installation.name}.handler.handler"
        paths = (installation.task, installation.layers, installation.runtime)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-c", _START, handler, *map(str, paths)],
            cwd=installation.task,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={
                "PATH": os.defpath,
                "LANG": "en_US.UTF-8",
                "TZ": ":UTC",
                "_HANDLER": handler,
                "LAMBDA_TASK_ROOT": str(installation.task),
                "LAMBDA_RUNTIME_DIR": str(installation.runtime),
                "AWS_LAMBDA_RUNTIME_API": api.address,
                "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
                "AWS_LAMBDA_FUNCTION_NAME": function_name,
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
                "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
                "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function_name}",
                "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/22/[$LATEST]0",
                **environment,
            },
        )
        try:
            yield api
        finally:
            process.kill()
            process.wait()
