"""The page itself."""

import dataclasses
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from infra.config import Stage
from local.settings_page.processes import Setting, processes, settings_of
from local.settings_page.values import bounds_text, type_text, value_text
from local.stack.state import CHECKOUT
from session_runner.host.settings import HostSettings

PAGE = CHECKOUT / "docs" / "settings.md"
_IN_CDK_JSON = {"shared_shards": "shards.shared", "dedicated_clinics": "shards.dedicated"}

_HEAD = """# Settings

Written by `make settings-page` from the classes that read the settings: do not edit it here.

A **stage** is what you choose when you deploy: `cdk.json`, context `stages`. From it the templates make the
**environment** of each process, which is all that a process is told in the cloud. A process does not start if a
variable is missing or makes no sense. That templates and processes agree is kept by `tests/infra/test_environments.py`.
"""

_STAGES = """
## Stages

Read by `infra/config.py`; what is wrong is refused by name before anything is synthesised. "In cdk.json" are the stages
that differ from the default.

| setting | type | default | in cdk.json | meaning |
|---|---|---|---|---|
"""

_ENVIRONMENT = """
## Environment

Variables that begin with `AWS_` or `ECS_` are set by AWS itself. boto3 reads its own besides, such as
`AWS_ENDPOINT_URL`.
"""

_TABLE = """
| variable | type | default | meaning |
|---|---|---|---|
"""

_HOST = """
## Command line of a host

The runner starts its hosts with these (`session_runner/host/settings.py`); nobody else should.

| argument | type | default | meaning |
|---|---|---|---|
"""


def page() -> str:
    """Return the page as Markdown."""
    return "".join((_HEAD, _STAGES, *_stage_rows(), _ENVIRONMENT, *_groups(), _HOST, *_host_rows()))


def _stage_rows() -> Iterator[str]:
    stages: Mapping[str, Any] = json.loads((CHECKOUT / "cdk.json").read_text(encoding="utf-8"))["context"]["stages"]
    declared = {name: Stage.from_context(name, stages) for name in stages}
    yield from _rows_of(Stage, declared, "")


def _rows_of(group: type, chosen: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """Yield the rows of a dataclass of settings, those of groups inside it too.

    Args:
        group: the dataclass.
        chosen: what each stage has chosen, by the stages' names.
        prefix: the names of the groups around it, each with a full stop.
    """
    meanings, types = described_attributes(group), get_type_hints(group)
    for field in dataclasses.fields(group):
        if field.name == "name":
            continue
        values = {stage: getattr(settings, field.name) for stage, settings in chosen.items()}
        if dataclasses.is_dataclass(types[field.name]):
            yield from _rows_of(types[field.name], values, f"{prefix}{field.name}.")
            continue
        default = _default(field)
        yield _row(
            f"`{prefix}{_IN_CDK_JSON.get(field.name, field.name)}`",
            type_text(types[field.name]).removeprefix("JSON "),
            value_text(default),
            "<br>".join(f"{stage}: {value_text(value)}" for stage, value in values.items() if value != default),
            meanings[field.name],
        )


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return PydanticUndefined if field.default_factory is dataclasses.MISSING else field.default_factory()


def _groups() -> Iterator[str]:
    """One table for each class that declares settings, with the processes that read it."""
    settings: dict[type[BaseSettings], dict[str, Setting]] = {}
    readers: dict[type[BaseSettings], list[str]] = {}
    for process, classes in processes().items():
        for one in classes:
            for setting in settings_of(one):
                settings.setdefault(setting.declared_in, {})[setting.name] = setting
                read_by = readers.setdefault(setting.declared_in, [])
                if process not in read_by:
                    read_by.append(process)
    for one in sorted(settings, key=lambda group: (-len(readers[group]), group.__module__, group.__name__)):
        yield f"\n### {_title(one)}\n\n{_sentence(one)}\n\n"
        yield f"Read by {', '.join(f'`{name}`' for name in readers[one])} (`{one.__module__}.{one.__name__}`).\n"
        yield _TABLE
        yield from (_variable_row(setting) for setting in settings[one].values())


def _variable_row(setting: Setting) -> str:
    field = setting.field
    kind = ", ".join(part for part in (type_text(field.annotation), bounds_text(field)) if part)
    default = value_text(field.get_default(call_default_factory=True, validated_data={}))
    return _row(
        " or ".join(f"`{name}`" for name in setting.variables),
        kind,
        "required" if field.is_required() else default,
        field.description or "",
    )


def _host_rows() -> Iterator[str]:
    meanings, types = described_attributes(HostSettings), get_type_hints(HostSettings)
    for field in dataclasses.fields(HostSettings):
        kind = types[field.name]
        default = "false" if kind is bool else "none" if "None" in str(field.type) else "required"
        yield _row(f"`--{field.name}`", type_text(kind), default, meanings[field.name])


def described_attributes(thing: type) -> Mapping[str, str]:
    """Return what a class's docstring says of its attributes."""
    text = inspect.getdoc(thing) or ""
    _, _, attributes = text.partition("Attributes:\n")
    found: dict[str, str] = {}
    for name, meaning in re.findall(r"^    (\w+): ((?:.|\n        )+)", attributes, re.MULTILINE):
        sentence = re.sub(r"\s+", " ", meaning).replace("``", "`").strip()
        found[name] = sentence[0].upper() + sentence[1:]
    return found


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |\n"


def _title(settings: type[BaseSettings]) -> str:
    words = re.findall(r"[A-Z][a-z]*", settings.__name__.removesuffix("Settings"))
    return " ".join(words).capitalize()


def _sentence(settings: type[BaseSettings]) -> str:
    paragraph = (inspect.getdoc(settings) or "").split("\n\n")[0]
    return re.sub(r"\s+", " ", paragraph).replace("``", "`")
