"""AWS WAF in front of the API: known attacks by path, query and headers, floods by address and by key, huge bodies.

No rule that reads bodies blocks. What patients write (``<b>``, ``../``, a link to a bare address) is what the body
rules of AWS look for; they only count, which shows in CloudWatch's metrics and in the log.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Aws
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from infra.config import Stage
from infra.constructs.log_groups import OwnedLogGroup
from infra.problems import BODY_TOO_LARGE, RATE_LIMITED, Problem

MAXIMUM_BODY_BYTES = 256 * 1024
KEY_HEADERS = ("authorization", "x-api-key")
RATE_WINDOW_SECONDS = 60
_LOGGED_ACTIONS = ("BLOCK", "COUNT", "EXCLUDED_AS_COUNT")


@dataclass(frozen=True, slots=True)
class ManagedRules:
    """A rule group that AWS keeps.

    Attributes:
        name: its name at AWS.
        counted: rules that only count here, each with the reason. AWS does not mind a name that the group's present
            version lacks.
    """

    name: str
    counted: Mapping[str, str]


MANAGED_RULES = (
    ManagedRules("AWSManagedRulesAmazonIpReputationList", {}),
    ManagedRules(
        "AWSManagedRulesKnownBadInputsRuleSet",
        {
            "JavaDeserializationRCE_BODY": "a text may quote a class name; nothing here runs Java",
            "Log4JRCE_BODY": "a text may hold ${…}; nothing here logs texts, nor with Log4j",
            "ReactJSRCE_BODY": "a text may look like a serialised component; no server of ours runs React",
        },
    ),
    ManagedRules(
        "AWSManagedRulesCommonRuleSet",
        {
            "SizeRestrictions_BODY": "blocks above 8 KB; a list of numbers is longer, and our own limit is 256 KiB",
            "EC2MetaDataSSRF_BODY": "a text may name any address; webhook URLs have a guard that resolves them",
            "GenericLFI_BODY": "a text may hold ../; no body names a file",
            "GenericRFI_BODY": "a text or a webhook URL may be a link; the guard of webhook URLs judges those",
            "CrossSiteScripting_BODY": "a text may hold <tags>; answers are JSON and the API's pages show no texts",
        },
    ),
)
"""In the order in which they are asked; each ``_BODY`` rule of theirs is counted."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule: what it looks for and, unless a managed group decides by itself, what it answers."""

    name: str
    statement: wafv2.CfnWebACL.StatementProperty
    answer: Problem | None = None

    def at(self, priority: int) -> wafv2.CfnWebACL.RuleProperty:
        """Return the rule for its place in the order."""
        none = wafv2.CfnWebACL.OverrideActionProperty(none={})
        return wafv2.CfnWebACL.RuleProperty(
            name=self.name,
            priority=priority,
            statement=self.statement,
            action=_refusal(self.answer) if self.answer else None,
            override_action=None if self.answer else none,
            visibility_config=_visible(self.name),
        )


class WebFirewall(Construct):
    """The web ACL of a stage's API, its log, and the tie to API Gateway's stage.

    A block by a managed rule becomes API Gateway's own answer for what WAF filtered, which is a problem document. Rates
    and sizes have a status of their own, so WAF answers them itself with a document from here; as their media type it
    offers ``application/json`` at best.

    Args:
        stage: its rates.
        api_stage: what is protected.
        public_url: where the explanations of problems are; may be a token.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, api_stage: apigateway.Stage, public_url: str
    ) -> None:
        super().__init__(scope, construct_id)
        answers = (RATE_LIMITED, BODY_TOO_LARGE)
        rules = [*_rate_rules(stage), _size_rule(), *map(_managed_rule, MANAGED_RULES)]
        self.acl = wafv2.CfnWebACL(
            self,
            "Acl",
            name=f"recado-{stage.name}",
            description="What the API refuses before it is called",
            scope="REGIONAL",
            default_action=wafv2.CfnWebACL.DefaultActionProperty(allow=wafv2.CfnWebACL.AllowActionProperty()),
            visibility_config=_visible("All"),
            rules=[rule.at(priority) for priority, rule in enumerate(rules)],
            custom_response_bodies={
                answer.code: wafv2.CfnWebACL.CustomResponseBodyProperty(
                    content_type="APPLICATION_JSON", content=answer.document(public_url)
                )
                for answer in answers
            },
            data_protection_config=_protected_data(),
        )
        wafv2.CfnWebACLAssociation(self, "Association", resource_arn=api_stage.stage_arn, web_acl_arn=self.acl.attr_arn)
        self._log(stage)

    def _log(self, stage: Stage) -> None:
        """Log what was blocked or counted: who, which rule and the request's id; no body, key, path or query."""
        # WAF writes to log groups of this prefix only.
        owned = OwnedLogGroup(self, "Log", name=f"aws-waf-logs-recado-{stage.name}", stage=stage)
        destination = f"arn:{Aws.PARTITION}:logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:log-group:{owned.resource.ref}"
        field = wafv2.CfnLoggingConfiguration.FieldToMatchProperty
        wafv2.CfnLoggingConfiguration(
            self,
            "Logging",
            resource_arn=self.acl.attr_arn,
            log_destination_configs=[destination],
            redacted_fields=[
                *(field(single_header={"Name": name}) for name in KEY_HEADERS),
                field(query_string={}),
                # A number may stand in a path that was put together wrongly. The access log has the request's id too.
                field(uri_path={}),
            ],
            # In CloudFormation's own spelling: the CDK passes it on as it is.
            logging_filter={
                "DefaultBehavior": "DROP",
                "Filters": [
                    {
                        "Behavior": "KEEP",
                        "Requirement": "MEETS_ANY",
                        "Conditions": [{"ActionCondition": {"Action": action}} for action in _LOGGED_ACTIONS],
                    }
                ],
            },
        )


