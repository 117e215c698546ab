"""``python -m infra.verification --stage dev``: looks at a deployed stage with the shell's AWS credentials.

Prints a line for each check (pass, fail or skipped, with evidence) and one JSON object in the end. The exit code is 0
only if nothing failed. What would disturb the stage is skipped unless it is asked for.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence

import boto3

from infra.assets import REPOSITORY
from infra.config import Stage
from infra.verification.account import Account
from infra.verification.checks import CHECKS, make


def verify(account: Account, names: Sequence[str]) -> bool:
    """Make checks and print what came of them.

    Returns:
        Whether none failed.
    """
    outcomes = []
    for name in names:
        outcome = make(name, account)
        print(f"{outcome.status:<8} {name:<26} {outcome.evidence}", flush=True)
        outcomes.append(outcome)
    counts = Counter(outcome.status for outcome in outcomes)
    summary = {
        "stage": account.stage.name,
        **{status: counts[status] for status in ("pass", "fail", "skipped")},
        "checks": {outcome.name: outcome.status for outcome in outcomes},
    }
    print(json.dumps(summary))
    return not counts["fail"]


def main() -> None:
    """Make the checks named on the command line, all if none is."""
    parser = argparse.ArgumentParser(prog="python -m infra.verification", description=__doc__)
    parser.add_argument("checks", nargs="*", choices=[*CHECKS, []], metavar="check", help=", ".join(CHECKS))
    parser.add_argument("--stage", default="dev")
    parser.add_argument("--disturb", action="store_true", help="stop a task, flood the API, change a trust policy")
    chosen = parser.parse_args()
    declared = json.loads((REPOSITORY / "cdk.json").read_text(encoding="utf-8"))["context"]["stages"]
    account = Account(boto3.Session(), Stage.from_context(chosen.stage, declared), disturb=chosen.disturb)
    sys.exit(0 if verify(account, chosen.checks or list(CHECKS)) else 1)


if __name__ == "__main__":
    main()
