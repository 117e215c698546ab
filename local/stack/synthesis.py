"""The templates of the ``local`` stage, synthesised once for each state of what they are made from."""

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from local.node import node
from local.stack.environment import base_environment
from local.stack.state import CHECKOUT

STAGE = "local"
_INPUTS = ("infra/**/*.py", "cdk.json", "requirements/infra.txt")
_KEPT_SYNTHESES = 3


class SynthesisError(Exception):
    """The CDK app failed; carries what it printed."""


@dataclass(frozen=True, slots=True)
class Template:
    """A stack's name and its template, in the order in which stacks are to be deployed."""

    stack: str
    body: dict[str, Any]


def templates(
    stage: str = STAGE, *, settings: Mapping[str, Any] | None = None, build: Path = CHECKOUT / "build"
) -> list[Template]:
    """Return the stage's templates with placeholders for the code, from the cache if nothing they depend on changed.

    Args:
        stage: one of ``cdk.json``, or the name of one that is described here.
        settings: the stage's settings, for one that is not in ``cdk.json``.
        build: where the cache is.

    Raises:
        SynthesisError: the CDK app failed.
    """
    cache = build / "templates"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"{stage}-{_fingerprint(settings)[:16]}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "manifest.json").is_file():
            print("synthesising the CloudFormation templates (once; kept until infra/ changes)", flush=True)
            _synthesise(stage, settings, folder)
            _forget_older(cache, stage)
    return list(_read(folder))


def _fingerprint(settings: Mapping[str, Any] | None) -> str:
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for pattern in _INPUTS:
        for path in sorted(CHECKOUT.glob(pattern)):
            digest.update(str(path.relative_to(CHECKOUT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _synthesise(stage: str, settings: Mapping[str, Any] | None, folder: Path) -> None:
    fresh = folder.with_name(folder.name + ".fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    context: dict[str, Any] = {"stage": stage, "placeholder_assets": str(fresh / "placeholders")}
    if settings is not None:
        context["stages"] = {stage: settings}
    environment = {
        **base_environment(),
        "CDK_OUTDIR": str(fresh),
        "CDK_CONTEXT_JSON": json.dumps(context),
        # The Node that came with the Python packages: none need be installed, and its age is the one we locked.
        "JSII_NODE": str(node()),
    }
    fresh.mkdir(parents=True)
    finished = subprocess.run(
        [sys.executable, "-m", "infra.app"], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )
    if finished.returncode != 0:
        raise SynthesisError(finished.stderr or finished.stdout)
    fresh.rename(folder)


def _forget_older(cache: Path, stage: str) -> None:
    kept = sorted(cache.glob(f"{stage}-*"), key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in kept[_KEPT_SYNTHESES:]:
        shutil.rmtree(folder, ignore_errors=True)


def _read(folder: Path) -> Iterator[Template]:
    artifacts = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["artifacts"]
    stacks = {name: entry for name, entry in artifacts.items() if entry["type"] == "aws:cloudformation:stack"}
    done: set[str] = set()
    while len(done) < len(stacks):
        for name, entry in stacks.items():
            needed = {other for other in entry.get("dependencies", ()) if other in stacks}
            if name in done or not needed <= done:
                continue
            done.add(name)
            file = folder / cast("str", entry["properties"]["templateFile"])
            yield Template(name, json.loads(file.read_text(encoding="utf-8")))
