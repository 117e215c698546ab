"""The role that a request of a clinic acts with: it reaches nothing of any other clinic, whatever the code asks for."""

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.config import Stage
from infra.constructs.encryption_grants import allow_reading_through
from infra.constructs.item_grants import allow_items, allow_queries, limited_to
from infra.constructs.key_grants import allow_making_keys
from infra.stacks.data import DataStack

_TAG = "clinic"
_CLINIC = f"${{aws:PrincipalTag/{_TAG}}}"
# Two patterns and not one with a star behind the id: "clinic#cli_1*" would open "clinic#cli_12" too.
_PARTITION = f"clinic#{_CLINIC}"
_PARTITIONS_WITHIN = f"clinic#{_CLINIC}#*"
_REFUSED = ("dynamodb:Scan", "dynamodb:PartiQL*")


class ClinicAccess(Construct):
    """A role that is assumed with the session tag ``clinic``; its policies compare the tag with what is reached.

    What it cannot be kept from are the counters of how many channels a shard holds: they change in the same
    transaction as a clinic's channel, and one transaction is signed once.

    Args:
        stage: its stage.
        data: the tables and the key.
        assumed_by: the only role that may take it on.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, data: DataStack, assumed_by: iam.IRole
    ) -> None:
        super().__init__(scope, construct_id)
        self._data = data
        trusted = iam.ArnPrincipal(assumed_by.role_arn).with_session_tags()
        self.role = iam.Role(
            self,
            "Role",
            role_name=f"recado-{stage.name}-clinic-access",
            description="What a request of one clinic may do; the session tag says which clinic",
            assumed_by=trusted.with_conditions(
                {
                    "StringLike": {f"aws:RequestTag/{_TAG}": "cli_*"},
                    "ForAllValues:StringEquals": {"aws:TagKeys": [_TAG]},
                }
            ),
        )
        self._allow_items()
        self._allow_shard_counters()
        allow_making_keys(self.role, data.tables["keys"], data.key, clinic=_CLINIC)
        allow_reading_through(self.role, data.key, Stack.of(self).region, "dynamodb")
        self._refuse_scans()

    def _allow_items(self) -> None:
        tables, own, within = self._data.tables, [_PARTITION], [_PARTITIONS_WITHIN]
        allow_items(self.role, tables["core"], "GetItem", "PutItem", "UpdateItem", "Query", "DeleteItem", leading=own)
        allow_items(self.role, tables["messages"], "GetItem", "PutItem", "UpdateItem", "Query", leading=within)
        # What WhatsApp said about a number lies beside them, under the clinic itself.
        allow_items(self.role, tables["messages"], "GetItem", leading=own)
        allow_queries(self.role, tables["messages"], "by_clinic", "by_chat", leading=within)
        allow_items(self.role, tables["runtime"], "GetItem", "BatchGetItem", "PutItem", leading=within)
        allow_items(self.role, tables["analytics"], "Query", leading=within)

    def _allow_shard_counters(self) -> None:
        """Let it count channels; a lease lies in the same partition, so only the counter's attributes are named."""
        limited = limited_to(["shard#*"])
        limited["ForAllValues:StringEquals"] = {"dynamodb:Attributes": ["pk", "sk", "channels", "shard_id"]}
        self.role.add_to_policy(
            iam.PolicyStatement(
                actions=["dynamodb:UpdateItem"],
                resources=[self._data.tables["runtime"].table_arn],
                conditions=limited,
            )
        )

    def _refuse_scans(self) -> None:
        """Refuse what names no partition that could be compared, also if somebody allows it later."""
        arns = [table.table_arn for table in self._data.tables.values()]
        self.role.add_to_policy(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                actions=list(_REFUSED),
                resources=[one for arn in arns for one in (arn, f"{arn}/index/*")],
            )
        )
