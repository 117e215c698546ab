"""The production templates are those that were reviewed."""

from typing import Any

from tests.infra import template_snapshots as snapshots
from tests.infra.template import Templates

_ADVICE = "look at the difference, and if it is meant: make snapshots"


def test_production_is_as_reviewed(prod: Templates) -> None:
    """Every change of what would be deployed shows as a difference of files in the same commit."""
    reviewed = {file.stem: file.read_text(encoding="utf-8") for file in snapshots.FOLDER.glob("*.yaml")}
    now = {stack: snapshots.snapshot(body) for stack, body in prod.stacks.items()}
    assert set(reviewed) == set(now), _ADVICE
    for stack, text in now.items():
        assert reviewed[stack].splitlines() == text.splitlines(), f"{stack}: {_ADVICE}"


def test_an_asset_of_other_content_makes_no_difference() -> None:
    """Hashes of uploaded code change with every commit; nobody could review them."""

    def template(digit: str) -> dict[str, Any]:
        code = {"S3Key": f"{digit * 64}.zip"}
        function = {"Type": "AWS::Lambda::Function", "Properties": {"Code": code}, "Metadata": {"aws:cdk:path": digit}}
        return {"Resources": {"Api": function, f"ApiDeployment0123ABCD{digit * 32}": {"Type": "X"}}}

    assert snapshots.snapshot(template("a")) == snapshots.snapshot(template("b"))
    assert "Api" in snapshots.snapshot(template("a"))


def test_a_right_that_is_added_makes_a_difference() -> None:
    """As does every other property."""

    def template(*actions: str) -> dict[str, Any]:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": {"Fn::GetAtt": ["Table", "Arn"]}}
        return {"Resources": {"Policy": {"Type": "AWS::IAM::Policy", "Properties": {"Statement": [statement]}}}}

    assert snapshots.snapshot(template("s3:GetObject")) != snapshots.snapshot(template("s3:GetObject", "s3:*"))
    assert "${Table.Arn}" in snapshots.snapshot(template("s3:GetObject"))
