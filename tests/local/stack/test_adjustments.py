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


# Each with what is lost by it locally. All else of local and cloud templates differs in code and stage settings only.
_LEFT_OUT = {
    "AWS::Events::Archive": "events cannot be replayed",
    "AWS::WAFv2::LoggingConfiguration": "WAF refuses nothing there, so it has nothing to log",
    "AWS::WAFv2::WebACLAssociation": "the web ACL is made and checked, but stands before nothing",
}


def test_exactly_these_are_left_out_of_the_present_templates() -> None:
    """What else the emulator cannot take fails here, to be decided on before it is left out."""
    left_out: list[str] = []
    for template in templates():
        resources = template.body["Resources"]
        gone = resources.keys() - adjusted(template.body)["Resources"].keys()
        left_out += [resources[name]["Type"] for name in gone]
        assert all(resources[name]["Type"] in UNSUPPORTED_TYPES for name in gone)
    assert sorted(left_out) == sorted(_LEFT_OUT)


def test_expiring_tables_are_found_with_their_attribute() -> None:
    """The emulator's CloudFormation drops the setting, so it is made by API for every table that has it."""
    found: dict[str, str] = {}
    for template in templates():
        found |= expiring_tables(template.body)
    assert found["recado-local-runtime"] == "expires_at"
    assert len(found) == 6
