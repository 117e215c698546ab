"""Tags, by which the bill is split."""

import pytest

from tests.infra.template import Templates

_TAGGABLE = (
    "AWS::DynamoDB::Table",
    "AWS::KMS::Key",
    "AWS::Lambda::Function",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
    "AWS::Logs::LogGroup",
    "AWS::ApiGateway::RestApi",
    "AWS::Events::EventBus",
)


@pytest.mark.parametrize("kind", _TAGGABLE)
def test_what_costs_money_says_its_component_and_stage(prod: Templates, kind: str) -> None:
    """Every taggable resource carries both tags."""
    found = prod.properties(kind)
    assert found
    for properties in found:
        tags = {tag["Key"]: tag["Value"] for tag in properties["Tags"]}
        assert tags["recado:stage"] == "prod"
        assert tags["recado:component"]
