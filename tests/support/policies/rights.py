"""What a role's rights are held to: nothing that is needed is refused, nothing that is allowed is needless."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from tests.support.aws import ENVIRONMENT
from tests.support.policies.evaluation import Decision, Request, Statement, decide
from tests.support.policies.recording import CLINIC_ROLE
from tests.support.policies.requests import arns
from tests.support.policies.templates import Function, Role, Task


def translated(requests: Iterable[Request], process: Function | Task) -> Iterator[Request]:
    """Put the deployed resources into the place of those of the tests, by the settings that name them."""
    deployed = arns(process.environment)
    test = arns({**ENVIRONMENT, "RECADO_CLINIC_ROLE_ARN": CLINIC_ROLE})
    for request in requests:
        for setting, arn in test.items():
            rest = request.resource.removeprefix(arn)
            if rest != request.resource and (not rest or rest.startswith("/")):
                assert setting in deployed, f"{process.name} uses {setting}, which it is not told"
                yield replace(request, resource=deployed[setting] + rest)
                break
        else:
            raise AssertionError(f"no setting of ours names {request.resource}")


def distinct(requests: Iterable[Request]) -> list[Request]:
    """Leave out what is asked twice."""
    return list({repr(request): request for request in requests}.values())


def refused(statements: Iterable[Statement], needed: Iterable[Request]) -> list[Request]:
    """Return the requests that these statements do not allow."""
    given = list(statements)
    return [request for request in needed if decide(given, request) is not Decision.ALLOWED]


def needless(statements: Iterable[Statement], needed: Collection[Request]) -> list[str]:
    """Return the rights without which all that is needed would still be allowed."""
    return [
        f"{action} on {resource}"
        for action, resource, fewer in _with_one_right_less(statements)
        if all(decide(fewer, request) is Decision.ALLOWED for request in needed)
    ]


def unexplained_stars(role: Role, reasons: Iterable[str]) -> list[str]:
    """Return the actions and resources with a star that match none of these patterns."""
    patterns = list(reasons)
    return [
        text
        for statement in role.statements
        for text in (*listed(statement["Action"]), *listed(statement["Resource"]))
        if "*" in text and not any(re.fullmatch(pattern, text) for pattern in patterns)
    ]


def listed(value: Any) -> list[str]:
    """Return a policy's value as a list, which it need not be if it is one."""
    return [value] if isinstance(value, str) else list(value)


def _with_one_right_less(statements: Iterable[Statement]) -> Iterator[tuple[str, str, list[Statement]]]:
    """Yield every allowed action and resource with the statements that lack just this pair."""
    whole = list(statements)
    for place, statement in enumerate(whole):
        if statement["Effect"] != "Allow":
            continue
        pairs = [(a, r) for a in listed(statement["Action"]) for r in listed(statement["Resource"])]
        for removed in pairs:
            rest: list[Mapping[str, Any]] = [
                {**statement, "Action": action, "Resource": resource}
                for action, resource in pairs
                if (action, resource) != removed
            ]
            yield (*removed, [*whole[:place], *rest, *whole[place + 1 :]])