def numbers_above(limit: int) -> str:
    """Return a regular expression for the decimal numbers above a limit: WAF compares lengths of texts, not numbers."""
    digits = str(limit)
    larger = [f"[1-9][0-9]{{{len(digits)},}}"]
    for place, digit in enumerate(digits):
        if digit != "9":
            rest = len(digits) - place - 1
            larger.append(f"{digits[:place]}[{int(digit) + 1}-9][0-9]{{{rest}}}")
    return f"^0*({'|'.join(larger)})$"


def _rate_rules(stage: Stage) -> list[_Rule]:
    by_address = wafv2.CfnWebACL.RateBasedStatementProperty(
        aggregate_key_type="IP",
        limit=stage.requests_per_minute_and_address,
        evaluation_window_sec=RATE_WINDOW_SECONDS,
    )
    # One rule for each header: WAF counts a request only where all keys of the rule are present.
    by_key = (_rate_by(header, stage.requests_per_minute_and_key) for header in KEY_HEADERS)
    return [
        _Rule(name, wafv2.CfnWebACL.StatementProperty(rate_based_statement=rate), RATE_LIMITED)
        for name, rate in zip(
            ("RateByAddress", *(f"RateBy-{header}" for header in KEY_HEADERS)), (by_address, *by_key), strict=True
        )
    ]


def _rate_by(header: str, limit: int) -> wafv2.CfnWebACL.RateBasedStatementProperty:
    value = wafv2.CfnWebACL.RateLimitHeaderProperty(
        name=header,
        # The API takes the scheme in any spelling, so one key must count as one.
        text_transformations=_transformed("COMPRESS_WHITE_SPACE", "LOWERCASE"),
    )
    return wafv2.CfnWebACL.RateBasedStatementProperty(
        aggregate_key_type="CUSTOM_KEYS",
        custom_keys=[wafv2.CfnWebACL.RateBasedStatementCustomKeyProperty(header=value)],
        limit=limit,
        evaluation_window_sec=RATE_WINDOW_SECONDS,
    )


def _size_rule() -> _Rule:
    # WAF sees 16 to 64 KB of a body, so it goes by what the request says of itself; the API measures what came.
    declared = wafv2.CfnWebACL.RegexMatchStatementProperty(
        field_to_match=wafv2.CfnWebACL.FieldToMatchProperty(single_header={"Name": "content-length"}),
        regex_string=numbers_above(MAXIMUM_BODY_BYTES),
        text_transformations=_transformed("NONE"),
    )
    return _Rule("BodySize", wafv2.CfnWebACL.StatementProperty(regex_match_statement=declared), BODY_TOO_LARGE)


def _managed_rule(group: ManagedRules) -> _Rule:
    count = wafv2.CfnWebACL.RuleActionProperty(count=wafv2.CfnWebACL.CountActionProperty())
    overrides = [wafv2.CfnWebACL.RuleActionOverrideProperty(name=name, action_to_use=count) for name in group.counted]
    managed = wafv2.CfnWebACL.ManagedRuleGroupStatementProperty(
        vendor_name="AWS", name=group.name, rule_action_overrides=overrides or None
    )
    return _Rule(group.name, wafv2.CfnWebACL.StatementProperty(managed_rule_group_statement=managed))


def _refusal(answer: Problem) -> wafv2.CfnWebACL.RuleActionProperty:
    headers = {"cache-control": "no-store"}
    if answer is RATE_LIMITED:
        headers["retry-after"] = str(RATE_WINDOW_SECONDS)
    response = wafv2.CfnWebACL.CustomResponseProperty(
        response_code=answer.status,
        custom_response_body_key=answer.code,
        response_headers=[
            wafv2.CfnWebACL.CustomHTTPHeaderProperty(name=name, value=value) for name, value in headers.items()
        ],
    )
    return wafv2.CfnWebACL.RuleActionProperty(block=wafv2.CfnWebACL.BlockActionProperty(custom_response=response))


def _protected_data() -> wafv2.CfnWebACL.DataProtectionConfigProperty:
    """Replace what must leave WAF by no way: also in the details of matches and in the keys of rates."""

    def replaced(kind: str, keys: Sequence[str] = ()) -> wafv2.CfnWebACL.DataProtectProperty:
        return wafv2.CfnWebACL.DataProtectProperty(
            action="SUBSTITUTION",
            field=wafv2.CfnWebACL.FieldToProtectProperty(field_type=kind, field_keys=list(keys) or None),
            exclude_rate_based_details=False,
            exclude_rule_match_details=False,
        )

    return wafv2.CfnWebACL.DataProtectionConfigProperty(
        data_protections=[replaced("SINGLE_HEADER", KEY_HEADERS), replaced("QUERY_STRING"), replaced("BODY")]
    )


def _transformed(*kinds: str) -> list[wafv2.CfnWebACL.TextTransformationProperty]:
    return [wafv2.CfnWebACL.TextTransformationProperty(priority=place, type=kind) for place, kind in enumerate(kinds)]


def _visible(name: str) -> wafv2.CfnWebACL.VisibilityConfigProperty:
    # Samples would show headers and paths of requests for three hours; the log is enough.
    return wafv2.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=False
    )
