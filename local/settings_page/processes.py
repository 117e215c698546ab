"""Which settings each process reads, and as which environment variables."""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from local.stack.state import CHECKOUT
from recado.aws.settings import RegionSettings, TableSettings
from recado.channels.settings import ProxySettings
from session_runner.settings import RunnerSettings
from session_runner.whatsapp.settings import CommandLineSettings

RUNNER = "session_runner"
# Read by rooms that a process calls, not by the process itself.
_BESIDE: Mapping[str, tuple[type[BaseSettings], ...]] = {
    "api": (ProxySettings,),
    RUNNER: (TableSettings, ProxySettings),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as a process reads it.

    Attributes:
        variables: the environment variables it may come from, the first one that is there counts.
        name: the field's name.
        field: what pydantic knows of it.
        declared_in: the class whose own field it is.
    """

    variables: tuple[str, ...]
    name: str
    field: FieldInfo
    declared_in: type[BaseSettings]


def processes() -> Mapping[str, tuple[type[BaseSettings], ...]]:
    """Return the settings classes of every process: functions by their folders, the runner, its command line."""
    found: dict[str, tuple[type[BaseSettings], ...]] = {}
    for handler in sorted(CHECKOUT.glob("functions/*/handler.py")):
        name = handler.parent.name
        module = importlib.import_module(f"functions.{name}.settings")
        own = tuple(one for one in vars(module).values() if _is_settings(one) and one.__module__ == module.__name__)
        # Some are there only to be a part of others.
        whole = tuple(one for one in own if not any(other is not one and issubclass(other, one) for other in own))
        found[name] = (*whole, *_BESIDE.get(name, ()), RegionSettings)
    found[RUNNER] = (RunnerSettings, *_BESIDE[RUNNER], RegionSettings)
    found["session_runner.whatsapp.command_line"] = (CommandLineSettings,)
    return found


def settings_of(settings: type[BaseSettings]) -> Iterator[Setting]:
    """Yield the settings of a class, in the order of their declaration."""
    for name, field in settings.model_fields.items():
        yield Setting(tuple(_variables(settings, name, field)), name, field, _declaring(settings, name))


def _variables(settings: type[BaseSettings], name: str, field: FieldInfo) -> Iterator[str]:
    alias: Any = field.validation_alias
    if isinstance(alias, AliasChoices):
        yield from (str(choice) for choice in alias.choices)
    elif alias is not None:
        yield str(alias)
    else:
        yield f"{settings.model_config.get('env_prefix', '')}{name}".upper()


def _declaring(settings: type[BaseSettings], name: str) -> type[BaseSettings]:
    return next(one for one in settings.__mro__ if name in vars(one).get("__annotations__", {}))


def _is_settings(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, BaseSettings)
