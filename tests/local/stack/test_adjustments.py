"""What is taken out of a template for the emulator."""

from typing import Any

from local.stack.adjustments import UNSUPPORTED_TYPES, adjusted, expiring_tables
from local.stack.synthesis import templates

_TEMPLATE: dict[str, Any] = {
    "Resources": {
        "Bus": {"Type": "AWS::Events::EventBus", "Properties": {}},
        "Archive": {"Type": "AWS::Events::Archive", "Properties": {}},
        "Rule": {"Type": "AWS::Events::Rule", "DependsOn": ["Archive", "Bus"], "Properties": {}},
        "Other": {"Type": "AWS::Events::Rule", "DependsOn": "Archive", "Properties": {}},
    },
    "Outputs": {
        "Kept": {"Value": {"Fn::GetAtt": ["Bus", "Arn"]}},
        "Gone": {"Value": {"Fn::Join": ["", ["x", {"Fn::GetAtt": ["Archive", "Arn"]}]]}},
    },
}


def test_refused_types_go_and_nothing_refers_to_them() -> None:
    """Resources, dependencies and outputs; the rest is untouched, and so is the original."""
    result = adjusted(_TEMPLATE)
    assert set(result["Resources"]) == {"Bus", "Rule", "Other"}
    assert result["Resources"]["Rule"]["DependsOn"] == ["Bus"]
    assert "DependsOn" not in result["Resources"]["Other"]
    assert set(result["Outputs"]) == {"Kept"}
    assert "Archive" in _TEMPLATE["Resources"]


def test_the_present_templates_are_deployed_as_they_are() -> None:
    """Local and cloud differ in nothing but code and stage settings: no adjustment applies to what there is."""
    for template in templates():
        kinds = {resource["Type"] for resource in template.body["Resources"].values()}
        assert not kinds & UNSUPPORTED_TYPES
        assert adjusted(template.body)["Resources"].keys() == template.body["Resources"].keys()


def test_expiring_tables_are_found_with_their_attribute() -> None:
    """The emulator's CloudFormation drops the setting, so it is made by API for every table that has it."""
    found: dict[str, str] = {}
    for template in templates():
        found |= expiring_tables(template.body)
    assert found["recado-local-runtime"] == "expires_at"
    assert len(found) == 6
