"""What the emulator cannot take, taken out of a template: this list is all in which local and cloud templates differ.

Found by deploying (ministack 1.5.33): it refuses a whole template that holds one of these types. A test deploys the
adjusted templates, so that a needless entry or a missing one shows.
"""

import copy
from collections.abc import Mapping
from typing import Any

UNSUPPORTED_TYPES = frozenset(
    {
        "AWS::ApplicationAutoScaling::ScalableTarget",
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        "AWS::EC2::EIP",
        "AWS::EC2::NatGateway",
        "AWS::Events::Archive",
        "AWS::WAFv2::LoggingConfiguration",
        "AWS::WAFv2::WebACLAssociation",
    }
)


def adjusted(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a template without the resources that the emulator refuses, and without references to them."""
    copied: dict[str, Any] = copy.deepcopy(dict(template))
    resources: dict[str, Any] = copied["Resources"]
    removed = {name for name, resource in resources.items() if resource["Type"] in UNSUPPORTED_TYPES}
    for name in removed:
        del resources[name]
    for resource in resources.values():
        dependencies = resource.pop("DependsOn", [])
        named = dependencies if isinstance(dependencies, list) else [dependencies]
        kept = [name for name in named if name not in removed]
        if kept:
            resource["DependsOn"] = kept
    copied["Outputs"] = {
        name: output for name, output in copied.get("Outputs", {}).items() if not _refers_to(output, removed)
    }
    return copied


def expiring_tables(template: Mapping[str, Any]) -> dict[str, str]:
    """Return the attribute that expires items by table name: the emulator's CloudFormation drops this setting."""
    found = {}
    for resource in template["Resources"].values():
        if resource["Type"] != "AWS::DynamoDB::Table":
            continue
        properties = resource["Properties"]
        if "TimeToLiveSpecification" in properties:
            found[properties["TableName"]] = properties["TimeToLiveSpecification"]["AttributeName"]
    return found


def _refers_to(value: Any, names: set[str]) -> bool:
    if isinstance(value, Mapping):
        if value.get("Ref") in names or (value.get("Fn::GetAtt") or [None])[0] in names:
            return True
        return any(_refers_to(inner, names) for inner in value.values())
    return isinstance(value, list) and any(_refers_to(inner, names) for inner in value)
