"""Which resources can carry ``recado:clinic``, and how the others' cost is split: ``python -m tests.infra.cost_tags``.

What can be tagged at all is what CloudFormation's own schemas say, as they come with cfn-lint. The table is written
into ``docs/cost-tags.md``; a test fails when it is stale, or when a kind of resource is new and nobody has said what
meters it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]

from local.stack.state import CHECKOUT
from local.stack.synthesis import templates
from tests.infra.crowded import CROWDED
from tests.infra.template import Templates

PAGE = CHECKOUT / "docs" / "cost-tags.md"
CLINIC = "recado:clinic"
_BEGIN, _END = "<!-- table: python -m tests.infra.cost_tags -->", "<!-- end of table -->"
_FREE = "costs nothing by itself"
_REGION = "sa-east-1"

METERED: Mapping[str, str] = {
    "AWS::ApiGateway::RestApi": "requests: the API's log lines, by `clinic_id`",
    "AWS::ApiGateway::Stage": "requests, as above",
    "AWS::Budgets::Budget": "the first two of an account are free; overhead",
    "AWS::CloudWatch::Alarm": "a shared shard's by session-hours, the stage's as overhead",
    "AWS::CloudWatch::Dashboard": "overhead",
    "AWS::Cognito::UserPool": "people who sign in each month, by the clinic in their profile",
    "AWS::DynamoDB::Table": "messages in and out (hourly volumes in `analytics`), storage by messages kept",
    "AWS::EC2::EIP": "session-hours",
    "AWS::EC2::FlowLog": "overhead; its log group is charged",
    "AWS::EC2::InternetGateway": _FREE,
    "AWS::EC2::NatGateway": "session-hours; traffic by messages",
    "AWS::EC2::RouteTable": _FREE,
    "AWS::EC2::SecurityGroup": _FREE,
    "AWS::EC2::Subnet": _FREE,
    "AWS::EC2::VPC": _FREE,
    "AWS::EC2::VPCEndpoint": "costs nothing: only gateway endpoints are used",
    "AWS::ECS::Cluster": "Container Insights, if the stage buys it: session-hours",
    "AWS::ECS::Service": "session-hours on a shared shard (`channel.state_changed` events)",
    "AWS::ECS::TaskDefinition": _FREE,
    "AWS::Events::EventBus": "events: messages in and out, state changes",
    "AWS::Events::Rule": _FREE,
    "AWS::IAM::Role": _FREE,
    "AWS::KMS::Key": "overhead; calls by session starts and sealed secrets",
    "AWS::Lambda::EventSourceMapping": _FREE,
    "AWS::Lambda::Function": "api by requests, recorder and analytics by messages, webhooks by attempts (log lines)",
    "AWS::Logs::LogGroup": "functions' by their requests and messages, a shared shard's by session-hours",
    "AWS::S3::Bucket": "writes to the vault (log lines `vault write`: PUTs and bytes by channel), backups by size",
    "AWS::SNS::Topic": "overhead",
    "AWS::SQS::Queue": "messages in and out, deliveries; a shared shard's command queue by session-hours",
    "AWS::WAFv2::WebACL": "requests, as the API",
}
"""By what a share of the cost is found where the tag does not say whose it is."""

_UNTAGGED = (
    ("public IPv4 addresses of tasks", "session-hours; they show as VPC, without a tag"),
    ("traffic to the internet", "messages and deliveries"),
    ("custom metrics", "session-hours: they belong to shards, not to clinics"),
    ("Logs Insights queries, X-Ray traces", "overhead, requests"),
    ("point-in-time recovery", "as the tables; it is charged under their tags"),
)


@dataclass(frozen=True, slots=True)
class Tagging:
    """What CloudFormation says about tags of one type of resource.

    Attributes:
        taggable: whether it takes tags.
        where: in which property.
    """

    taggable: bool
    where: str = "Tags"


def tagging_of(kind: str) -> Tagging:
    """Return what the resource's schema says; a type without the word takes none."""
    said = PROVIDER_SCHEMA_MANAGER.get_resource_schema(_REGION, kind).schema.get("tagging", {})
    return Tagging(bool(said.get("taggable")), str(said.get("tagProperty", "/properties/Tags")).rpartition("/")[2])


def tags_of(resource: Mapping[str, Any]) -> dict[str, str]:
    """Return a resource's tags."""
    found = resource.get("Properties", {}).get(tagging_of(resource["Type"]).where, [])
    return dict(found) if isinstance(found, Mapping) else {tag["Key"]: tag["Value"] for tag in found}


def table(*stages: Templates) -> str:
    """Return the table as Markdown."""
    carrying = Counter[str]()
    kinds = set()
    for templates_ in stages:
        for _, resource in templates_.resources():
            kinds.add(resource["Type"])
            carrying[resource["Type"]] += CLINIC in tags_of(resource)
    return "\n".join(
        [
            "| resource | can it carry `recado:clinic`? | metered by what otherwise |",
            "|---|---|---|",
            *(_row(kind, carries=bool(carrying[kind])) for kind in sorted(kinds) if tagging_of(kind).taggable),
            *(f"| {what} | no resource of its own | {how} |" for what, how in _UNTAGGED),
        ]
    )


def _row(kind: str, *, carries: bool) -> str:
    answer = "yes, a dedicated shard's" if carries else "no, it is shared"
    return f"| `{kind.removeprefix('AWS::')}` | {answer} | {METERED[kind]} |"


def written(page: str, rows: str) -> str:
    """Return the page with this table in it."""
    before, _, rest = page.partition(_BEGIN)
    return f"{before}{_BEGIN}\n{rows}\n{_END}{rest.partition(_END)[2]}"


def taggable(stage: Templates) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield logical name and resource of everything that can be tagged."""
    for name, resource in stage.resources():
        if tagging_of(resource["Type"]).taggable:
            yield name, resource


def main() -> None:
    """Print the table and write it into the page."""
    rows = table(Templates(templates("prod")), Templates(templates("crowded", settings=CROWDED)))
    print(rows)  # noqa: T201 - for whoever runs it
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")


if __name__ == "__main__":
    main()
