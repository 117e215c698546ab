"""The CDK's own command line: locked, run on the locked Node, for one stage."""

import json
import re
from pathlib import Path

import pytest

from infra.command_line import command
from local.node import node
from local.stack.state import CHECKOUT

_LOCKED = CHECKOUT / "infra" / "cli"


def test_the_command_line_is_locked_by_hash_to_one_version() -> None:
    """A newer one refuses the locked aws-cdk-lib; no address of a registry is in the lock."""
    wanted = json.loads((_LOCKED / "package.json").read_text(encoding="utf-8"))["dependencies"]["aws-cdk"]
    locked = json.loads((_LOCKED / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", wanted)
    assert {name for name in locked if name} == {"node_modules/aws-cdk"}
    assert locked["node_modules/aws-cdk"]["version"] == wanted
    assert locked["node_modules/aws-cdk"]["integrity"].startswith("sha512-")
    assert "resolved" not in locked["node_modules/aws-cdk"]


@pytest.mark.parametrize("what", ["bootstrap", "diff", "deploy", "destroy"])
def test_a_stage_is_named_to_the_app(what: str) -> None:
    """The stage of the command is the one that is synthesised; widened rights are asked about before a deployment."""
    words = command(what, "staging", Path("cdk"))
    assert words[:3] == [str(node()), "cdk", what]
    assert words[words.index("--context") + 1] == "stage=staging"
    assert ("--require-approval" in words) is (what == "deploy")
    assert ("--all" in words) is (what in {"deploy", "destroy"})
