"""The firewall before the API: what it refuses, what it only counts, what it answers and what it writes down."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.api.settings import MAXIMUM_BODY_BYTES
from infra.constructs.web_firewall import MANAGED_RULES, numbers_above
from tests.infra.template import Templates

_KEY_HEADERS = {"authorization", "x-api-key"}


@pytest.fixture
def acl(prod: Templates) -> dict[str, Any]:
    """The web ACL of production."""
    (found,) = prod.properties("AWS::WAFv2::WebACL")
    return found


@pytest.fixture
def rules(acl: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Its rules by name."""
    return {rule["Name"]: rule for rule in acl["Rules"]}


def test_the_api_stage_stands_behind_the_firewall(prod: Templates) -> None:
    """The web ACL is regional and tied to the one stage of the one API."""
    (association,) = prod.properties("AWS::WAFv2::WebACLAssociation")
    ((stage, _),) = prod.resources("AWS::ApiGateway::Stage")
    ((acl, properties),) = [(name, one["Properties"]) for name, one in prod.resources("AWS::WAFv2::WebACL")]
    assert properties["Scope"] == "REGIONAL"
    assert association["WebACLArn"] == {"Fn::GetAtt": [acl, "Arn"]}
    assert {"Ref": stage} in association["ResourceArn"]["Fn::Join"][1]


def test_what_no_rule_refuses_passes(acl: dict[str, Any]) -> None:
    """The default is to allow, and rules are asked in an order of their own each."""
    assert acl["DefaultAction"] == {"Allow": {}}
    priorities = [rule["Priority"] for rule in acl["Rules"]]
    assert len(set(priorities)) == len(priorities)


def test_the_known_attacks_are_left_to_the_groups_that_aws_keeps(rules: dict[str, dict[str, Any]]) -> None:
    """Common attacks, known bad inputs and addresses of bad repute, each with its own actions but for those counted."""
    managed = {
        statement["Name"]: rule["OverrideAction"]
        for rule in rules.values()
        if (statement := rule["Statement"].get("ManagedRuleGroupStatement"))
    }
    assert managed == {
        "AWSManagedRulesCommonRuleSet": {"None": {}},
        "AWSManagedRulesKnownBadInputsRuleSet": {"None": {}},
        "AWSManagedRulesAmazonIpReputationList": {"None": {}},
    }


def test_rules_that_read_bodies_only_count(rules: dict[str, dict[str, Any]]) -> None:
    """Patients' texts trip them: every one is on a list with its reason, and nothing else is weakened."""
    for group in MANAGED_RULES:
        statement = rules[group.name]["Statement"]["ManagedRuleGroupStatement"]
        overrides = {one["Name"]: one["ActionToUse"] for one in statement.get("RuleActionOverrides", [])}
        assert overrides == {name: {"Count": {}} for name in group.counted}
        for name, reason in group.counted.items():
            assert name.endswith("_BODY")
            assert reason


def test_no_rule_of_ours_reads_a_body(rules: dict[str, dict[str, Any]]) -> None:
    """Our own rules look at addresses and headers."""
    for rule in rules.values():
        if "Action" in rule:
            assert '"Body"' not in json.dumps(rule["Statement"])
            assert '"JsonBody"' not in json.dumps(rule["Statement"])


def test_floods_are_refused_by_address_and_by_key(rules: dict[str, dict[str, Any]]) -> None:
    """Rates of the stage in a window of a minute; each header of a key is a rule, since WAF wants all keys of one."""
    rates = [one["RateBasedStatement"] for rule in rules.values() if "RateBasedStatement" in (one := rule["Statement"])]
    assert {rate["EvaluationWindowSec"] for rate in rates} == {60}
    limits = {
        rate["CustomKeys"][0]["Header"]["Name"] if "CustomKeys" in rate else rate["AggregateKeyType"]: rate["Limit"]
        for rate in rates
    }
    assert limits == {"IP": 12_000, "authorization": 3_000, "x-api-key": 3_000}


def test_bodies_are_refused_above_the_apis_own_limit(rules: dict[str, dict[str, Any]]) -> None:
    """By what the request declares: the very limit of the API, not one byte less."""
    match = rules["BodySize"]["Statement"]["RegexMatchStatement"]
    assert match["FieldToMatch"] == {"SingleHeader": {"Name": "content-length"}}
    assert re.search(match["RegexString"], str(MAXIMUM_BODY_BYTES + 1))
    assert not re.search(match["RegexString"], str(MAXIMUM_BODY_BYTES))


@given(limit=st.integers(min_value=1, max_value=10**9), number=st.integers(min_value=0, max_value=10**12))
def test_a_regular_expression_compares_numbers(limit: int, number: int) -> None:
    """For every limit and number, with zeros before it or not."""
    for text in (str(number), f"00{number}"):
        assert bool(re.search(numbers_above(limit), text)) is (number > limit)


@pytest.mark.parametrize(
    ("rule", "status", "code"),
    [
        ("RateByAddress", 429, "rate_limited"),
        ("RateBy-authorization", 429, "rate_limited"),
        ("RateBy-x-api-key", 429, "rate_limited"),
        ("BodySize", 413, "body_too_large"),
    ],
)
def test_a_refusal_is_a_problem_with_a_stable_code(
    acl: dict[str, Any], rules: dict[str, dict[str, Any]], rule: str, status: int, code: str
) -> None:
    """Status and body say the same; who is too fast is told when to come back."""
    answer = rules[rule]["Action"]["Block"]["CustomResponse"]
    body = acl["CustomResponseBodies"][answer["CustomResponseBodyKey"]]
    document = json.loads(_joined(body["Content"]))
    assert body["ContentType"] == "APPLICATION_JSON"
    assert answer["ResponseCode"] == document["status"] == status
    assert document["code"] == code
    assert document["type"] == f"https://public.example/errors/{code}"
    headers = {header["Name"]: header["Value"] for header in answer["ResponseHeaders"]}
    assert headers.get("retry-after") == ("60" if status == 429 else None)


def test_what_managed_rules_block_is_left_to_api_gateway_to_answer(rules: dict[str, dict[str, Any]]) -> None:
    """A response of WAF's own would come before API Gateway's problem document, and could not be problem+json."""
    for group in MANAGED_RULES:
        assert "CustomResponse" not in json.dumps(rules[group.name])


def test_the_log_holds_no_key_path_query_or_body(prod: Templates) -> None:
    """Redacted fields, and only what was blocked or counted is logged at all."""
    (logging,) = prod.properties("AWS::WAFv2::LoggingConfiguration")
    redacted = logging["RedactedFields"]
    assert {field["SingleHeader"]["Name"] for field in redacted if "SingleHeader" in field} == _KEY_HEADERS
    assert {"QueryString": {}} in redacted
    assert {"UriPath": {}} in redacted
    assert logging["LoggingFilter"]["DefaultBehavior"] == "DROP"
    assert prod.log_group("aws-waf-logs-recado-prod")["RetentionInDays"] == 90


def test_keys_and_bodies_leave_the_firewall_by_no_way(acl: dict[str, Any]) -> None:
    """Details of matches quote bodies and rates quote keys: both are replaced there too, and nothing is sampled."""
    protected = acl["DataProtectionConfig"]["DataProtections"]
    assert {one["Field"]["FieldType"] for one in protected} == {"SINGLE_HEADER", "QUERY_STRING", "BODY"}
    for one in protected:
        assert one["Action"] == "SUBSTITUTION"
        assert one["ExcludeRateBasedDetails"] is False
        assert one["ExcludeRuleMatchDetails"] is False
        if one["Field"]["FieldType"] == "SINGLE_HEADER":
            assert set(one["Field"]["FieldKeys"]) == _KEY_HEADERS
    for shown in (acl, *acl["Rules"]):
        assert shown["VisibilityConfig"]["SampledRequestsEnabled"] is False
        assert shown["VisibilityConfig"]["CloudWatchMetricsEnabled"] is True


def _joined(text: Any) -> str:
    parts = text["Fn::Join"][1]
    assert [part for part in parts if not isinstance(part, str)] == [{"Ref": "PublicUrl"}]
    return "".join(part if isinstance(part, str) else "https://public.example" for part in parts)
