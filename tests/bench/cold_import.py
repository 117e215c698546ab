"""What a cold start spends on importing: ``python -m tests.bench.cold_import``; the last line is one JSON object.

Each figure comes from fresh isolated interpreters over the built asset and layers, with bytecode as deployed. The
baseline is measured in the same run, in turns: for the API ``import fastapi``, for the workers ``import boto3`` and one
client, from the same layers. Absolute times are this machine's; the ratios carry over.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from local.stack.state import CHECKOUT
from tests.support.aws import ENVIRONMENT
from tests.support.built_functions import Installation, install

_BASELINES = {"api": "import fastapi"}
_WORKERS_BASELINE = 'import boto3; boto3.client("dynamodb", region_name="sa-east-1")'
_MEASURED = """
import sys, time
sys.path[:0] = sys.argv[2:]
code = compile(sys.argv[1], "measured", "exec")
begun = time.perf_counter()
exec(code)
print(time.perf_counter() - begun)
"""
_ENVIRONMENT = {**ENVIRONMENT, "PATH": os.defpath, "AWS_LAMBDA_FUNCTION_NAME": "recado-bench"}
FUNCTIONS = sorted(path.parent.name for path in CHECKOUT.glob("functions/*/handler.py"))


class ColdImport(TypedDict):
    """Medians in milliseconds, and how many times its baseline a function takes."""

    ms: float
    baseline_ms: float
    ratio: float


def statements(name: str) -> tuple[str, str]:
    """Return what a function's cold start imports, and what it is compared with."""
    return f"import functions.{name}.handler", _BASELINES.get(name, _WORKERS_BASELINE)


def seconds(statement: str, installation: Installation, options: Sequence[str] = ()) -> float:
    """Return how long a statement takes in a fresh interpreter that sees only a function's asset and layers."""
    command = [sys.executable, "-I", "-S", "-B", *options, "-c", _MEASURED, statement]
    command += [str(installation.task), str(installation.layers)]
    finished = subprocess.run(command, env=_ENVIRONMENT, capture_output=True, text=True, check=True)
    return float(finished.stdout)


def cold_import(names: Sequence[str], runs: int) -> dict[str, ColdImport]:
    """Measure functions and their baselines in turns.

    Args:
        names: the functions' folders.
        runs: how many fresh interpreters for each; one more warms the file cache.
    """
    with tempfile.TemporaryDirectory() as folder:
        installed = {name: install(name, Path(folder) / name, interpreter=Path(sys.executable)) for name in names}
        taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in names}
        for turn in range(runs + 1):
            for name in names:
                for statement, durations in zip(statements(name), taken[name], strict=True):
                    duration = seconds(statement, installed[name])
                    if turn:
                        durations.append(duration)
    return {name: _summed_up(*durations) for name, durations in taken.items()}


def _summed_up(ours: Sequence[float], baseline: Sequence[float]) -> ColdImport:
    median, of_baseline = statistics.median(ours), statistics.median(baseline)
    return ColdImport(
        ms=round(median * 1000, 1), baseline_ms=round(of_baseline * 1000, 1), ratio=round(median / of_baseline, 2)
    )


def main() -> None:
    """Measure the functions named on the command line, all if none is."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cold_import", description=__doc__)
    parser.add_argument("functions", nargs="*", metavar="function", help="folders of functions/")
    parser.add_argument("--runs", type=int, default=15, help="fresh interpreters for each figure")
    chosen = parser.parse_args()
    print(json.dumps(cold_import(chosen.functions or FUNCTIONS, chosen.runs)))


if __name__ == "__main__":
    main()
