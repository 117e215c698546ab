"""AWS's own advice on the production templates: cdk-nag's AWS Solutions checks, and cfn-lint."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.node import node
from local.stack.environment import base_environment
from local.stack.state import CHECKOUT
from local.stack.synthesis import templates
from tests.infra.template import Templates

# The checks want every wildcard of a policy explained. Tests of rights bound them more closely than names could.
_WILDCARDS = {
    r"Resource::\*": "ECR's token and X-Ray's segments are for an account as a whole; IAM knows no narrower resource",
    r"Resource::arn:aws:logs:.*:log-group:/aws/lambda/recado-prod-[a-z-]+:\*": "a log group's streams, named by Lambda",
    r"Resource::.*(Vault|Backups)\w+/\*": "the backup reads and writes every clinic's objects",
    r"Resource::arn:.*:log-group:<Shard\w+>:\*": "a log group's streams, whose names ECS makes",
    r"Resource::arn:.*:task/<Cluster\w+>/\*": "the tasks of one cluster, which ECS names as it starts them",
    r"Resource::.*Vault\w+/clinic/(\*|cli_\w+)/\*": "session objects; which clinic's, only a dedicated shard knows",
    r"Resource::.*Vault\w+/spill(-broken)?/shard-\w+/\*": "what one shard spilled, named by epoch and time",
}


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Rule and construct of everything that the checks find in production."""
    folder = tmp_path_factory.mktemp("checked")
    context = {"stage": "prod", "placeholder_assets": str(folder / "placeholders"), "checks": True}
    environment = {
        **base_environment(),
        "CDK_OUTDIR": str(folder),
        "CDK_CONTEXT_JSON": json.dumps(context),
        "JSII_NODE": str(node()),
    }
    # Findings make the app fail; what counts here is the report.
    finished = subprocess.run(
        [sys.executable, "-m", "infra.app"], cwd=CHECKOUT, env=environment, check=False, capture_output=True, text=True
    )
    report = folder / "validation-report.json"
    assert report.is_file(), finished.stderr
    return list(_read(report))


def _read(report: Path) -> Iterator[tuple[str, str]]:
    reports = json.loads(report.read_text(encoding="utf-8"))["pluginReports"]
    assert "AwsSolutions" in {plugin["pluginName"] for plugin in reports}
    for plugin in reports:
        for violation in plugin["violations"]:
            for construct in violation["violatingConstructs"]:
                yield violation["ruleName"], construct["constructPath"]


def test_no_check_fails_without_a_reason(findings: list[tuple[str, str]]) -> None:
    """In no stack: departures are acknowledged beside their resource, wildcards in the list above."""
    unexplained = []
    for rule, construct in findings:
        wildcard = re.fullmatch(r"AwsSolutions-IAM5\[(.*)\]", rule)
        explained = wildcard and any(re.fullmatch(pattern, wildcard[1]) for pattern in _WILDCARDS)
        if not explained:
            unexplained.append((rule, construct))
    assert unexplained == []


def test_no_explanation_of_a_wildcard_is_left_over(findings: list[tuple[str, str]]) -> None:
    """Each one still stands for something that is found."""
    found = [rule for rule, _ in findings]
    for pattern in _WILDCARDS:
        assert any(re.fullmatch(rf"AwsSolutions-IAM5\[{pattern}\]", rule) for rule in found), pattern


def test_cfn_lint_finds_nothing(prod: Templates, tmp_path: Path) -> None:
    """In no template of any stage in the cloud, but for dependencies that the CDK writes twice (W3005)."""
    stages = [prod, Templates(templates("dev")), Templates(templates("staging"))]
    files = []
    for stack, body in (item for stage in stages for item in stage.stacks.items()):
        file = tmp_path / f"{stack}.template.json"
        file.write_text(json.dumps(body), encoding="utf-8")
        files.append(file)
    assert {file.name.split("-")[1] for file in files} == {"prod", "dev", "staging"}
    command = [str(Path(sys.executable).parent / "cfn-lint"), "--ignore-checks", "W3005", "--", *map(str, files)]
    finished = subprocess.run(command, check=False, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr
