"""The evaluator of policies, against what AWS's documentation says of each rule."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.policies.evaluation import Decision, Request, decide

TABLE = "arn:aws:dynamodb:sa-east-1:123456789012:table/core"


def _allow(**changes: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": TABLE, **changes}


def _request(action: str = "dynamodb:GetItem", resource: str = TABLE, **context: Any) -> Request:
    keys = {name.replace("__", ":").replace("_tag_", "/"): value for name, value in context.items()}
    return Request(action, resource, {key: (v,) if isinstance(v, str) else tuple(v) for key, v in keys.items()})


def test_nothing_is_allowed_unless_a_statement_says_so() -> None:
    """The default is an implicit deny."""
    assert decide([], _request()) is Decision.NOT_ALLOWED
    assert decide([_allow()], _request()) is Decision.ALLOWED
    assert decide([_allow()], _request("dynamodb:PutItem")) is Decision.NOT_ALLOWED
    assert decide([_allow()], _request(resource=TABLE + "2")) is Decision.NOT_ALLOWED


@pytest.mark.parametrize("deny_first", [True, False])
def test_an_explicit_deny_wins_whatever_the_order(deny_first: bool) -> None:
    """Evaluation logic: an explicit deny in any policy overrides all allows."""
    deny = {"Effect": "Deny", "Action": "dynamodb:*", "Resource": "*"}
    statements = [deny, _allow()] if deny_first else [_allow(), deny]
    assert decide(statements, _request()) is Decision.DENIED


@pytest.mark.parametrize(
    ("pattern", "action", "matches"),
    [
        ("dynamodb:Get*", "dynamodb:GetItem", True),
        ("DYNAMODB:getitem", "dynamodb:GetItem", True),
        ("dynamodb:?etItem", "dynamodb:GetItem", True),
        ("dynamodb:Get", "dynamodb:GetItem", False),
        ("*", "dynamodb:GetItem", True),
        (["s3:GetObject", "dynamodb:GetItem"], "dynamodb:GetItem", True),
    ],
)
def test_actions_match_without_regard_to_case(pattern: Any, action: str, matches: bool) -> None:
    """Action names are case-insensitive; * and ? are wildcards."""
    assert (decide([_allow(Action=pattern)], _request(action)) is Decision.ALLOWED) is matches


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        (TABLE, True),
        (TABLE.upper(), False),
        ("*", True),
        ("arn:aws:dynamodb:*:*:table/co?e", True),
        (TABLE + "/*", False),
    ],
)
def test_resources_match_with_regard_to_case(pattern: str, matches: bool) -> None:
    """ARNs are compared as they are; dots are no wildcards."""
    assert (decide([_allow(Resource=pattern)], _request()) is Decision.ALLOWED) is matches


def test_what_is_not_named_is_meant_by_not_action() -> None:
    """NotAction matches everything but what it lists."""
    statement = {"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"}
    assert decide([statement], _request()) is Decision.DENIED
    assert decide([statement], _request("s3:GetObject")) is Decision.NOT_ALLOWED


@pytest.mark.parametrize(
    ("condition", "context", "allowed"),
    [
        # Several values of one key are alternatives, several keys all have to hold.
        ({"StringEquals": {"aws__a": ["x", "y"]}}, {"aws__a": "y"}, True),
        ({"StringEquals": {"aws__a": "x", "aws__b": "y"}}, {"aws__a": "x"}, False),
        ({"StringNotEquals": {"aws__a": ["x", "y"]}}, {"aws__a": "y"}, False),
        # A key that is not in the request: plain operators fail, negated ones and …IfExists hold.
        ({"StringEquals": {"aws__a": "x"}}, {}, False),
        ({"StringNotEquals": {"aws__a": "x"}}, {}, True),
        ({"StringEqualsIfExists": {"aws__a": "x"}}, {}, True),
        ({"StringEqualsIfExists": {"aws__a": "x"}}, {"aws__a": "y"}, False),
        # Stars are wildcards in StringLike only.
        ({"StringEquals": {"aws__a": "x*"}}, {"aws__a": "xy"}, False),
        ({"StringLike": {"aws__a": "x*"}}, {"aws__a": "xy"}, True),
        ({"StringLike": {"AWS__A": "x*"}}, {"aws__a": "xy"}, True),
        ({"Null": {"aws__a": "true"}}, {}, True),
        ({"Null": {"aws__a": "false"}}, {}, False),
        ({"Null": {"aws__a": "false"}}, {"aws__a": "x"}, True),
        ({"Bool": {"aws__a": "true"}}, {"aws__a": "True"}, True),
        # Sets: all of the request's values, or any of them; nothing to compare satisfies "all" and fails "any".
        ({"ForAllValues:StringEquals": {"aws__a": ["x", "y"]}}, {"aws__a": ["x", "y"]}, True),
        ({"ForAllValues:StringEquals": {"aws__a": ["x", "y"]}}, {"aws__a": ["x", "z"]}, False),
        ({"ForAllValues:StringEquals": {"aws__a": ["x"]}}, {}, True),
        ({"ForAnyValue:StringEquals": {"aws__a": ["x"]}}, {"aws__a": ["z", "x"]}, True),
        ({"ForAnyValue:StringEquals": {"aws__a": ["x"]}}, {}, False),
    ],
)
def test_conditions(condition: dict[str, Any], context: dict[str, Any], allowed: bool) -> None:
    """The table of the documentation on condition operators and multivalued keys."""
    written = {name: {key.replace("__", ":"): v for key, v in keys.items()} for name, keys in condition.items()}
    assert (decide([_allow(Condition=written)], _request(**context)) is Decision.ALLOWED) is allowed


def _of_own_partition() -> dict[str, Any]:
    pattern = ["clinic#${aws:PrincipalTag/clinic}", "clinic#${aws:PrincipalTag/clinic}#*"]
    return _allow(Condition={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": pattern}})


@pytest.mark.parametrize(
    ("tag", "leading", "allowed"),
    [
        ("cli_a", "clinic#cli_a", True),
        ("cli_a", "clinic#cli_a#x", True),
        ("cli_a", "clinic#cli_ab", False),
        # What a variable holds is text, also where it looks like a wildcard.
        ("*", "clinic#cli_a", False),
        ("cli_?", "clinic#cli_a", False),
        ("*", "clinic#*", True),
    ],
)
def test_variables_are_filled_in_as_text(tag: str, leading: str, allowed: bool) -> None:
    """Policy variables take the request's values."""
    request = Request(
        "dynamodb:GetItem", TABLE, {"dynamodb:LeadingKeys": (leading,), "aws:PrincipalTag/clinic": (tag,)}
    )
    assert (decide([_of_own_partition()], request) is Decision.ALLOWED) is allowed


