"""The production templates as they were reviewed: ``make snapshots`` writes them, a test compares.

One file a stack, sorted, references in one line each. What changes without anybody's decision is masked (hashes of
assets, the CDK's version), and tags are left out: they are on everything, and ``test_tags`` checks them.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from local.stack.synthesis import templates

FOLDER = Path(__file__).with_name("snapshots")
STAGE = "prod"
_HASH = re.compile(r"[0-9a-f]{64}|[0-9a-f]{32}")
_DEPLOYMENT = re.compile(r"(Deployment[0-9A-F]{8})[0-9a-f]{32}")
_LEFT_OUT = frozenset({"AWS::CDK::Metadata"})
_TAGS = frozenset({"Tags", "UserPoolTags"})


def snapshot(template: Mapping[str, Any]) -> str:
    """Return a template's resources and outputs as text to be read: names, types, properties, policies of removal."""
    shown: dict[str, Any] = {
        name: {key: value for key, value in resource.items() if key != "Metadata"}
        for name, resource in template["Resources"].items()
        if resource["Type"] not in _LEFT_OUT
    }
    whole = {
        "Parameters": {key: value for key, value in template.get("Parameters", {}).items() if "Bootstrap" not in key},
        "Resources": shown,
        "Outputs": template.get("Outputs", {}),
    }
    masked = _masked({part: content for part, content in whole.items() if content})
    return yaml.safe_dump(masked, sort_keys=True, width=160, allow_unicode=True)


def snapshots() -> Iterator[tuple[Path, str]]:
    """Yield each stack's file and what it should say."""
    for template in templates(STAGE):
        yield FOLDER / f"{template.stack}.yaml", snapshot(template.body)


def write() -> None:
    """Write all files anew and remove those of stacks that are gone."""
    FOLDER.mkdir(exist_ok=True)
    current = dict(snapshots())
    for file in FOLDER.glob("*.yaml"):
        if file not in current:
            file.unlink()
    for file, text in current.items():
        file.write_text(text, encoding="utf-8")


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        if len(value) == 1 and (short := _short(next(iter(value)), value)) is not None:
            return short
        return {_masked_text(str(key)): _masked(inner) for key, inner in value.items() if key not in _TAGS}
    if isinstance(value, list):
        return [_masked(inner) for inner in value]
    return _masked_text(value) if isinstance(value, str) else value


def _short(function: str, value: Mapping[str, Any]) -> str | None:
    """Write references as ``!Ref``, ``!GetAtt`` and so on, in one line each."""
    content = value[function]
    if function == "Ref":
        return f"${{{_masked_text(content)}}}"
    if function == "Fn::GetAtt":
        return f"${{{'.'.join(_masked_text(part) for part in content)}}}"
    if function == "Fn::ImportValue" and isinstance(content, str):
        return f"${{import {_masked_text(content)}}}"
    if function == "Fn::Join":
        parts = [_masked(part) for part in content[1]]
        if all(isinstance(part, str) for part in parts):
            return str(content[0]).join(parts)
    if function == "Fn::Sub" and isinstance(content, str):
        return _masked_text(content)
    return None


def _masked_text(text: str) -> str:
    return _HASH.sub("<hash>", _DEPLOYMENT.sub(r"\1<hash>", text))


if __name__ == "__main__":
    write()
