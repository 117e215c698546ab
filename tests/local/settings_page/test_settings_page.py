"""The page of settings says what the code reads, all of it."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic_settings import BaseSettings

from infra.config import Stage
from local.settings_page.page import PAGE, described_attributes, page
from local.settings_page.processes import processes, settings_of
from local.settings_page.values import type_text, value_text
from local.stack.state import CHECKOUT

_PRODUCT = ("layers/core/python/recado", "functions", "session_runner")


def _all_settings() -> Iterator[type[BaseSettings]]:
    """Every class that reads settings, in any module of the product that is called so."""
    for root in _PRODUCT:
        for path in sorted((CHECKOUT / root).rglob("settings.py")):
            relative = path.relative_to(CHECKOUT).with_suffix("")
            name = ".".join(relative.parts).removeprefix("layers.core.python.")
            module = importlib.import_module(name)
            for thing in vars(module).values():
                if isinstance(thing, type) and issubclass(thing, BaseSettings) and thing.__module__ == name:
                    yield thing


def test_the_page_is_as_the_code_has_it() -> None:
    """Run `make settings-page` and commit what it writes."""
    assert PAGE.read_text(encoding="utf-8") == page(), "docs/settings.md is stale: make settings-page"


def test_every_setting_says_what_it_means() -> None:
    """In one sentence, at the field."""
    silent = [
        f"{one.__name__}.{setting.name}"
        for one in _all_settings()
        for setting in settings_of(one)
        if not (setting.field.description or "").endswith(".")
    ]
    assert silent == []


def test_every_settings_class_is_some_process_own() -> None:
    """A class that no process reads is either forgotten here or needless."""
    read = {base for classes in processes().values() for one in classes for base in one.__mro__}
    assert [one.__name__ for one in _all_settings() if one.model_fields and one not in read] == []


def test_settings_are_read_in_settings_modules_only() -> None:
    """Which is where the page looks for them."""
    elsewhere = [
        str(path.relative_to(CHECKOUT))
        for root in _PRODUCT
        for path in (CHECKOUT / root).rglob("*.py")
        if path.name != "settings.py" and "(BaseSettings" in path.read_text(encoding="utf-8")
    ]
    assert elsewhere == []


def test_every_setting_of_a_stage_is_described() -> None:
    """In the docstring of the class."""
    assert described_attributes(Stage).keys() == set(Stage.__dataclass_fields__)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (str, "text"),
        (str | None, "text"),
        (Path, "path"),
        (Literal["a", "b"], "`a` or `b`"),
        (tuple[float, ...], "JSON list of numbers"),
        (tuple[float, float], "JSON list [number, number]"),
        (tuple[tuple[int, int], ...], "JSON list of [whole number, whole number]"),
        (dict[str, str], "JSON object of texts"),
    ],
)
def test_types_are_said_in_words(annotation: Any, text: str) -> None:
    """As somebody would who has to write such a value."""
    assert type_text(annotation) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "none"), ("", "none"), ("x", "`x`"), (True, "`true`"), (0, "`0`"), ((0, 5), "`[0, 5]`"), ((), "`[]`")],
)
def test_values_are_written_as_they_are_set(value: Any, text: str) -> None:
    """JSON for what is not plain text."""
    assert value_text(value) == text