def test_a_variable_without_a_value_matches_nothing() -> None:
    """Without the tag the statement opens nothing, not everything."""
    request = Request("dynamodb:GetItem", TABLE, {"dynamodb:LeadingKeys": ("clinic#",)})
    assert decide([_of_own_partition()], request) is Decision.NOT_ALLOWED


def test_a_trust_policy_names_who_may_ask() -> None:
    """Statements of a role's trust policy have a principal and no resource."""
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::1:role/api"}}
    assert decide([trust], Request("sts:AssumeRole", "role", {}, "arn:aws:iam::1:role/api")) is Decision.ALLOWED
    assert decide([trust], Request("sts:AssumeRole", "role", {}, "arn:aws:iam::1:role/other")) is Decision.NOT_ALLOWED


@pytest.mark.parametrize(
    "condition",
    [
        {"NumericLessThan": {"aws:a": "1"}},
        {"StringLike": {"aws:a": "${aws:b, 'default'}"}},
        {"ForSomeValues:StringEquals": {"aws:a": "x"}},
    ],
)
def test_what_the_evaluator_does_not_know_it_does_not_judge(condition: dict[str, Any]) -> None:
    """An unknown operator or variable is an error, never an allow."""
    with pytest.raises(NotImplementedError):
        decide([_allow(Condition=condition)], Request("dynamodb:GetItem", TABLE, {"aws:a": ("x",)}))


_IDS = st.text("0123456789abcdefghjkmnpqrstvwxyz", min_size=26, max_size=26).map(lambda text: f"cli_{text}")


@given(own=_IDS, other=_IDS, rest=st.text(max_size=20))
def test_no_partition_of_one_clinic_is_open_to_another(own: str, other: str, rest: str) -> None:
    """Whatever follows the id in a partition key."""
    for leading in (f"clinic#{other}", f"clinic#{other}#{rest}"):
        request = Request(
            "dynamodb:GetItem", TABLE, {"dynamodb:LeadingKeys": (leading,), "aws:PrincipalTag/clinic": (own,)}
        )
        assert (decide([_of_own_partition()], request) is Decision.ALLOWED) is (own == other)


@given(st.text(), st.text())
def test_a_pattern_without_wildcards_matches_itself_only(pattern: str, value: str) -> None:
    """Characters that mean something in regular expressions mean nothing here."""
    plain = pattern.replace("*", "").replace("?", "").replace("$", "")
    statement = _allow(Condition={"StringLike": {"aws:a": plain}})
    for text in (plain, value):
        request = Request("dynamodb:GetItem", TABLE, {"aws:a": (text,)})
        assert (decide([statement], request) is Decision.ALLOWED) is (text == plain)
