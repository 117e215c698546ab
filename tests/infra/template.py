"""Reading synthesised templates in tests."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from local.stack.synthesis import Template


class Templates:
    """All templates of a stage."""

    def __init__(self, templates: Sequence[Template]) -> None:
        self.stacks: Mapping[str, dict[str, Any]] = {template.stack: template.body for template in templates}

    def resources(self, kind: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield name and resource of every resource of a type, of all if none is given."""
        for body in self.stacks.values():
            for name, resource in body["Resources"].items():
                if kind is None or resource["Type"] == kind:
                    yield name, resource

    def properties(self, kind: str) -> list[dict[str, Any]]:
        """Return the properties of every resource of a type."""
        return [resource["Properties"] for _, resource in self.resources(kind)]

    def log_group(self, name: str) -> dict[str, Any]:
        """Return the properties of the log group of that name."""
        (found,) = [one for one in self.properties("AWS::Logs::LogGroup") if one["LogGroupName"] == name]
        return found

    def function(self, folder: str) -> dict[str, Any]:
        """Return the properties of the function of ``functions/<folder>``."""
        for properties in self.properties("AWS::Lambda::Function"):
            if properties["Handler"] == f"functions.{folder}.handler.handler":
                return properties
        raise KeyError(folder)

    def statements(self, folder: str) -> list[dict[str, Any]]:
        """Return the IAM statements of a function's role."""
        role = self.function(folder)["Role"]["Fn::GetAtt"][0]
        return [
            statement
            for properties in self.properties("AWS::IAM::Policy")
            if {"Ref": role} in properties["Roles"]
            for statement in properties["PolicyDocument"]["Statement"]
        ]

    def actions(self, folder: str, mentioning: str = "") -> set[str]:
        """Return the actions that a function's role allows on resources whose reference holds a text."""
        found: set[str] = set()
        for statement in self.statements(folder):
            if mentioning in json.dumps(statement["Resource"]):
                actions = statement["Action"]
                found |= {actions} if isinstance(actions, str) else set(actions)
        return found
