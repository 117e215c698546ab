"""Rights on the items of tables, action by action: tests compare them with the calls that are really made.

None to scan exists here, on purpose: a scan reads every clinic's data and costs by the size of the table.
"""

from collections.abc import Sequence
from typing import Literal

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam

ItemAction = Literal["GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"]


def allow_items(
    grantee: iam.IGrantable, table: dynamodb.ITable, *actions: ItemAction, leading: Sequence[str] = ()
) -> None:
    """Let it do this with a table's items; in a transaction each part needs the right of its own action.

    Args:
        grantee: who.
        table: in which table; its indexes are not in this.
        actions: what.
        leading: patterns of the only partitions it may reach; all if omitted.
    """
    _allow(grantee, actions, table.table_arn, leading)


def allow_queries(grantee: iam.IGrantable, table: dynamodb.ITable, *indexes: str, leading: Sequence[str] = ()) -> None:
    """Let it query indexes of a table.

    Args:
        grantee: who.
        table: whose indexes.
        indexes: their names.
        leading: patterns of the only partitions of the index it may reach; all if omitted.
    """
    for index in indexes:
        _allow(grantee, ("Query",), f"{table.table_arn}/index/{index}", leading)


def limited_to(leading: Sequence[str]) -> dict[str, dict[str, object]]:
    """Return the condition that every partition of a call matches one of these patterns.

    ``ForAllValues`` also holds where there is nothing to compare, hence the second part.
    """
    return {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(leading)},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


def _allow(grantee: iam.IGrantable, actions: Sequence[str], resource: str, leading: Sequence[str]) -> None:
    grantee.grant_principal.add_to_principal_policy(
        iam.PolicyStatement(
            actions=[f"dynamodb:{action}" for action in actions],
            resources=[resource],
            conditions=limited_to(leading) if leading else {},
        )
    )
