"""IAM's evaluation of identity policies, as far as our own templates use it: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html

What it does not know (an operator, a policy variable's default) it refuses to judge, instead of judging wrongly.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Statement = Mapping[str, Any]
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_LITERALS = {"*": "*", "?": "?", "$": "$"}


class Decision(StrEnum):
    """What comes of a request; without a statement that allows it, it is denied."""

    ALLOWED = "allowed"
    DENIED = "denied"
    NOT_ALLOWED = "not allowed"


@dataclass(frozen=True, slots=True)
class Request:
    """What a policy is asked about.

    Attributes:
        action: such as ``dynamodb:GetItem``.
        resource: an ARN.
        context: the condition keys that AWS would fill in, each with all its values.
        principal: who asks, an ARN; needed for trust policies only.
    """

    action: str
    resource: str
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    principal: str | None = None

    def value(self, key: str) -> tuple[str, ...] | None:
        """Return the values of a condition key, whose case does not matter; None if the request has none."""
        wanted = key.lower()
        return next((values for name, values in self.context.items() if name.lower() == wanted), None)


def decide(statements: Iterable[Statement], request: Request) -> Decision:
    """Judge a request: an explicit deny wins over every allow.

    Raises:
        NotImplementedError: a statement uses what this evaluator does not know.
    """
    decision = Decision.NOT_ALLOWED
    for statement in statements:
        if _applies(statement, request):
            if statement["Effect"] == "Deny":
                return Decision.DENIED
            decision = Decision.ALLOWED
    return decision


def _applies(statement: Statement, request: Request) -> bool:
    return (
        _concerns_principal(statement, request)
        and _concerns(statement, "Action", lambda pattern: _matches(pattern.lower(), request.action.lower(), None))
        and _concerns(statement, "Resource", lambda pattern: _matches(pattern, request.resource, request))
        and all(
            _holds(operator, key, _listed(wanted), request)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _concerns_principal(statement: Statement, request: Request) -> bool:
    if "Principal" not in statement:
        return True
    named = statement["Principal"]
    return named == "*" or request.principal in _listed(named.get("AWS", ()))


def _concerns(statement: Statement, element: str, matches: Callable[[str], bool]) -> bool:
    if f"Not{element}" in statement:
        return not any(matches(pattern) for pattern in _listed(statement[f"Not{element}"]))
    # A trust policy's statements name no resource: the role itself is it.
    return element not in statement or any(matches(pattern) for pattern in _listed(statement[element]))


def _holds(operator: str, key: str, wanted: Sequence[str], request: Request) -> bool:
    quantifier, _, plain = operator.rpartition(":")
    name = plain.removesuffix("IfExists")
    values = request.value(key)
    if name == "Null":
        return any((values is None) == (text == "true") for text in wanted)
    test, negated = _OPERATORS.get(name, (None, False))
    if test is None or quantifier not in {"", "ForAllValues", "ForAnyValue"}:
        raise NotImplementedError(f"the condition operator {operator}")

    def passes(value: str) -> bool:
        return any(test(pattern, value, request) for pattern in wanted) != negated

    if not values:
        return name != plain or negated or quantifier == "ForAllValues"
    if quantifier == "ForAllValues":
        return all(map(passes, values))
    if quantifier == "" and len(values) > 1:
        raise NotImplementedError(f"{key} has several values and {operator} no ForAllValues or ForAnyValue")
    return any(map(passes, values))


def _matches(pattern: str, value: str, request: Request | None) -> bool:
    expression = _expression(pattern, request, wildcards=True)
    return expression is not None and re.fullmatch(expression, value, re.DOTALL) is not None


def _equals(pattern: str, value: str, request: Request) -> bool:
    expression = _expression(pattern, request, wildcards=False)
    return expression is not None and re.fullmatch(expression, value, re.DOTALL) is not None


def _expression(pattern: str, request: Request | None, *, wildcards: bool) -> str | None:
    """Return a pattern as a regular expression, None if one of its variables has no value: then it matches nothing."""
    made: list[str] = []
    at = 0
    for found in _VARIABLE.finditer(pattern):
        value = _variable(found[1], request)
        if value is None:
            return None
        # What stands in a variable is text, also if it looks like a wildcard.
        made += [_plain(pattern[at : found.start()], wildcards=wildcards), re.escape(value)]
        at = found.end()
    return "".join([*made, _plain(pattern[at:], wildcards=wildcards)])


def _plain(text: str, *, wildcards: bool) -> str:
    escaped = re.escape(text)
    return escaped.replace(r"\*", ".*").replace(r"\?", ".") if wildcards else escaped


def _variable(name: str, request: Request | None) -> str | None:
    if name in _LITERALS:
        return _LITERALS[name]
    if "," in name or request is None:
        raise NotImplementedError(f"the policy variable {name}")
    values = request.value(name.strip())
    return values[0] if values and len(values) == 1 else None


def _same_ignoring_case(pattern: str, value: str, request: Request) -> bool:
    return _equals(pattern.lower(), value.lower(), request)


_OPERATORS: Mapping[str, tuple[Callable[[str, str, Request], bool], bool]] = {
    "StringEquals": (_equals, False),
    "StringNotEquals": (_equals, True),
    "StringEqualsIgnoreCase": (_same_ignoring_case, False),
    "StringLike": (_matches, False),
    "StringNotLike": (_matches, True),
    "ArnEquals": (_matches, False),
    "ArnLike": (_matches, False),
    "ArnNotLike": (_matches, True),
    "Bool": (_same_ignoring_case, False),
}


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
