"""Compares an answer with the README's shortened form of it: ``…`` stands for anything, further fields may come."""

import json
import re
from dataclasses import dataclass
from typing import Any

_STATUS = re.compile(r"(?P<status>[1-5]\d\d) (?P<body>.*)", re.DOTALL)
_ANYTHING = "…"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a step printed, and the HTTP status of its last request (None if it made none)."""

    text: str
    status: int | None


def differences(expected: str, answer: Answer) -> list[str]:
    """Return what is wrong with the answer, in words; nothing if it keeps the promise."""
    with_status = _STATUS.fullmatch(expected)
    if with_status is None:
        return [] if _pattern(expected).search(answer.text) else [f"no line like {expected!r}"]
    wrong = []
    if answer.status != int(with_status["status"]):
        wrong.append(f"status {answer.status} instead of {with_status['status']}")
    body = with_status["body"]
    if body == _ANYTHING:
        return wrong if answer.text.strip() else [*wrong, "an empty answer"]
    try:
        actual = json.loads(answer.text)
    except ValueError:
        return [*wrong, "not JSON"]
    return wrong + list(_compare(_shortened_json(body), actual, "answer"))


def _shortened_json(text: str) -> Any:
    """Read JSON in which a bare ``…`` stands for any value or for further content."""
    quoted = re.sub(r"(?<=[:\[])…(?=[,}\]])", f'"{_ANYTHING}"', text)
    return json.loads(quoted.replace("{…}", f'"{_ANYTHING}"'))


def _compare(expected: Any, actual: Any, path: str) -> list[str]:
    if expected == _ANYTHING:
        return [] if actual not in (None, "") else [f"{path} is empty"]
    if isinstance(expected, dict):
        return _compare_objects(expected, actual, path)
    if isinstance(expected, list):
        return _compare_lists(expected, actual, path)
    same = expected == actual
    if isinstance(expected, str) and isinstance(actual, str):
        same = _pattern(expected).fullmatch(actual) is not None
    return [] if same else [f"{path} is {actual!r}, not {expected!r}"]


def _compare_objects(expected: dict[str, Any], actual: Any, path: str) -> list[str]:
    if not isinstance(actual, dict):
        return [f"{path} is not an object"]
    wrong = []
    for key, value in expected.items():
        wrong += _compare(value, actual[key], f"{path}.{key}") if key in actual else [f"{path}.{key} is missing"]
    return wrong


def _compare_lists(expected: list[Any], actual: Any, path: str) -> list[str]:
    # Lists end with the newest: who takes the tour a second time finds the first one's items before their own.
    if not isinstance(actual, list) or len(actual) < len(expected):
        return [f"{path} does not have {len(expected)} items"]
    wrong = []
    for index, (one, other) in enumerate(zip(expected, actual[-len(expected) :], strict=True)):
        wrong += _compare(one, other, f"{path}[{index}]")
    return wrong


def _pattern(shortened: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in shortened.split(_ANYTHING)), re.DOTALL)
