"""Types and values as an operator would write them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

_WORDS: Mapping[Any, str] = {
    str: "text",
    Path: "path",
    int: "whole number",
    float: "number",
    bool: "true or false",
}
_BOUNDS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))


def type_text(annotation: Any) -> str:
    """Return a type in words; lists and objects are written as JSON."""
    if annotation in _WORDS:
        return _WORDS[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in {Union, UnionType}:
        return type_text(next(one for one in inner if one is not NoneType))
    if origin is tuple and inner[-1] is not Ellipsis:
        return f"JSON list [{', '.join(type_text(one) for one in inner)}]"
    if origin in {tuple, list}:
        return f"JSON list of {_many(inner[0])}"
    if origin is dict:
        return f"JSON object of {_many(inner[1])}"
    raise TypeError(f"no word for {annotation!r}")


def _many(annotation: Any) -> str:
    return f"{_WORDS[annotation]}s" if annotation in _WORDS else type_text(annotation).removeprefix("JSON list ")


def bounds_text(field: FieldInfo) -> str:
    """Return a setting's limits, such as ``≥ 1, ≤ 200``, empty if it has none."""
    limits = [
        f"{sign} {value:g}"
        for name, sign in _BOUNDS
        for value in (getattr(one, name, None) for one in field.metadata)
        if value is not None
    ]
    return ", ".join(limits)


def value_text(value: Any) -> str:
    """Return a value as it is written into the environment or ``cdk.json``."""
    if value is PydanticUndefined:
        return "required"
    if value is None or value == "":
        return "none"
    if isinstance(value, str | Path):
        return f"`{value}`"
    if isinstance(value, bool | int | float):
        return f"`{json.dumps(value)}`"
    if isinstance(value, Mapping | Sequence):
        return f"`{json.dumps(value, default=list)}`"
    raise TypeError(f"no way to write {value!r}")
